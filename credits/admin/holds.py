"""The admin lists of holds, grants and audits."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.filters import DateRangeFilter, OneUserFilter, find_chosen_user
from credits.admin import lookup
from credits.admin.pages.cancellation import CancellationPage
from credits.admin.rows import RowAdmin
from credits.countdown import format_countdown
from credits.models import AuditRun, Grant, Hold


@admin.register(Hold)
class HoldAdmin(RowAdmin):
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
    actions_detail = ("cancel",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Hold], search_term: str
    ) -> tuple[QuerySet[Hold], bool]:
        return queryset.filter(
            lookup.match_holds(search_term)
        ) if search_term.strip() else queryset, False

    @admin.display(description=_("expires"))
    def countdown(self, hold: Hold) -> str:
        return format_countdown(hold)

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.cancel_hold")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        row = self.get_object(request, str(object_id))
        return (
            super().get_actions_detail(request, object_id)
            if row and row.state == Hold.State.OPEN
            else []
        )

    @action(description=_("Cancel hold"), url_path="cancel", permissions=["cancel"], icon="cancel")  # type: ignore[untyped-decorator]
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.redirect_back()
        if row.state != Hold.State.OPEN:
            messages.error(request, gettext("This hold has already ended. Nothing was changed."))
            return self.redirect_back(row)
        return CancellationPage(request, self, row).respond()


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
