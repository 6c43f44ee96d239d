"""Plans that are paid by the month."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Plan
from credits.models.purchases import Purchase, make_public_id


class Subscription(models.Model):
    """One subscription: what was agreed at its start, and how it stands at Stripe.

    `credits` and `amount` (minor units of `currency`, a month) are frozen: an edit of the plan
    changes no running subscription. `status` is Stripe's, or `new` before Stripe has one, `open`
    while a session can be paid, `expired` after one that was not. `changes` counts the requests
    that change it at Stripe, for their idempotency keys. `invoice_url` is Stripe's page of an
    invoice that waits to be paid, and `reminded` names the attempt to collect it that the buyer had
    a mail about.
    """

    # Stripe's states of a subscription that still runs, and those in which its plan applies.
    RUNNING = ("incomplete", "trialing", "active", "past_due", "unpaid", "paused")
    IN_FORCE = ("trialing", "active", "past_due")
    ENDED = ("canceled", "incomplete_expired", "expired")

    public_id = models.CharField(
        _("number"), max_length=40, unique=True, default=make_public_id, editable=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="subscriptions",
        verbose_name=_("user"),
    )
    plan = models.ForeignKey(
        Plan, on_delete=models.PROTECT, related_name="+", verbose_name=_("plan")
    )
    credits = models.PositiveBigIntegerField(_("credits a month"))
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.PositiveBigIntegerField(_("amount a month"))
    tax_percent = models.DecimalField(
        _("tax rate in percent"), max_digits=6, decimal_places=3, default=0, db_default=0
    )
    livemode = models.BooleanField(_("real money"))
    form_key = models.CharField(max_length=64, null=True, blank=True, unique=True)
    status = models.CharField(_("status"), max_length=30, default="new")
    checkout_session = models.CharField(max_length=100, blank=True, default="", db_index=True)
    checkout_url = models.TextField(blank=True, default="")
    expires_at = models.DateTimeField(_("can be paid until"), null=True, blank=True)
    stripe_id = models.CharField(_("Stripe subscription"), max_length=100, blank=True, default="")
    stripe_item = models.CharField(max_length=100, blank=True, default="")
    stripe_price = models.CharField(max_length=100, blank=True, default="")
    period_start = models.DateTimeField(_("period from"), null=True, blank=True)
    period_end = models.DateTimeField(_("period until"), null=True, blank=True)
    cancels_at_end = models.BooleanField(_("ends with the period"), default=False)
    next_plan = models.ForeignKey(
        Plan,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("plan from the next period"),
    )
    changes = models.PositiveIntegerField(default=1, db_default=1)
    invoice_url = models.TextField(blank=True, default="", db_default="")
    reminded = models.CharField(max_length=120, blank=True, default="", db_default="")
    problem = models.TextField(_("problem"), blank=True, default="")
    created_at = models.DateTimeField(_("created"), db_default=Now())
    checked_at = models.DateTimeField(_("last compared with Stripe"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    # It has to end at Stripe at once: `sync_subscriptions` does it, and asks again until it is so.
    end_asked_at = models.DateTimeField(_("has to end since"), null=True, blank=True)
    end_because = models.CharField(
        _("ends because"), max_length=200, blank=True, default="", db_default=""
    )

    class Meta:
        db_table = "subscriptions"
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        permissions = [("end_subscription", _("Can end paid plans"))]
        indexes = [models.Index(fields=["user", "-id"], name="subscriptions_by_user")]
        constraints = [
            models.UniqueConstraint(
                fields=["stripe_id"], condition=~Q(stripe_id=""), name="subscriptions_once"
            )
        ]

    def __str__(self) -> str:
        return self.public_id


class SubscriptionPrice(models.Model):
    """A price that the buyer agreed to, at the start or by a change of the plan.

    `number` is that of the change. An invoice gives credits only if it has one of these prices, and
    then the `credits` that were agreed with it. `amount` is in minor units of the subscription's
    currency.
    """

    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.PROTECT,
        related_name="prices",
        verbose_name=_("subscription"),
    )
    number = models.PositiveIntegerField(_("number"))
    plan = models.ForeignKey(
        Plan, on_delete=models.PROTECT, related_name="+", verbose_name=_("plan")
    )
    credits = models.PositiveBigIntegerField(_("credits a month"))
    amount = models.PositiveBigIntegerField(_("amount a month"))
    stripe_price = models.CharField(_("Stripe price"), max_length=100, blank=True, default="")
    form_key = models.CharField(max_length=64, null=True, blank=True, unique=True)
    agreed_at = models.DateTimeField(_("agreed"), db_default=Now())

    class Meta:
        db_table = "subscription_prices"
        verbose_name = _("agreed price")
        verbose_name_plural = _("agreed prices")
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "number"], name="subscription_prices_by_number"
            ),
            models.UniqueConstraint(
                fields=["stripe_price"],
                condition=~Q(stripe_price=""),
                name="subscription_prices_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} {self.amount}"


class SubscriptionPeriod(models.Model):
    """A paid invoice of a subscription: the purchase that it is, and the period that it pays."""

    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.PROTECT,
        related_name="periods",
        verbose_name=_("subscription"),
    )
    purchase = models.OneToOneField(
        Purchase,
        on_delete=models.PROTECT,
        related_name="subscription_period",
        verbose_name=_("purchase"),
    )
    price = models.ForeignKey(
        SubscriptionPrice,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("agreed price"),
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))

    class Meta:
        db_table = "subscription_periods"
        verbose_name = _("paid period")
        verbose_name_plural = _("paid periods")

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} – {self.ends_at:%Y-%m-%d}"
