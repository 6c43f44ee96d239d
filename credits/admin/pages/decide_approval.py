"""The page on which an administrator decides another one's request, and that of withdrawing."""

from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts.links import add_links
from accounts.models import User
from accounts.toolbox.exceptions import Refusal
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    Facts,
    NoteForm,
    Preview,
    make_reason_field,
)
from credits.countdown import format_countdown
from credits.currencies import format_amount
from credits.exceptions import InvalidAmount, NoDebt
from credits.models import Approval, Purchase, Refund
from credits.operators import approvals
from credits.operators.approvals import NotPending, OwnRequest
from credits.reversals.refusals import RefusedByStripe
from credits.templatetags.amounts import format_signed

MOST_LINKS = 3  # in the message about an approval


class DecideForm(NoteForm):
    """The note of an approval may be left out, the reason of a rejection not."""

    reason = make_reason_field(
        required=False,
        help_text=gettext_lazy(
            "Needed to reject, optional to approve. Other administrators can read it."
        ),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if is_rejection(self.data) and cleaned.get("reason") == "":
            self.add_error("reason", _("Say why you reject this."))
        return cleaned


def is_rejection(sent: Any) -> bool:
    """Whether the second button of the page was pressed."""
    return bool(sent.get("confirm") == "0")


class ApprovalAct(ConfirmedFormPage):
    """The page of a pending request: its facts, and what it would do to the current balances."""

    at_once = True

    def __init__(self, request: Any, model_admin: Any, approval: Approval) -> None:
        super().__init__(request, model_admin, approval)
        self.approval = approval
        self.chosen = list(approval.users.order_by("pk"))

    @classmethod
    def explain_obstacle(cls, row: Approval, actor: User) -> str:
        return "" if row.can_be_decided else describe_decided()

    def facts(self) -> Facts:
        approval = self.approval
        last = approval.credits_expire_at
        return (
            (_("Change"), f"{approval.get_kind_display()} {describe_change(approval)}"),
            (_("Reason"), approval.reason),
            *([(_("Refunded transaction"), approval.refunds)] if approval.refunds else []),
            *([(_("Payment"), describe_payment(approval.accepts))] if approval.accepts else []),
            *([(_("Money"), describe_money(approval))] if approval.money is not None else []),
            *(
                [(_("Credits expire"), formats.date_format(last, "DATETIME_FORMAT"))]
                if last
                else []
            ),
            (_("Requested by"), approval.requester),
            (_("Requested"), formats.date_format(approval.created_at, "DATETIME_FORMAT")),
            (_("Expires"), format_countdown(approval)),
        )

    def users(self) -> list[User]:
        return self.chosen

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        change = get_balance_change(self.approval)
        if self.approval.takes_debt:  # What is not available becomes a debt.
            return [Preview(user, max(change, -user.available)) for user in self.chosen]
        return [Preview(user, change) for user in self.chosen]

    def explain(self, refusal: Refusal) -> str:
        if isinstance(refusal, NotPending):
            return describe_decided()
        if isinstance(refusal, OwnRequest):
            return _("Another administrator must decide on your request.")
        if self.approval.kind == Approval.Kind.WRITE_OFF and isinstance(
            refusal, InvalidAmount | NoDebt
        ):
            return _("The user owes less than that by now. Nothing was changed.")
        return super().explain(refusal)


class DecidePage(ApprovalAct):
    """Approves a request, or rejects it, by one of two buttons."""

    name = "approve"
    label = gettext_lazy("Approve or reject")
    icon = "approval"
    permission = approvals.MAY_APPROVE
    form_class = DecideForm
    alternative = gettext_lazy("Reject")

    def __init__(self, request: Any, model_admin: Any, approval: Approval) -> None:
        super().__init__(request, model_admin, approval)
        self.verb = _("Approve")

    @classmethod
    def explain_obstacle(cls, row: Approval, actor: User) -> str:
        if row.requester_id == actor.pk:
            return _("Another administrator must decide on your request.")
        return super().explain_obstacle(row, actor)

    def act(self, cleaned: dict[str, Any]) -> str:
        if is_rejection(self.request.POST):
            approvals.reject(self.approval, actor=self.actor, note=cleaned["reason"])
            return _("The request has been rejected. Nothing was changed.")
        posted = approvals.approve(self.approval, actor=self.actor, note=cleaned["reason"])
        refund = approvals.find_refund(self.approval)
        if refund is not None and refund.state == Refund.State.REFUSED:
            return _("The request has been approved. %(refusal)s") % {
                "refusal": RefusedByStripe(refund.problem).message
            }
        text = _("The request has been approved and carried out.")
        return add_links(text, *posted[:MOST_LINKS])


class WithdrawPage(ApprovalAct):
    name = "withdraw"
    label = gettext_lazy("Withdraw")
    icon = "undo"
    danger = True

    @classmethod
    def may_any(cls, actor: User) -> bool:
        """The requester needs no other permission than to see approvals."""
        return True

    @classmethod
    def may(cls, actor: User, row: Approval) -> bool:
        return row.requester_id == actor.pk

    def act(self, cleaned: dict[str, Any]) -> str:
        approvals.withdraw(self.approval, actor=self.actor, note=cleaned["reason"])
        return _("The request has been withdrawn. Nothing was changed.")


def describe_decided() -> str:
    return _(
        "This request has already been decided or withdrawn, or it has expired. "
        "Nothing was changed."
    )


def get_balance_change(approval: Approval) -> int:
    """Return by how many credits each balance changes.

    It is negative for the refund of a payment, and 0 for a write-off.
    """
    if approval.kind == Approval.Kind.WRITE_OFF:
        return 0
    return -approval.amount if approval.refunds and approval.refunds.amount > 0 else approval.amount


def describe_payment(purchase: Purchase) -> str:
    """Return the payment in review that would be accepted, and what differs."""
    received = format_amount(purchase.paid_total, purchase.paid_currency)
    return f"{purchase.public_id} · {received} · {purchase.problem}"


def describe_money(approval: Approval) -> str:
    """Return the money of a refund; say so if spent credits become a debt."""
    purchase = Purchase.objects.get(transaction=approval.refunds)
    money = format_amount(approval.money or 0, purchase.paid_currency)
    choices = [
        _("Take the rest as debt") if approval.takes_debt else "",
        _("End the plan now") if approval.ends_plan else "",
    ]
    return " · ".join(filter(None, [money, *choices]))


def describe_change(approval: Approval) -> str:
    """Return the signed change of each balance; of the debt, for a write-off."""
    is_write_off = approval.kind == Approval.Kind.WRITE_OFF
    return format_signed(-approval.amount if is_write_off else get_balance_change(approval))
