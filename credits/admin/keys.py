"""The admin list of API keys with their spending.

No page shows a whole key, and administrators cannot edit what the key's user decides.
"""

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.admin.acts.buttons import HasActs
from accounts.admin.acts.people import RevokeKey
from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.filters import DateRangeFilter, OneUserFilter, find_chosen_user
from accounts.admin.word_filters import KeyFilter
from accounts.models import LIMITS, ApiKey
from credits import budgets


@admin.register(ApiKey)
class ApiKeyAdmin(HasActs, ReadOnlyAdmin):
    acts = bulk_acts = (RevokeKey,)
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
        KeyFilter,
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
