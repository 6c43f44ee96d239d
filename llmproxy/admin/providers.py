"""The admin of providers: their connection and health, a test of it, and the import of models."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

from accounts.admin.acts.buttons import HasActs
from accounts.admin.stale_pages import RefusesStalePages
from llmproxy import provider_keys
from llmproxy.admin import health
from llmproxy.admin.acts import PauseProvider, WakeProvider
from llmproxy.admin.imports import ImportPage
from llmproxy.admin.provider_form import TRIAL, ProviderForm
from llmproxy.admin.word_filters import ProviderStateFilter
from llmproxy.models import ENVIRONMENT, Endpoint, Provider
from llmproxy.receipts import provider_figures
from llmproxy.upstream import model_listing

# Fields with which a connection is another one than before.
CONNECTION = frozenset(
    {"base_url", "key_header", "own_key_header", "new_key", "proxy", "new_proxy_login"}
)
MOST_TESTS = 10  # in one action; each test can take model_listing.SECONDS


@admin.register(Provider)
class ProviderAdmin(HasActs, RefusesStalePages, ModelAdmin):
    form = ProviderForm
    sealed = ("encrypted_key", "encrypted_proxy_login")
    list_display = ("name", "address", "has_key", "health", "last_success", "failed", "is_active")
    list_filter = (ProviderStateFilter,)
    list_filter_submit = True
    search_fields = ("name", "slug")
    actions = ("test_chosen",)
    acts = (PauseProvider, WakeProvider)
    actions_detail = ("import_models",)
    actions_list = ("figures",)
    change_form_outer_before_template = "llmproxy/test_connection.html"
    environment = ("slug", "base_url", "its_address")  # fields that LLM_UPSTREAM_* set
    computed = ("key_line", "health", "tested", "failed", "cut_off")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Provider | None = None
    ) -> tuple[str, ...]:
        if obj and obj.slug == ENVIRONMENT:
            return (*self.computed, *self.environment)
        return self.computed

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        key, address = ("key_line",) if obj else (), "its_address"
        if obj is None or obj.slug != ENVIRONMENT:
            key = (*key, "new_key", "key_header", "own_key_header")
            address = "base_url"
        waits = ("connect_seconds", "first_byte_seconds", "idle_seconds")
        sets = [
            (
                None,
                {
                    "fields": (
                        "name",
                        "public_name",
                        "slug",
                        address,
                        *key,
                        "endpoints",
                        "is_active",
                    )
                },
            ),
            (_("Requests"), {"fields": ("forwarded_parameters",)}),
            (
                _("Timeouts"),
                {
                    "fields": waits,
                    "description": _("If empty, the default of this installation applies."),
                },
            ),
            (_("Proxy"), {"fields": ("proxy", "new_proxy_login")}),
            (_("When the caller disconnects"), {"fields": ("on_disconnect", "drain_seconds")}),
        ]
        return (
            [*sets, (_("Health"), {"fields": ("health", "tested", "failed", "cut_off")})]
            if obj
            else sets
        )

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Provider | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Fill in the slug of a new provider while its name is typed."""
        return {} if obj else {"slug": ("name",)}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Test what was entered, if that button was clicked, before the transaction of a save."""
        if request.method == "POST" and TRIAL in request.POST:
            self._try(request, object_id)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _try(self, request: HttpRequest, object_id: str | None) -> None:
        """Ask the provider as it was entered. Nothing is stored; the form is shown again."""
        obj = self.get_object(request, object_id) if object_id else None
        is_allowed = (
            self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        )
        if not is_allowed or (object_id and obj is None):
            return
        form_class: Any = self.get_form(request, obj, change=obj is not None)
        form = form_class(request.POST, instance=obj)
        if form.errors:
            return
        form.apply_secrets(form.instance)
        try:
            offers = model_listing.list_models(form.instance)
        except model_listing.NoOffers as problem:
            outcome, level = str(problem), messages.ERROR
        else:
            outcome = offers.summary
            level = messages.WARNING if offers.is_slow else messages.SUCCESS
        text = model_listing.describe_outcome(form.instance, outcome)
        messages.add_message(request, level, text)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Suggest the chat route for a new provider, because most providers have it."""
        return {"endpoints": [Endpoint.CHAT.value], **super().get_changeform_initial_data(request)}

    # The boolean argument is part of Django's signature.
    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:  # noqa: FBT001
        form.apply_secrets(obj)
        if change and not CONNECTION.isdisjoint(form.changed_data):
            obj.tested_at, obj.test_problem = None, ""  # the test was of the old connection
            obj.deployments.update(refused_parameters=[], refused_at=None)
        super().save_model(request, obj, form, change)

    @admin.display(description=_("Base URL"))
    def address(self, provider: Provider) -> str:
        return provider.url or "–"

    @admin.display(description=_("Base URL"))
    def its_address(self, provider: Provider) -> str:
        """The URL in LLM_UPSTREAM_BASE_URL, which is not stored in the row."""
        return f"{provider.url or gettext('Not set')} (LLM_UPSTREAM_BASE_URL)"

    @admin.display(description=_("key"), boolean=True)
    def has_key(self, provider: Provider) -> bool | None:
        """True if a key is stored; None if it can no longer be decrypted."""
        try:
            return bool(provider.key)
        except provider_keys.KeyUnreadable:
            return None

    @admin.display(description=_("key"))
    def key_line(self, provider: Provider) -> str:
        has_key = self.has_key(provider)
        if has_key is None:
            return gettext("The key can no longer be read. Enter it again.")
        return gettext("A key is stored.") if has_key else gettext("No key is stored.")

    @admin.display(description=_("health"))
    def health(self, provider: Provider) -> str:
        if not hasattr(provider, "was_asked"):
            health.load_activity([provider])
        return health.describe_health(provider)

    @admin.display(description=_("last test"))
    def tested(self, provider: Provider) -> str:
        return health.describe_last_test(provider)

    @admin.display(description=_("last failure"))
    def failed(self, provider: Provider) -> str:
        if provider.last_failure_at is None:
            return "–"
        return f"{health.format_age(provider.last_failure_at)} ({provider.last_error})"

    @admin.display(description=_("answers cut off"))
    def cut_off(self, provider: Provider) -> str:
        if not hasattr(provider, "cut_offs"):
            health.load_activity([provider])
        return health.describe_cut_offs(provider)

    @admin.display(description=_("last success"))
    def last_success(self, provider: Provider) -> str:
        moment = getattr(provider, "last_success_at", None)
        return health.format_age(moment) if moment else "–"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        self.load_for_rows(page.result_list)
        return page

    def load_for_rows(self, rows: Iterable[Any]) -> None:
        """Load the activity of all rows with one query."""
        health.load_activity(rows)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test_connection)
        return [
            path("<path:object_id>/test/", view, name="llmproxy_provider_test"),
            *super().get_urls(),
        ]

    def test_connection(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        provider = self.get_object(request, object_id)
        if not self.has_change_permission(request, provider):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if provider is None:
            return HttpResponseRedirect(reverse("admin:llmproxy_provider_changelist"))
        self._test(request, provider)
        return HttpResponseRedirect(reverse("admin:llmproxy_provider_change", args=[provider.pk]))

    @admin.action(description=_("Test the connection"), permissions=["change"])
    def test_chosen(self, request: HttpRequest, chosen: QuerySet[Provider]) -> None:
        for provider in chosen[:MOST_TESTS]:
            self._test(request, provider)

    def _test(self, request: HttpRequest, provider: Provider) -> None:
        """Send a real request, outside of a transaction, and show its result as a message."""
        try:
            offers = model_listing.test_provider(provider)
        except model_listing.NoOffers as problem:
            messages.error(request, model_listing.describe_outcome(provider, str(problem)))
        else:
            level = messages.WARNING if offers.is_slow else messages.SUCCESS
            messages.add_message(
                request, level, model_listing.describe_outcome(provider, offers.summary)
            )

    def has_import_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        needed = (
            "llmproxy.change_provider",
            "llmproxy.add_languagemodel",
            "llmproxy.add_deployment",
        )
        return bool(request.user.has_perms(needed))

    @action(
        description=_("Import models"), url_path="import", permissions=["import"], icon="download"
    )  # type: ignore[untyped-decorator]
    def import_models(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        provider = self.get_object(request, object_id)
        if provider is None:
            return HttpResponseRedirect(reverse("admin:llmproxy_provider_changelist"))
        return ImportPage(request, self, provider).respond()

    def has_figures_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perms(("llmproxy.view_provider", "llmproxy.view_completion")))

    @action(
        description=_("Daily figures"),
        url_path="figures",
        permissions=["figures"],
        icon="query_stats",
    )  # type: ignore[untyped-decorator]
    def figures(self, request: HttpRequest) -> HttpResponseBase:
        context = self.admin_site.each_context(request) | {
            "title": gettext("Providers by day"),
            "rows": provider_figures.list_days(),
            "days": provider_figures.DAYS,
            "opts": self.model._meta,
        }
        return TemplateResponse(request, "llmproxy/provider_days.html", context)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Allow only single deletions, because each one says why it is refused."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        provider = self.get_object(request, object_id)
        if provider is not None and (problem := explain_obstacle(provider)):
            messages.error(request, problem)
            return HttpResponseRedirect(
                reverse("admin:llmproxy_provider_change", args=[provider.pk])
            )
        response: HttpResponse = super().delete_view(request, object_id, extra_context)
        return response


def explain_obstacle(provider: Provider) -> str:
    """Say why this provider cannot be deleted; return an empty text if it can."""
    names = sorted(set(provider.deployments.values_list("model__name", flat=True)))
    if not names:
        return ""
    shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return ngettext(
        "This provider serves %(models)d model: %(shown)s. Remove it from that model first, "
        "or switch this provider off.",
        "This provider serves %(models)d models: %(shown)s. Remove it from those models "
        "first, or switch this provider off.",
        len(names),
    ) % {"models": len(names), "shown": shown}
