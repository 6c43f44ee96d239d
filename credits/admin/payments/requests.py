"""The admin list of requests for packages, where nothing can be paid online."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from accounts.access.authentication import require_user
from accounts.admin.bases import SearchedByUser
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from credits.admin.payments.acts import ActRefused, HasRowActs, RowAct
from credits.admin.rows import RowAdmin, link_row
from credits.models import PackageRequest
from credits.purchases import requests


class OpenFilter(DropdownFilter):
    """Requests that nobody has answered."""

    title = _("state")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Waiting"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(answered_at=None) if self.value() == "yes" else queryset


def mark_answered(request: HttpRequest, row: PackageRequest) -> str:
    """Mark a request as answered. Raises ActRefused if another administrator was faster."""
    if not requests.answer(row, actor=require_user(request)):
        raise ActRefused(gettext("Another administrator has answered this request."))
    return gettext("The request is marked as answered.")


def give_credits(request: HttpRequest, row: PackageRequest) -> HttpResponseBase:
    """Mark a request as answered, and lead to the page that adjusts the credits of its user."""
    mark_answered(request, row)
    query = urlencode({"user": row.user_id, "amount": row.package.credits})
    return HttpResponseRedirect(f"{reverse('admin:accounts_user_adjust')}?{query}")


def is_waiting(row: PackageRequest) -> bool:
    return row.answered_at is None


@admin.register(PackageRequest)
class PackageRequestAdmin(SearchedByUser, HasRowActs, RowAdmin):
    list_display = ("created_at", "user", "package", "number", "answered_at", "answered_by")
    list_filter = (OneUserFilter, OpenFilter, ("created_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("user", "package", "answered_by")
    fields = readonly_fields = (
        *("person", "package", "number", "price", "created_at", "answered_at", "answered_by"),
    )
    watched = ("answered_at",)
    row_acts = (
        RowAct(
            "give",
            _("Give the credits"),
            "toll",
            "credits.add_transaction",
            give_credits,
            is_waiting,
        ),
        RowAct(
            "answered",
            _("Mark as answered"),
            "check",
            "credits.change_packagerequest",
            mark_answered,
            is_waiting,
        ),
    )

    @admin.display(description=_("user"))
    def person(self, row: PackageRequest) -> str:
        return link_row(row.user, row.user)

    @admin.display(description=_("credits"))
    def number(self, row: PackageRequest) -> str:
        return intcomma(row.package.credits)

    @admin.display(description=_("prices"))
    def price(self, row: PackageRequest) -> str:
        return row.package.describe_prices()
