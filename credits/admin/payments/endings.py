"""The act that ends a paid plan, for an administrator."""

from typing import Any

from django.db.transaction import atomic
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.admin.acts.page import ActPage, ActRefused, By, Facts
from accounts.models import User
from credits.currencies import format_amount
from credits.models import Purchase, Subscription
from credits.stripe_api.client import is_live
from credits.subscriptions import endings


class EndPlan(ActPage):
    """The plan ends at once. Money is sent back only by the refund of a payment."""

    name = "end"
    label = gettext_lazy("End plan")
    icon = "event_busy"
    permission = "credits.end_subscription"
    danger = True
    asks_network = True

    @classmethod
    def explain_obstacle(cls, row: Subscription, actor: User) -> str:
        if row.ended_at is not None:
            return _("This plan has ended already.")
        if row.end_asked_at is not None:
            return _("The end of this plan was asked for already. Stripe is asked every minute.")
        if not row.stripe_id:
            return _("This plan was never paid, so there is nothing to end.")
        if row.livemode != is_live():
            return _("This plan belongs to another mode of Stripe than the present key.")
        return ""

    def facts(self) -> Facts:
        row = self.row
        return (
            (_("Plan"), row.plan),
            (_("User"), row.user),
            (_("Amount a month"), format_amount(row.amount, row.currency)),
            (_("Paid until"), formats.date_format(row.period_end) if row.period_end else "–"),
        )

    def state(self) -> str:
        return f"{self.row.ended_at}|{self.row.end_asked_at}"

    @classmethod
    def warn(cls) -> str:
        return _(
            "The plan ends now and is not charged again. The credits that it has given stay, and "
            "no money is sent back: to do that, refund the payment on the page of its purchase."
        )

    @classmethod
    def do(cls, row: Subscription, by: By, cleaned: dict[str, Any]) -> str:
        if obstacle := cls.explain_obstacle(row, by.actor):
            raise ActRefused(obstacle)
        with atomic():
            if not endings.ask(row, reason=by.reason):
                raise ActRefused(_("The end of this plan was asked for already."))
            administrators_log.record(by.actor, Act.ENDED_PLAN, row, by.explain("Ended"))
        if endings.end_asked(row):
            return _("The plan has ended.")
        return _("Stripe gives no answer now. It is asked every minute until the plan has ended.")

    @classmethod
    def links(cls, row: Subscription) -> tuple[Any, ...]:
        """Lead to the user, and to the last payment, which can be refunded."""
        paid = Purchase.objects.filter(subscription_period__subscription=row)
        return (row.user, paid.order_by("-pk").first())
