"""The admin list of approvals, from which a second administrator decides pending requests."""

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts.admin.acts.buttons import HasActs
from accounts.admin.address_search import FindsSpellings
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from accounts.models import User
from accounts.toolbox.keyset import parse_key
from credits.admin.pages.decide_approval import DecidePage, WithdrawPage, describe_change
from credits.admin.rows import RowAdmin, link_row, link_rows
from credits.countdown import format_countdown
from credits.models import Approval

MOST = 3  # users that the list names


class OneOfUsersFilter(OneUserFilter):
    """Requests about one user, among others. The link on the user's page sets it."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(users=parse_key(self.value()))


@admin.register(Approval)
class ApprovalAdmin(HasActs, FindsSpellings, RowAdmin):
    list_display = (
        "created_at",
        "change",
        "people",
        "reason",
        "requester",
        "state",
        "countdown",
        "decided_by",
    )
    list_filter = (
        OneOfUsersFilter,
        ("state", ChoicesDropdownFilter),
        ("created_at", DateRangeFilter),
    )
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
    acts = (DecidePage, WithdrawPage)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        rows: QuerySet[Approval] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("users", User.objects.order_by("pk")))

    @admin.display(description=_("expires"))
    def countdown(self, approval: Approval) -> str:
        return format_countdown(approval)

    @admin.display(description=_("credits per user"))
    def credits(self, approval: Approval) -> str:
        return describe_change(approval)

    @admin.display(description=_("Change"))
    def change(self, approval: Approval) -> str:
        """What is asked for, and how many credits for each user."""
        return f"{approval.get_kind_display()} {describe_change(approval)}"

    @admin.display(description=_("for"))
    def people(self, approval: Approval) -> str:
        """Name the first users, with the number of the others."""
        users = list(approval.users.all())
        names = format_html_join(", ", "{}", ((link_row(user, user),) for user in users[:MOST]))
        rest = len(users) - MOST
        if rest <= 0:
            return format_html("<span>{}</span>", names) if names else "–"
        more = ngettext("and %(number)d more", "and %(number)d more", rest) % {"number": rest}
        return format_html("<span>{} {}</span>", names, more)

    @admin.display(description=_("users"))
    def for_users(self, approval: Approval) -> str:
        return link_rows(approval.users.order_by("pk"))

    @admin.display(description=_("transactions"))
    def posted(self, approval: Approval) -> str:
        return link_rows(approval.transactions.order_by("pk"))
