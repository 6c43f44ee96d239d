"""The admin lists of users with their credits, and of packages."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

import accounts.admin.users
from accounts.admin.bases import CheckedActions
from accounts.admin.stale_pages import RefusesStalePages
from accounts.admin.word_filters import SaleFilter
from accounts.models import User
from credits.admin.pages.adjustment import MAX_USERS, serve_adjustment
from credits.admin.pages.thaw import ThawPage
from credits.admin.pages.write_off import WriteOffPage
from credits.admin.payments.prices import PackagePriceInline
from credits.models import Package


@admin.register(User)
class UserAdmin(accounts.admin.users.UserAdmin):
    """Users with their credits. The actions only redirect to pages; their GET changes nothing."""

    actions = ("adjust_selected",)
    acts = (WriteOffPage, ThawPage, *accounts.admin.users.UserAdmin.acts)
    actions_detail = ("adjust_one", "transactions", "holds")

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "adjust/", self.admin_site.admin_view(self.adjust_view), name="accounts_user_adjust"
        )
        return [page, *super().get_urls()]

    def has_adjust_credits_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.add_transaction")

    def adjust_view(self, request: HttpRequest) -> HttpResponseBase:
        return serve_adjustment(request, self)

    @admin.action(description=_("Adjust credits"), permissions=["adjust_credits"])
    def adjust_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse:
        return _redirect_to_adjustment(
            list(queryset.order_by("pk").values_list("pk", flat=True)[: MAX_USERS + 1])
        )

    @action(
        description=_("Adjust credits"),
        url_path="adjust",
        permissions=["adjust_credits"],
        icon="toll",
    )  # type: ignore[untyped-decorator]
    def adjust_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _redirect_to_adjustment([object_id])

    @action(description=_("Transactions"), url_path="transactions", icon="receipt_long")  # type: ignore[untyped-decorator]
    def transactions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _redirect_to_list("transaction", user=object_id)

    @action(description=_("Holds"), url_path="holds", icon="hourglass")  # type: ignore[untyped-decorator]
    def holds(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _redirect_to_list("hold", user=object_id)


def _redirect_to_adjustment(users: list[Any]) -> HttpResponse:
    query = urlencode({"user": users}, doseq=True)
    return HttpResponseRedirect(f"{reverse('admin:accounts_user_adjust')}?{query}")


def _redirect_to_list(model: str, **filters: str) -> HttpResponse:
    return HttpResponseRedirect(
        f"{reverse(f'admin:credits_{model}_changelist')}?{urlencode(filters)}"
    )


@admin.register(Package)
class PackageAdmin(RefusesStalePages, CheckedActions, ModelAdmin):
    list_display = ("name", "credits", "priced", "is_popular", "is_active", "sort_order")
    list_filter = (SaleFilter,)
    list_filter_submit = True
    exclude = ("price_usd",)  # It follows the price in US dollars, which stands below.
    search_fields = ("name",)
    readonly_fields = ("created_at",)
    inlines = (PackagePriceInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Package]:
        rows: QuerySet[Package] = super().get_queryset(request)
        return rows.prefetch_related("prices")

    @admin.display(description=_("prices"))
    def priced(self, row: Package) -> str:
        return row.describe_prices()
