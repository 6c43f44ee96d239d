"""The ledger in the admin: to look at, and to correct with a reason."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

import accounts.admin
from accounts.admin import ReadOnlyAdmin
from accounts.filters import AdministratorFilter, OneUserFilter, WrittenFilter
from accounts.models import User
from credits import ledger, lookup
from credits.adjustment import MAX_USERS, adjustment_page
from credits.cancellation import CancellationPage
from credits.countdown import countdown
from credits.decisions import ApprovePage, RejectPage, WithdrawPage
from credits.exports import ExportPage
from credits.models import Approval, Hold, Package, Transaction
from credits.refunds import RefundPage, may_refund


@admin.register(User)
class UserAdmin(accounts.admin.UserAdmin):
    """A user with their credits. The actions only lead to a page: what they open by GET changes nothing."""

    actions = ("adjust_selected",)
    actions_detail = ("adjust_one", "transactions", "holds")

    def get_urls(self) -> list[URLPattern]:
        page = path("adjust/", self.admin_site.admin_view(self.adjust_view), name="accounts_user_adjust")
        return [page, *super().get_urls()]

    def has_adjust_credits_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.add_transaction")

    def adjust_view(self, request: HttpRequest) -> HttpResponseBase:
        return adjustment_page(request, self)

    @admin.action(description=_("Adjust credits"), permissions=["adjust_credits"])
    def adjust_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse:
        return _to_adjustment(list(queryset.order_by("pk").values_list("pk", flat=True)[: MAX_USERS + 1]))

    @action(description=_("Adjust credits"), url_path="adjust", permissions=["adjust_credits"], icon="toll")  # type: ignore[untyped-decorator]
    def adjust_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _to_adjustment([object_id])

    @action(description=_("Transactions"), url_path="transactions", icon="receipt_long")  # type: ignore[untyped-decorator]
    def transactions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _to_list("transaction", user=object_id)

    @action(description=_("Holds"), url_path="holds", icon="hourglass")  # type: ignore[untyped-decorator]
    def holds(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _to_list("hold", user=object_id)


def _to_adjustment(users: list[Any]) -> HttpResponse:
    wanted = urlencode({"user": users}, doseq=True)
    return HttpResponseRedirect(f"{reverse('admin:accounts_user_adjust')}?{wanted}")


def _to_list(model: str, **wanted: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse(f'admin:credits_{model}_changelist')}?{urlencode(wanted)}")


class ActorFilter(AdministratorFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Transaction]) -> QuerySet[Transaction]:
        """No administrator writes usage: said aloud, so that the indexes without usage serve."""
        chosen = super().queryset(request, queryset)
        return chosen.exclude(type=Transaction.Type.USAGE) if self.value() else chosen


class RowAdmin(ReadOnlyAdmin):
    """Rows with pages that act on one of them."""

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """None for an id of nothing, after saying so."""
        found = self.get_object(request, object_id)
        if found is None:
            messages.error(request, gettext("There is nothing with this number."))
        return found

    def back(self, row: Any = None) -> HttpResponse:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return HttpResponseRedirect(reverse(f"{name}_change", args=[row.pk]) if row else reverse(f"{name}_changelist"))


@admin.register(Transaction)
class TransactionAdmin(RowAdmin):
    list_display = ("created_at", "user", "type", "amount", "balance_after", "description", "actor")
    list_filter = (
        OneUserFilter,
        ("type", ChoicesDropdownFilter),
        ActorFilter,
        ("created_at", WrittenFilter),
    )
    list_filter_submit = True
    list_select_related = ("user", "actor")
    search_fields = ("reference_id",)
    search_help_text = _("E-mail address or public id of a user, number, or reference: the whole of it")
    fields = (
        "user",
        "seq",
        "type",
        "amount",
        "balance_after",
        "description",
        "actor",
        "reference_id",
        "hold",
        "reverses",
        "metadata",
        "idempotency_key",
        "created_at",
    )
    actions_list = ("export",)
    actions_detail = ("refund",)

    def keyset(self, request: HttpRequest) -> tuple[QuerySet[Any], str]:
        """Of one user by their own numbers, which the index of every user's rows has."""
        user = lookup.chosen_user(request.GET.get("user", ""), request.GET.get(SEARCH_VAR, ""))
        return (Transaction.objects.all(), "id") if user is None else (Transaction.objects.filter(user=user), "seq")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Transaction], search_term: str
    ) -> tuple[QuerySet[Transaction], bool]:
        return queryset.filter(lookup.transactions(search_term)) if search_term.strip() else queryset, False

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(("credits.export_transaction", "credits.view_transaction"))

    @action(description=_("Export"), url_path="export", permissions=["export"], icon="download")  # type: ignore[untyped-decorator]
    def export(self, request: HttpRequest) -> HttpResponseBase:
        try:
            listed = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            messages.error(request, gettext("This address asks for something that cannot be looked up."))
            return self.back()
        return ExportPage(request, self, listed).respond()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Refund only where something is left."""
        row = self.get_object(request, str(object_id))
        offered = may_refund(request.user, row) and ledger.refundable(row) > 0
        return super().get_actions_detail(request, object_id) if offered else []

    @action(description=_("Refund"), url_path="refund", icon="undo")  # type: ignore[untyped-decorator]
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.back()
        if row.type not in (Transaction.Type.USAGE, Transaction.Type.PURCHASE):
            messages.error(request, gettext("Only usage and purchases can be refunded."))
            return self.back(row)
        if not may_refund(request.user, row):
            raise PermissionDenied
        if request.method != "POST" and not ledger.refundable(row):
            messages.error(request, gettext("Nothing is left to refund."))
            return self.back(row)
        return RefundPage(request, self, row).respond()


@admin.register(Hold)
class HoldAdmin(RowAdmin):
    list_display = ("created_at", "user", "amount", "captured", "state", "countdown", "reference_id")
    list_filter = (OneUserFilter, ("state", ChoicesDropdownFilter), ("created_at", WrittenFilter))
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("reference_id",)
    search_help_text = _("E-mail address or public id of a user, number, or completion: the whole of it")
    fields = readonly_fields = (
        "user",
        "amount",
        "captured",
        "state",
        "countdown",
        "reference_id",
        "created_at",
        "expires_at",
        "ended_at",
    )
    actions_detail = ("cancel",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Hold], search_term: str
    ) -> tuple[QuerySet[Hold], bool]:
        return queryset.filter(lookup.holds(search_term)) if search_term.strip() else queryset, False

    @admin.display(description=_("expires"))
    def countdown(self, hold: Hold) -> str:
        return countdown(hold)

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.cancel_hold")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        row = self.get_object(request, str(object_id))
        return super().get_actions_detail(request, object_id) if row and row.state == Hold.State.OPEN else []

    @action(description=_("Cancel hold"), url_path="cancel", permissions=["cancel"], icon="cancel")  # type: ignore[untyped-decorator]
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.back()
        if row.state != Hold.State.OPEN:
            messages.error(request, gettext("This hold has ended meanwhile. Nothing was changed."))
            return self.back(row)
        return CancellationPage(request, self, row).respond()


@admin.register(Approval)
class ApprovalAdmin(RowAdmin):
    """What waits for a second administrator, and what was decided."""

    list_display = ("created_at", "kind", "amount", "reason", "requester", "state", "countdown", "decided_by")
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", WrittenFilter))
    list_filter_submit = True
    list_select_related = ("requester", "decided_by")
    search_fields = ("reason", "requester__email")
    fields = readonly_fields = (
        "kind",
        "amount",
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
        return countdown(approval)

    @admin.display(description=_("users"))
    def for_users(self, approval: Approval) -> str:
        return ", ".join(approval.users.order_by("pk").values_list("email", flat=True))

    @admin.display(description=_("transactions"))
    def posted(self, approval: Approval) -> str:
        return ", ".join(str(pk) for pk in approval.transactions.order_by("pk").values_list("pk", flat=True)) or "–"

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("credits.approve_adjustment")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Withdraw for who asked, approve and reject for others, as long as it waits."""
        row = self.get_object(request, str(object_id))
        if row is None or not row.waits:
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

    def _decide(self, request: HttpRequest, object_id: str, page: type[ApprovePage | RejectPage]) -> HttpResponseBase:
        if (row := self.row(request, object_id)) is None:
            return self.back()
        own = row.requester_id == request.user.pk
        if own is not issubclass(page, WithdrawPage):
            messages.error(request, gettext("Another administrator must decide what you ask for."))
            return self.back(row)
        if not row.waits:
            messages.error(request, gettext("This was decided, withdrawn or expired meanwhile. Nothing was changed."))
            return self.back(row)
        return page(request, self, row).respond()


@admin.register(Package)
class PackageAdmin(accounts.admin.CheckedActions, ModelAdmin):
    list_display = ("name", "credits", "price_usd", "is_popular", "is_active", "sort_order")
    list_filter = ("is_active",)
    search_fields = ("name",)
    readonly_fields = ("created_at",)
