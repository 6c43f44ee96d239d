"""The admin lists of holds, grants and audits."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts.admin.acts.buttons import HasActs
from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.filters import DateRangeFilter, OneUserFilter, find_chosen_user
from credits.admin import lookup
from credits.admin.pages.cancellation import CancellationPage
from credits.admin.rows import RowAdmin
from credits.admin.word_filters import SoundFilter
from credits.countdown import format_countdown
from credits.models import AuditRun, Grant, Hold


@admin.register(Hold)
class HoldAdmin(HasActs, RowAdmin):
    list_display = (
        "created_at",
        "user",
        "amount",
        "captured",
        "state",
        "countdown",
        "reference_id",
    )
    list_filter = (OneUserFilter, ("state", ChoicesDropdownFilter), ("created_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("reference_id",)
    search_help_text = _("Full email address, public ID, hold number or completion ID")
    fields = readonly_fields = (
        "user",
        "amount",
        "captured",
        "state",
        "countdown",
        "reference_id",
        "credential",
        "created_at",
        "expires_at",
        "ended_at",
    )
    acts = (CancellationPage,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Hold], search_term: str
    ) -> tuple[QuerySet[Hold], bool]:
        return queryset.filter(
            lookup.match_holds(search_term)
        ) if search_term.strip() else queryset, False

    @admin.display(description=_("expires"))
    def countdown(self, hold: Hold) -> str:
        return format_countdown(hold)


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "source", "amount", "remaining", "expires_at")
    list_filter = (
        OneUserFilter,
        ("source", ChoicesDropdownFilter),
        ("created_at", DateRangeFilter),
    )
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("source",)
    search_help_text = _("Full email address or public ID")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Grant], search_term: str
    ) -> tuple[QuerySet[Grant], bool]:
        user = find_chosen_user("", search_term)
        return (queryset.filter(user=user or 0) if search_term.strip() else queryset), False


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    list_display = ("finished_at", "problems", "first_problem", "users", "transactions", "holds")
    list_filter = (SoundFilter,)
    list_filter_submit = True
