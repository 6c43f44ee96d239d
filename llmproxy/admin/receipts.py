"""Completions, to look at."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.filters import MAX_CHOICES, DateRangeFilter, OneUserFilter, find_chosen_user
from accounts.models import ApiKey
from credits.admin.rows import link_row
from deviceauth.models import DeviceSession
from llmproxy.models import Completion, Provider
from llmproxy.pages import receipt_pages

# What the receipt does not say, or says in words; what is empty is left out.
BEYOND_THE_RECEIPT = (
    "user",
    "hold",
    "credential",
    "is_stream",
    "upstream_id",
    "finish_reason",
    "error",
)
SHOWN_BY = {"credential": "caller"}


class ProviderFilter(DropdownFilter):
    """Who answered or failed. From the providers: to ask the completions which there are would read all of them."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Provider.objects.values_list("slug", "name")[:MAX_CHOICES])

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Completion]
    ) -> QuerySet[Completion]:
        return queryset.asked_of(self.value()) if self.value() else queryset  # type: ignore[attr-defined]


@admin.register(Completion)
class CompletionAdmin(ReadOnlyAdmin):
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
        ("created_at", DateRangeFilter),
    )
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("generation_id",)
    search_help_text = _("Full email address, public ID, completion ID or trace ID")
    change_form_before_template = "llmproxy/admin_receipt.html"

    @admin.display(description=_("provider"))
    def asked(self, row: Completion) -> str:
        """All that were asked, in order."""
        return " → ".join(row.asked_names) or "–"  # type: ignore[attr-defined]

    @admin.display(description=_("called by"))
    def called_by(self, row: Completion) -> str:
        return row.credential_name or "–"

    @admin.display(description=_("tokens"))
    def tokens(self, row: Completion) -> str:
        """Of the prompt and of the completion, in one narrow column."""
        return f"{intcomma(row.prompt_tokens)} + {intcomma(row.completion_tokens)}"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """One question for all rows of the page. A provider that was deleted is named by its slug."""
        page = super().get_changelist_instance(request)
        names = dict(Provider.objects.values_list("slug", "name"))
        for row in page.result_list:
            slugs = dict.fromkeys(attempt["provider"] for attempt in row.attempts)
            row.asked_names = [names.get(slug, slug) for slug in slugs]
        return page

    def get_fieldsets(self, request: HttpRequest, obj: Completion | None = None) -> Any:
        told = [
            name
            for name in BEYOND_THE_RECEIPT
            if obj is not None and getattr(obj, name) not in (None, "")
        ]
        return [(_("Details"), {"fields": [SHOWN_BY.get(name, name) for name in told]})]

    @admin.display(description=_("called by"))
    def caller(self, row: Completion) -> str:
        """Its key or device by name, with a link as long as it is there."""
        kind, _sign, own = row.credential.partition(":")
        name = row.credential_name or own
        found: ApiKey | DeviceSession | None
        if kind == "key":
            label, found = gettext("API key"), ApiKey.objects.filter(pk=own).first()
        else:
            label, found = gettext("Device"), DeviceSession.objects.filter(token_family=own).first()
        return format_html("{} {}", label, link_row(found, name) if found else name)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """First the receipt that the user sees, with the providers' own statuses."""
        row = self.get_object(request, object_id)
        context = (receipt_pages.build_operator_context(row) if row else {}) | (extra_context or {})
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Completion], search_term: str
    ) -> tuple[QuerySet[Completion], bool]:
        """One index for each kind of term; a trace, which has none, is looked for when nothing else is it."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (user := find_chosen_user("", term)) is not None:
            return queryset.filter(user=user), False
        if found := Completion.objects.filter(generation_id=term).values_list("pk", flat=True)[:1]:
            return queryset.filter(pk__in=list(found)), False
        return queryset.filter(trace_id=term), False
