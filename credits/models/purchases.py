"""Purchases: one row for each payment, and the events that Stripe sent about them."""

import secrets
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import BigIntegerField, F, Q, Sum
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from credits.models.packages import Package
from credits.models.transactions import Transaction


def make_public_id() -> str:
    """Return a name for addresses and for Stripe that does not tell how many there are."""
    return secrets.token_hex(10)


class PurchaseState(models.TextChoices):
    """How far a payment is. Facts only move forward, as STATE_FOLLOWS says."""

    NEW = "new", _("Not at Stripe yet")
    OPEN = "open", _("Open")
    PROCESSING = "processing", _("Waiting for the bank")
    EXPIRED = "expired", _("Expired")
    FAILED = "failed", _("Failed")
    REVIEW = "review", _("In review")
    RETURNED = "returned", _("Sent back")
    PAID = "paid", _("Paid")


# The states that a purchase may have next. An expired session can still turn out to be paid: the
# buyer paid in the last second, and the event about the end came first.
STATE_FOLLOWS = {
    PurchaseState.NEW: {*PurchaseState} - {PurchaseState.NEW},
    PurchaseState.OPEN: {*PurchaseState} - {PurchaseState.NEW, PurchaseState.OPEN},
    PurchaseState.PROCESSING: {
        PurchaseState.FAILED,
        PurchaseState.REVIEW,
        PurchaseState.RETURNED,
        PurchaseState.PAID,
    },
    PurchaseState.EXPIRED: {
        PurchaseState.PROCESSING,
        PurchaseState.REVIEW,
        PurchaseState.RETURNED,
        PurchaseState.PAID,
    },
    PurchaseState.FAILED: {
        PurchaseState.PROCESSING,
        PurchaseState.REVIEW,
        PurchaseState.RETURNED,
        PurchaseState.PAID,
    },
    PurchaseState.REVIEW: {PurchaseState.RETURNED, PurchaseState.PAID},
    PurchaseState.RETURNED: set(),
    PurchaseState.PAID: set(),
}


class PurchaseQuerySet(models.QuerySet["Purchase"]):
    def in_review(self) -> Self:
        """Return the payments that wait for a decision: not decided, and not sent back."""
        returned = Sum("reversals__amount", filter=Q(reversals__is_in_force=True))
        waiting = self.filter(state=PurchaseState.REVIEW, decided_at=None)
        return waiting.annotate(
            returned=Coalesce(returned, 0, output_field=BigIntegerField())
        ).filter(returned__lt=Coalesce("received", "total", output_field=BigIntegerField()))


