"""The read-only admin of completions."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from accounts.admin.acts.buttons import HasActs
from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.filters import MAX_CHOICES, DateRangeFilter, OneUserFilter, find_chosen_user
from accounts.models import ApiKey
from credits.admin.rows import link_row
from deviceauth.models import DeviceSession
from llmproxy.admin.acts import RefundCompletion
from llmproxy.models import Completion, Provider
from llmproxy.pages import receipt_pages

# Fields that the receipt does not show, or shows in other words. Empty fields are left out.
BEYOND_THE_RECEIPT = (
    "user",
    "hold",
    "credential",
    "is_stream",
    "upstream_id",
    "finish_reason",
    "error",
    "provider_cost",
)
SHOWN_BY = {"credential": "caller", "provider_cost": "cost_at_provider"}


class ProviderFilter(DropdownFilter):
    """Filters by a provider that answered or failed.

    The choices are the rows of providers, because listing the values in the completions would read
    all completions.
    """

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Provider.objects.values_list("slug", "name")[:MAX_CHOICES])

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Completion]
    ) -> QuerySet[Completion]:
        return queryset.asked_of(self.value()) if self.value() else queryset  # type: ignore[attr-defined]


class UncollectedFilter(admin.SimpleListFilter):
    """Completions of which something was not charged, because the balance or the hold ended."""

    title = _("not collected")
    parameter_name = "uncollected"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Something was not collected"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Completion]
    ) -> QuerySet[Completion]:
        return queryset.filter(uncollected__gt=0) if self.value() == "yes" else queryset


@admin.register(Completion)
class CompletionAdmin(HasActs, ReadOnlyAdmin):
    acts = bulk_acts = (RefundCompletion,)
    list_display = (
        "created_at",
        "user",
        "model",
        "asked",
        "called_by",
        "status",
        "tokens",
        "charged",
        "total_ms",
    )
    list_filter = (
        OneUserFilter,
        ("status", ChoicesDropdownFilter),
        ("usage_source", ChoicesDropdownFilter),
        ProviderFilter,
        UncollectedFilter,
        ("created_at", DateRangeFilter),
    )
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("generation_id",)
    search_help_text = _("Full email address, public ID, completion ID, request ID or trace ID")
    change_form_before_template = "llmproxy/admin_receipt.html"

    @admin.display(description=_("provider"))
    def asked(self, row: Completion) -> str:
        """The providers that were tried, in order."""
        return " → ".join(row.asked_names) or "–"  # type: ignore[attr-defined]

    @admin.display(description=_("called by"))
    def called_by(self, row: Completion) -> str:
        return row.credential_name or "–"

    @admin.display(description=_("tokens"))
    def tokens(self, row: Completion) -> str:
        """The tokens of the prompt and of the completion, in one narrow column."""
        return f"{intcomma(row.prompt_tokens)} + {intcomma(row.completion_tokens)}"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        self.load_for_rows(page.result_list)
        return page

    def load_for_rows(self, rows: Iterable[Any]) -> None:
        """Load the names of all providers with one query; show deleted ones by their slug."""
        names = dict(Provider.objects.values_list("slug", "name"))
        for row in rows:
            slugs = dict.fromkeys(attempt["provider"] for attempt in row.attempts)
            row.asked_names = [names.get(slug, slug) for slug in slugs]

    def get_fieldsets(self, request: HttpRequest, obj: Completion | None = None) -> Any:
        names = [
            name
            for name in BEYOND_THE_RECEIPT
            if obj is not None and getattr(obj, name) not in (None, "")
        ]
        return [(_("Details"), {"fields": [SHOWN_BY.get(name, name) for name in names]})]

    @admin.display(description=_("cost at the provider"))
    def cost_at_provider(self, row: Completion) -> str:
        """What this answer cost the operator, and how that is known."""
        if row.provider_cost is None:
            return "–"
        source = row.get_provider_cost_source_display() or Completion.CostSource.TOLD.label
        return f"{row.provider_cost.normalize():f} USD. {source}."

    @admin.display(description=_("called by"))
    def caller(self, row: Completion) -> str:
        """The key or device by name, with a link while its row exists."""
        kind, _sign, identifier = row.credential.partition(":")
        name = row.credential_name or identifier
        caller: ApiKey | DeviceSession | None
        if kind == "key":
            label, caller = gettext("API key"), ApiKey.objects.filter(pk=identifier).first()
        else:
            label = gettext("Device")
            caller = DeviceSession.objects.filter(token_family=identifier).first()
        return format_html("{} {}", label, link_row(caller, name) if caller else name)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the receipt that the user sees, with the HTTP statuses of the providers, first."""
        row = self.get_object(request, object_id)
        context = (receipt_pages.build_operator_context(row) if row else {}) | (extra_context or {})
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Completion], search_term: str
    ) -> tuple[QuerySet[Completion], bool]:
        """Search by the index of each kind of term."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (user := find_chosen_user("", term)) is not None:
            return queryset.filter(user=user), False
        if keys := Completion.objects.filter(generation_id=term).values_list("pk", flat=True)[:1]:
            return queryset.filter(pk__in=list(keys)), False
        if term.startswith("req_"):
            return queryset.filter(pk__in=Completion.objects.list_keys(request_id=term)), False
        return queryset.filter(pk__in=Completion.objects.list_keys(trace_id=term)), False
