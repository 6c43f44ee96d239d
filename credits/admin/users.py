"""The admin lists of users with their credits, and of packages."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

import accounts.admin.users
from accounts.admin.bases import CheckedActions
from accounts.admin.stale_pages import RefusesStalePages
from accounts.models import User
from credits.admin.pages.adjustment import MAX_USERS, serve_adjustment
from credits.admin.pages.thaw import ThawPage
from credits.admin.pages.write_off import WriteOffPage
from credits.admin.payments.prices import PackagePriceInline
from credits.models import Package
from credits.reversals import frozen


@admin.register(User)
class UserAdmin(accounts.admin.users.UserAdmin):
    """Users with their credits. The actions only redirect to pages; their GET changes nothing."""

    actions = ("adjust_selected",)
    actions_detail = ("adjust_one", "write_off", "thaw", "transactions", "holds")

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

    def has_write_off_debt_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.write_off_debt")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer the write-off while the user owes something, the thaw while they are frozen."""
        user = self.get_object(request, str(object_id))
        fits = {
            "_write_off": user is not None and user.credits_debt > 0,
            "_thaw": user is not None and frozen.is_frozen(user),
        }
        unfit = tuple(name for name, is_fit in fits.items() if not is_fit)
        offered: list[Any] = super().get_actions_detail(request, object_id)
        return [each for each in offered if not each.action_name.endswith(unfit)]

    @action(
        description=_("Write off debt"),
        url_path="write-off",
        permissions=["write_off_debt"],
        icon="money_off",
    )  # type: ignore[untyped-decorator]
    def write_off(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        user = self.get_object(request, object_id)
        if user is None:
            messages.error(request, gettext("There is no record with this number."))
            return HttpResponseRedirect(reverse("admin:accounts_user_changelist"))
        if request.method != "POST" and not user.credits_debt:
            messages.error(request, gettext("This user owes nothing."))
            return HttpResponseRedirect(reverse("admin:accounts_user_change", args=[user.pk]))
        return WriteOffPage(request, self, user).respond()

    def has_thaw_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.change_customer")

    @action(
        description=_("Allow buying again"),
        url_path="thaw",
        permissions=["thaw"],
        icon="lock_open",
    )  # type: ignore[untyped-decorator]
    def thaw(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        user = self.get_object(request, object_id)
        if user is None:
            messages.error(request, gettext("There is no record with this number."))
            return HttpResponseRedirect(reverse("admin:accounts_user_changelist"))
        if not frozen.is_frozen(user):
            messages.error(request, gettext("This user may buy already."))
            return HttpResponseRedirect(reverse("admin:accounts_user_change", args=[user.pk]))
        return ThawPage(request, self, user).respond()

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
    list_filter = ("is_active",)
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
