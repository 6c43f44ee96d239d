"""The pages on which an administrator decides about a payment that is not what was agreed."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    Facts,
    Preview,
    ReasonForm,
    describe_needed_approval,
    describe_requested_approval,
    make_reason_field,
)
from credits.currencies import format_amount
from credits.models import Purchase
from credits.operators import actions, approvals, reviews
from credits.reversals.postings import sum_in_force


class ReviewForm(ReasonForm):
    reason = make_reason_field(
        help_text=gettext_lazy("Other administrators can read this. It is kept in the log.")
    )


class ReviewPage(ConfirmedFormPage):
    """What was agreed, what came, and why they differ."""

    form_class = ReviewForm
    permission = "credits.accept_payment"

    def __init__(self, request: Any, model_admin: Any, purchase: Purchase) -> None:
        super().__init__(request, model_admin, purchase)
        self.purchase = purchase

    @classmethod
    def explain_obstacle(cls, row: Purchase, actor: User) -> str:
        """Say so unless the payment waits for a decision."""
        waits = Purchase.objects.in_review().filter(pk=row.pk).exists()
        return "" if waits else reviews.NotInReview(row).message

    def facts(self) -> Facts:
        row = self.purchase
        returned = sum_in_force(row)
        return (
            (_("Purchase"), f"{row.public_id} · {row.name}"),
            (_("User"), row.user),
            (_("Agreed"), format_amount(row.total, row.currency)),
            (_("Received"), format_amount(row.paid_total, row.paid_currency)),
            (_("Problem"), row.problem),
            *(
                [(_("Sent back so far"), format_amount(returned, row.paid_currency))]
                if returned
                else []
            ),
        )

    def users(self) -> list[User]:
        return [self.purchase.user]


class AcceptPage(ReviewPage):
    """Gives the agreed credits, although the payment differs from the agreement."""

    name = "accept"
    label = gettext_lazy("Accept")
    icon = "check"

    def __init__(self, request: Any, model_admin: Any, purchase: Purchase) -> None:
        super().__init__(request, model_admin, purchase)
        self.title = _("Accept the payment")

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        return [Preview(self.purchase.user, self.purchase.credits)]

    def notice(self, cleaned: dict[str, Any]) -> str:
        row = self.purchase
        text = _("The user gets %(credits)s credits for %(amount)s, and a receipt for this amount.")
        text %= {
            "credits": intcomma(row.credits),
            "amount": format_amount(row.paid_total, row.paid_currency),
        }
        return f"{text} {describe_needed_approval(row.credits)}".strip()

    def button(self, cleaned: dict[str, Any]) -> str:
        needs_approval = approvals.needs_approval(self.purchase.credits)
        return _("Request approval") if needs_approval else self.verb

    def act(self, cleaned: dict[str, Any]) -> str:
        reason, key = cleaned["reason"], cleaned["key"]
        if approvals.accept_payment_or_ask(self.purchase, reason, actor=self.actor, key=key):
            return describe_requested_approval()
        return _("The payment is accepted, and the user has the credits.")


class LeavePage(ReviewPage):
    """Closes a review in which no credits are given and no money is refunded."""

    name = "leave"
    label = gettext_lazy("Leave without credits")
    icon = "block"

    def notice(self, cleaned: dict[str, Any]) -> str:
        return _(
            "No credits are given and no money is sent. Do this only if the case is settled in"
            " another way, and tell the user how."
        )

    def act(self, cleaned: dict[str, Any]) -> str:
        actions.leave_payment(self.purchase, cleaned["reason"], actor=self.actor)
        return _("The payment stays without credits, and the case is closed.")
