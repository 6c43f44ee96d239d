"""The admin list of API keys with their spending.

No page shows a whole key, and administrators cannot edit what the key's user decides.
"""

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.access import api_keys
from accounts.admin.bases import CheckedActions, ReadOnlyAdmin
from accounts.admin.filters import DateRangeFilter, OneUserFilter, find_chosen_user
from accounts.models import LIMITS, ApiKey
from accounts.toolbox.request_source import Source
from credits import budgets


@admin.register(ApiKey)
class ApiKeyAdmin(CheckedActions, ReadOnlyAdmin):
    list_display = (
        "name",
        "user",
        "shown",
        "monthly_budget",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = (
        OneUserFilter,
        ("revoked_at", admin.EmptyFieldListFilter),
        ("created_at", DateRangeFilter),
    )
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("user__email",)
    search_help_text = _("Full email address or public ID")
    fields = readonly_fields = (
        *("user", "name", "shown", "monthly_budget", "spent", "allowed_models", *LIMITS),
        *("created_at", "last_used_at", "expires_at", "revoked_at"),
    )
    actions = ("revoke",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Refuse `user__…` lookups, as in RowAdmin: `?user=` reads that user's index instead."""
        return not lookup.startswith("user__") and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ApiKey], search_term: str
    ) -> tuple[QuerySet[ApiKey], bool]:
        user = find_chosen_user("", search_term)
        return (queryset.filter(user=user or 0) if search_term.strip() else queryset), False

    @admin.display(description=_("key"))
    def shown(self, key: ApiKey) -> str:
        return key.shown

    @admin.display(description=_("spent this month"))
    def spent(self, key: ApiKey) -> str:
        return str(intcomma(budgets.read_spending(key.user).get(key.credential, 0)))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_apikey")

    @admin.action(description=_("Revoke the selected keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> HttpResponse | None:
        """Ask for confirmation, then revoke the selected keys for good."""
        keys = chosen.live().select_related("user")  # type: ignore[attr-defined]
        if not keys:
            self.message_user(
                request, gettext("These keys have already been revoked."), messages.WARNING
            )
            return None
        if "confirmed" not in request.POST:
            return self._confirm(request, keys)
        revoked = [
            key
            for key in keys
            if api_keys.revoke(key=key, source=Source.from_administrator(request))
        ]
        for key in revoked:
            self.log_change(request, key, "Revoked.")
        number = len(revoked)
        self.message_user(
            request,
            ngettext("Revoked %d key.", "Revoked %d keys.", number) % number,
            messages.SUCCESS,
        )
        return None

    def _confirm(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": gettext("Revoke keys"),
            "keys": keys,
            "facts": [(f"{key.name} {key.shown}", key.user) for key in keys],
            "opts": self.model._meta,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "credits/revoke_keys.html", context)
