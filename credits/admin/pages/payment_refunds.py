"""The page on which an administrator refunds a payment: the money, and the credits with it."""

from typing import Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldBooleanWidget

from accounts.toolbox.exceptions import Refusal
from credits import ledger
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    Facts,
    Preview,
    ReasonForm,
    describe_needed_approval,
    describe_requested_approval,
    make_reason_field,
)
from credits.currencies import count_decimals, format_amount, to_decimal
from credits.models import Approval, Purchase, Refund, Subscription
from credits.operators import approvals
from credits.reversals import proposals
from credits.reversals.postings import count_credits, sum_in_force
from credits.reversals.refund_acts import Request
from credits.reversals.refusals import RefusedByStripe, TooMuchMoney


class PaymentRefundForm(ReasonForm):
    """`credits` is what the preview shows; the confirmation refunds that or nothing."""

    money = forms.DecimalField(max_digits=14, min_value=0, widget=UnfoldAdminDecimalFieldWidget)
    as_debt = forms.BooleanField(
        label=gettext_lazy("Take the rest as debt"),
        help_text=gettext_lazy(
            "If credits of this purchase are spent: what is missing becomes a debt, which the next"
            " purchase pays first. Without it, the refund is refused."
        ),
        required=False,
        widget=UnfoldBooleanWidget,
    )
    ends_plan = forms.BooleanField(
        label=gettext_lazy("End the plan now"),
        help_text=gettext_lazy(
            "The plan that this payment is for ends as soon as Stripe has accepted the refund. "
            "If you do not choose this, the plan continues and is charged again for the next "
            "period."
        ),
        required=False,
        widget=UnfoldBooleanWidget,
    )
    reason = make_reason_field(
        help_text=gettext_lazy("The user and other administrators can read this.")
    )
    credits = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    field_order = ("money", "as_debt", "ends_plan", "reason", "key", "credits")

    def __init__(self, *args: Any, purchase: Purchase, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.purchase, self.most = purchase, most
        if find_running_plan(purchase) is None:
            del self.fields["ends_plan"]
        self.decimals = count_decimals(purchase.paid_currency)
        self.fields["money"].label = _("Money (%(currency)s)") % {
            "currency": purchase.paid_currency.upper()
        }
        self.fields["money"].help_text = describe_limit(purchase, most)

    def clean_money(self) -> int:
        """Return the amount in minor units.

        It is compared with what is left before the confirmation only: when a form is sent twice,
        nothing is left at the second time, but its key must get the first outcome again.
        """
        amount = self.cleaned_data["money"].scaleb(self.decimals)
        if amount != int(amount) or amount < 1:
            raise forms.ValidationError(_("This is no amount of this currency."))
        if "confirm" not in self.data and amount > self.most:
            raise forms.ValidationError(describe_limit(self.purchase, self.most))
        return int(amount)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "money" in cleaned and "confirm" not in self.data:
            cleaned["credits"] = count_credits(self.purchase, cleaned["money"])
            self.data = {**self.data, "credits": str(cleaned["credits"])}
        return cleaned


class PaymentRefundPage(ConfirmedFormPage):
    name = "refund"
    label = gettext_lazy("Refund")
    icon = "undo"

    def __init__(self, request: Any, model_admin: Any, purchase: Purchase) -> None:
        super().__init__(request, model_admin, purchase)
        self.purchase = purchase
        self.proposal = proposals.propose(purchase)

    def form(self, data: Any = None) -> PaymentRefundForm:
        most = self.proposal.most_amount
        # As a plain dictionary, because the form writes what the preview shows into it.
        data = None if data is None else data.dict()
        return PaymentRefundForm(data, initial=self.initial(), purchase=self.purchase, most=most)

    def initial(self) -> dict[str, Any]:
        """Propose the money of the unspent credits."""
        money = to_decimal(self.proposal.amount, self.purchase.paid_currency)
        return {**super().initial(), "money": money if self.proposal.amount else None}

    def facts(self) -> Facts:
        row, proposal = self.purchase, self.proposal
        paid_at = formats.date_format(row.paid_at, "DATETIME_FORMAT") if row.paid_at else "–"
        return (
            (_("Purchase"), f"{row.public_id} · {row.name}"),
            (_("Paid"), f"{format_amount(row.paid_total, row.paid_currency)} · {paid_at}"),
            (_("Credits"), intcomma(row.credits)),
            (_("Sent back so far"), format_amount(sum_in_force(row), row.paid_currency)),
            (_("Not spent"), self._describe(proposal.credits, proposal.amount)),
        )

    def _describe(self, credits: int, amount: int) -> str:
        text = ngettext(
            "%(credits)s credit for %(amount)s", "%(credits)s credits for %(amount)s", credits
        )
        money = format_amount(amount, self.purchase.paid_currency)
        return text % {"credits": intcomma(credits), "amount": money}

    def users(self) -> list[Any]:
        return [self.purchase.user]

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        credits = self._count(cleaned)
        return [Preview(self.purchase.user, self._count_debt(cleaned) - credits)]

    def _count(self, cleaned: dict[str, Any]) -> int:
        credits = cleaned.get("credits")
        return count_credits(self.purchase, cleaned["money"]) if credits is None else int(credits)

    def _count_debt(self, cleaned: dict[str, Any]) -> int:
        """Return the credits that are missing and become a debt."""
        missing = self._count(cleaned) - ledger.balance(self.purchase.user).available
        return max(missing, 0) if cleaned["as_debt"] else 0

    def notice(self, cleaned: dict[str, Any]) -> str:
        credits, debt = self._count(cleaned), self._count_debt(cleaned)
        text = _("The refund of %(amount)s takes %(credits)s credits.") % {
            "amount": format_amount(cleaned["money"], self.purchase.paid_currency),
            "credits": intcomma(credits),
        }
        owed = _("%(debt)s of them are spent and become a debt.") % {"debt": intcomma(debt)}
        plan, approval = self._describe_plan(cleaned), describe_needed_approval(credits)
        return " ".join(filter(None, [text, owed if debt else "", plan, approval]))

    def _describe_plan(self, cleaned: dict[str, Any]) -> str:
        """Say what becomes of the plan that was paid; empty if none runs."""
        running = find_running_plan(self.purchase)
        if running is None:
            return ""
        if cleaned["ends_plan"]:
            return _("The plan %(plan)s ends now.") % {"plan": running.plan}
        if running.cancels_at_end or running.period_end is None:
            return _("The plan %(plan)s ends with its period.") % {"plan": running.plan}
        return _("The plan %(plan)s continues: its next payment is on %(day)s.") % {
            "plan": running.plan,
            "day": formats.date_format(running.period_end),
        }

    def button(self, cleaned: dict[str, Any]) -> str:
        needs_approval = approvals.needs_approval(self._count(cleaned))
        return _("Request approval") if needs_approval else self.verb

    def act(self, cleaned: dict[str, Any]) -> str:
        request = Request(
            amount=cleaned["money"],
            reason=cleaned["reason"],
            key=cleaned["key"],
            actor=self.actor,
            credits=cleaned["credits"],
            as_debt=cleaned["as_debt"],
            ends_plan=cleaned.get("ends_plan", False),
        )
        done = approvals.refund_payment_or_ask(self.purchase, request, actor=self.actor)
        return (
            describe_requested_approval() if isinstance(done, Approval) else describe_refund(done)
        )

    def explain(self, refusal: Refusal) -> str:
        if isinstance(refusal, TooMuchMoney):
            return describe_limit(self.purchase, refusal.most)
        return super().explain(refusal)


def find_running_plan(purchase: Purchase) -> Subscription | None:
    """Return the subscription that this paid for, while it has not ended; else None."""
    rows = Subscription.objects.filter(periods__purchase=purchase, ended_at=None)
    return rows.select_related("plan").first()


def describe_limit(purchase: Purchase, most: int) -> str:
    text = _("At most %(most)s can be refunded.")
    return text % {"most": format_amount(most, purchase.paid_currency)}


def describe_refund(refund: Refund) -> str:
    """Say what became of a refund. Raises RefusedByStripe if Stripe refused it."""
    if refund.state == Refund.State.REFUSED:
        raise RefusedByStripe(refund.problem)
    if refund.state == Refund.State.ACCEPTED:
        return _("The money is on its way back, and the credits have been taken.")
    return _(
        "The credits have been taken. Stripe has not answered yet, and will be asked again by"
        " itself."
    )


def find_online_purchase(transaction: Any) -> Purchase | None:
    """Return the purchase of this transaction if its money can be sent back; else None."""
    purchase = Purchase.objects.filter(transaction=transaction).select_related("user").first()
    return purchase if purchase and proposals.can_be_refunded(purchase) else None
