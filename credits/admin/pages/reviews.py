"""The pages on which an administrator decides about a payment that is not what was agreed."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
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
from credits.operators import actions, approvals
from credits.reversals.postings import sum_in_force


class ReviewForm(ReasonForm):
    reason = make_reason_field(
        help_text=gettext_lazy("Other administrators can read this. It is kept in the log.")
    )


class ReviewPage(ConfirmedFormPage):
    """What was agreed, what came, and why they differ."""

    form_class = ReviewForm

    def __init__(self, request: Any, model_admin: Any, purchase: Purchase) -> None:
        super().__init__(request, model_admin)
        self.purchase = purchase

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

    def back(self) -> str:
        return reverse("admin:credits_purchase_change", args=[self.purchase.pk])


class AcceptPage(ReviewPage):
    """Gives the agreed credits, although the payment differs from the agreement."""

    def __init__(self, request: Any, model_admin: Any, purchase: Purchase) -> None:
        super().__init__(request, model_admin, purchase)
        self.title, self.verb = _("Accept the payment"), _("Accept")

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

    def __init__(self, request: Any, model_admin: Any, purchase: Purchase) -> None:
        super().__init__(request, model_admin, purchase)
        self.title = self.verb = _("Leave without credits")

    def notice(self, cleaned: dict[str, Any]) -> str:
        return _(
            "No credits are given and no money is sent. Do this only if the case is settled in"
            " another way, and tell the user how."
        )

    def act(self, cleaned: dict[str, Any]) -> str:
        actions.leave_payment(self.purchase, cleaned["reason"], actor=self.actor)
        return _("The payment stays without credits, and the case is closed.")
