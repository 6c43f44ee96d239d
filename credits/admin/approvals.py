"""The admin list of approvals, from which a second administrator decides pending requests."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from accounts.admin.address_search import FindsSpellings
from accounts.admin.filters import DateRangeFilter
from credits.admin.pages.decide_approval import (
    ApprovePage,
    RejectPage,
    WithdrawPage,
    describe_change,
)
from credits.admin.rows import RowAdmin, link_rows
from credits.countdown import format_countdown
from credits.models import Approval


@admin.register(Approval)
class ApprovalAdmin(FindsSpellings, RowAdmin):
    list_display = (
        "created_at",
        "kind",
        "credits",
        "reason",
        "requester",
        "state",
        "countdown",
        "decided_by",
    )
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("requester", "decided_by", "refunds")
    search_fields = ("reason", "requester__email")
    address_field = "requester__email"
    fields = readonly_fields = (
        "kind",
        "credits",
        "for_users",
        "credits_expire_at",
        "refunds",
        "reason",
        "requester",
        "created_at",
        "state",
        "countdown",
        "decided_by",
        "decided_at",
        "note",
        "posted",
    )
    actions_detail = ("approve", "reject", "withdraw")

    @admin.display(description=_("expires"))
    def countdown(self, approval: Approval) -> str:
        return format_countdown(approval)

    @admin.display(description=_("credits per user"))
    def credits(self, approval: Approval) -> str:
        return describe_change(approval)

    @admin.display(description=_("users"))
    def for_users(self, approval: Approval) -> str:
        return link_rows(approval.users.order_by("pk"))

    @admin.display(description=_("transactions"))
    def posted(self, approval: Approval) -> str:
        return link_rows(approval.transactions.order_by("pk"))

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.approve_adjustment")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """While pending, offer "withdraw" to the requester, "approve" and "reject" to others."""
        row = self.get_object(request, str(object_id))
        if row is None or not row.can_be_decided:
            return []
        own = row.requester_id == request.user.pk
        offered = super().get_actions_detail(request, object_id)
        return [each for each in offered if each.action_name.endswith("_withdraw") == own]

    @action(description=_("Approve"), url_path="approve", permissions=["decide"], icon="check")  # type: ignore[untyped-decorator]
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._decide(request, object_id, ApprovePage)

    @action(description=_("Reject"), url_path="reject", permissions=["decide"], icon="block")  # type: ignore[untyped-decorator]
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._decide(request, object_id, RejectPage)

    @action(description=_("Withdraw"), url_path="withdraw", icon="undo")  # type: ignore[untyped-decorator]
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._decide(request, object_id, WithdrawPage)

    def _decide(
        self, request: HttpRequest, object_id: str, page: type[ApprovePage | RejectPage]
    ) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.redirect_back()
        own = row.requester_id == request.user.pk
        if own is not issubclass(page, WithdrawPage):
            messages.error(request, gettext("Another administrator must decide on your request."))
            return self.redirect_back(row)
        if not row.can_be_decided:
            messages.error(
                request,
                gettext(
                    "This request has already been decided or withdrawn, or it has expired. "
                    "Nothing was changed."
                ),
            )
            return self.redirect_back(row)
        return page(request, self, row).respond()