class Purchase(models.Model):
    """One payment: what was agreed before it, and what became of it.

    The amounts are in minor units of `currency`, and `total` = `net` + `tax`. Everything that the
    buyer agreed to is written before Stripe is asked and does not change afterwards, so the page,
    the payment and the credits always agree. `transaction` is the ledger's row that gave the
    credits. An administrator decides about a payment in review, and `decision` is why: if it is
    accepted, the amounts become those that came.
    """

    class Kind(models.TextChoices):
        PACKAGE = "package", _("Package")
        REFILL = "refill", _("Automatic refill")
        PLAN = "plan", _("Plan")

    State = PurchaseState

    public_id = models.CharField(
        _("number"), max_length=40, unique=True, default=make_public_id, editable=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="purchases",
        verbose_name=_("user"),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    state = models.CharField(
        _("state"), max_length=10, choices=PurchaseState, default=PurchaseState.NEW
    )
    package = models.ForeignKey(
        Package,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("package"),
    )
    name = models.CharField(_("what was bought"), max_length=200)
    credits = models.PositiveBigIntegerField(_("credits"))
    currency = models.CharField(_("currency"), max_length=3)
    net = models.PositiveBigIntegerField(_("net amount"))
    tax = models.PositiveBigIntegerField(_("tax"), default=0, db_default=0)
    total = models.PositiveBigIntegerField(_("total"))
    tax_percent = models.DecimalField(
        _("tax rate in percent"), max_digits=6, decimal_places=3, default=0, db_default=0
    )
    livemode = models.BooleanField(_("real money"))
    language = models.CharField(_("language"), max_length=10, blank=True, default="")
    # The form that was sent: the same form again leads to the same purchase.
    form_key = models.CharField(max_length=64, null=True, blank=True, unique=True)
    expires_at = models.DateTimeField(_("can be paid until"), null=True, blank=True)
    checkout_session = models.CharField(
        _("Stripe session"), max_length=100, blank=True, default="", db_index=True
    )
    checkout_url = models.TextField(blank=True, default="")
    payment_intent = models.CharField(_("Stripe payment"), max_length=100, blank=True, default="")
    invoice = models.CharField(_("Stripe invoice"), max_length=100, blank=True, default="")
    method = models.CharField(_("payment method"), max_length=50, blank=True, default="")
    # The card is kept at Stripe for later payments, because the buyer asked for it.
    saves_card = models.BooleanField(_("keeps the card"), default=False, db_default=False)
    problem = models.TextField(_("problem"), blank=True, default="")
    # What came for a payment in review, where it is not what was agreed.
    received = models.BigIntegerField(_("received"), null=True, blank=True)
    received_currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("decided by"),
    )
    decision = models.CharField(
        _("decision"), max_length=500, blank=True, default="", db_default=""
    )
    transaction = models.OneToOneField(
        Transaction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="purchase",
        verbose_name=_("transaction"),
    )
    created_at = models.DateTimeField(_("created"), db_default=Now())
    checked_at = models.DateTimeField(_("last compared with Stripe"), null=True, blank=True)
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)

    objects = PurchaseQuerySet.as_manager()

    class Meta:
        db_table = "purchases"
        verbose_name = _("purchase")
        verbose_name_plural = _("purchases")
        indexes = [
            models.Index(fields=["user", "-id"], name="purchases_by_user"),
            models.Index(
                fields=["created_at"],
                condition=Q(state__in=["new", "open", "processing", "review"]),
                name="purchases_unfinished",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["payment_intent"],
                condition=~Q(payment_intent=""),
                name="purchases_once_per_payment",
            ),
            models.UniqueConstraint(
                fields=["invoice"], condition=~Q(invoice=""), name="purchases_once_per_invoice"
            ),
            models.CheckConstraint(
                condition=Q(total=F("net") + F("tax")), name="purchases_total_is_net_and_tax"
            ),
            models.CheckConstraint(
                condition=Q(state="paid") | Q(transaction__isnull=True),
                name="purchases_credits_for_paid_ones_only",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def paid_total(self) -> int:
        """Return what came for it, in minor units of `paid_currency`; else what was agreed."""
        return self.total if self.received is None else self.received

    @property
    def paid_currency(self) -> str:
        return self.received_currency or self.currency


class PaymentEvent(models.Model):
    """One event that Stripe sent: the raw text, and what became of it.

    An event is a hint only: its object is fetched again before anything changes. `done_at` is set
    by the effect, so an event whose handling failed is tried again. Since `reduced_at`, the
    payload has numbers and states only, and no personal data any more.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DONE = "done", _("Done")
        IGNORED = "ignored", _("Ignored")
        FAILED = "failed", _("Failed")

    stripe_id = models.CharField(_("Stripe event"), max_length=100, unique=True)
    type = models.CharField(_("type"), max_length=100)
    livemode = models.BooleanField(_("real money"))
    object_id = models.CharField(_("object"), max_length=100, blank=True, default="")
    payload = models.TextField(_("payload"))
    received_at = models.DateTimeField(_("received"), db_default=Now())
    state = models.CharField(
        _("state"), max_length=10, choices=State, default=State.WAITING, db_default="waiting"
    )
    outcome = models.TextField(_("outcome"), blank=True, default="", db_default="")
    tries = models.PositiveIntegerField(_("tries"), default=0, db_default=0)
    next_try_at = models.DateTimeField(_("next try"), null=True, blank=True, db_default=Now())
    done_at = models.DateTimeField(_("done"), null=True, blank=True)
    reduced_at = models.DateTimeField(_("personal data removed"), null=True, blank=True)
    purchase = models.ForeignKey(
        Purchase,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="events",
        verbose_name=_("purchase"),
    )

    class Meta:
        db_table = "payment_events"
        verbose_name = _("Stripe event")
        verbose_name_plural = _("Stripe events")
        permissions = [("replay_paymentevent", _("Can replay payment events"))]
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(state="waiting"), name="payment_events_due"
            ),
            models.Index(fields=["object_id"], name="payment_events_by_object"),
            models.Index(
                fields=["received_at"], condition=Q(state="failed"), name="payment_events_failed"
            ),
            models.Index(
                fields=["received_at"], condition=Q(reduced_at=None), name="payment_events_whole"
            ),
        ]

    def __str__(self) -> str:
        return self.stripe_id


class PackageRequest(models.Model):
    """A user asked for a package where nothing can be paid online; the operator sees it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="package_requests",
        verbose_name=_("user"),
    )
    package = models.ForeignKey(Package, on_delete=models.CASCADE, verbose_name=_("package"))
    created_at = models.DateTimeField(_("asked"), db_default=Now())
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("answered by"),
    )

    class Meta:
        db_table = "package_requests"
        verbose_name = _("request for a package")
        verbose_name_plural = _("requests for packages")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "package"],
                condition=Q(answered_at__isnull=True),
                name="package_requests_one_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.package}"
