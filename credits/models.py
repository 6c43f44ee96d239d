"""Rows of the ledger. Only credits/ledger.py writes Transaction and Hold."""

from typing import Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class TransactionQuerySet(models.QuerySet["Transaction"]):
    def newest_first(self) -> Self:
        """By `seq`, the order of posting: timestamps of a busy account are not in order."""
        return self.order_by("-seq")


class Transaction(models.Model):
    """One immutable signed movement of a user's balance, in whole credits."""

    class Type(models.TextChoices):
        PURCHASE = "purchase", _("Purchase")
        USAGE = "usage", _("Usage")
        BONUS = "bonus", _("Bonus")
        REFUND = "refund", _("Refund")
        ADJUSTMENT = "adjustment", _("Adjustment")
        SUBSCRIPTION = "subscription", _("Subscription")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="transactions", verbose_name=_("user")
    )
    seq = models.BigIntegerField(_("number"))
    type = models.CharField(_("type"), max_length=20, choices=Type)
    amount = models.BigIntegerField(_("amount"))
    balance_after = models.BigIntegerField(_("balance after"))
    description = models.CharField(_("description"), max_length=500, blank=True)
    metadata = models.JSONField(_("details"), default=dict, blank=True)
    reference_id = models.CharField(_("reference"), max_length=200, blank=True)
    reverses = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversals", verbose_name=_("reverses")
    )
    hold = models.ForeignKey(
        "Hold", on_delete=models.PROTECT, null=True, blank=True, related_name="transactions", verbose_name=_("hold")
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("done by"),
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=255, null=True, blank=True)  # noqa: DJ001 – NULLs do not collide
    created_at = models.DateTimeField(_("time"), db_default=Now())

    objects = TransactionQuerySet.as_manager()

    class Meta:
        db_table = "credit_transactions"
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        constraints = [
            models.UniqueConstraint(fields=["user", "seq"], name="credit_transactions_user_seq"),
            models.UniqueConstraint(
                fields=["user", "type", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="credit_transactions_once_per_key",
            ),
            models.UniqueConstraint(
                fields=["user", "hold"], condition=Q(type="usage"), name="credit_transactions_one_usage_per_hold"
            ),
            models.CheckConstraint(condition=~Q(amount=0), name="credit_transactions_amount_not_zero"),
            models.CheckConstraint(condition=Q(balance_after__gte=0), name="credit_transactions_never_negative"),
            models.CheckConstraint(condition=Q(seq__gte=1), name="credit_transactions_seq_from_one"),
            models.CheckConstraint(
                condition=~Q(type="usage") | Q(amount__lt=0), name="credit_transactions_usage_is_negative"
            ),
            models.CheckConstraint(
                condition=~Q(type__in=["purchase", "bonus", "subscription"]) | Q(amount__gt=0),
                name="credit_transactions_grants_are_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.seq} {self.type} {self.amount:+}"


class Hold(models.Model):
    """Credits set aside for one completion until its real cost is known.

    `captured` is what was charged in the end: NULL until then, at most `amount` unless the
    completion cost more than was held and the balance covered it.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        CAPTURED = "captured", _("Captured")
        RELEASED = "released", _("Released")
        EXPIRED = "expired", _("Expired")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="holds", verbose_name=_("user")
    )
    amount = models.BigIntegerField(_("amount"))
    captured = models.BigIntegerField(_("captured"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    reference_id = models.CharField(_("completion"), max_length=64)
    created_at = models.DateTimeField(_("since"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        db_table = "credit_holds"
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="open"), name="credit_holds_open_by_expiry"),
            models.Index(fields=["user"], condition=Q(state="open"), name="credit_holds_open_by_user"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "reference_id"], name="credit_holds_once_per_reference"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="credit_holds_amount_not_negative"),
            models.CheckConstraint(condition=Q(captured__gte=0), name="credit_holds_captured_not_negative"),
            models.CheckConstraint(
                condition=Q(state="open", captured=None, ended_at=None)
                | Q(state="captured", captured__isnull=False, ended_at__isnull=False)
                | Q(state="released", captured=None, ended_at__isnull=False)
                | Q(state="expired", ended_at__isnull=False),
                name="credit_holds_state_and_facts_agree",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} for {self.reference_id} ({self.state})"


class Package(models.Model):
    """A number of credits that can be bought for a price in US dollars."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    description = models.CharField(_("description"), max_length=300, blank=True)
    credits = models.PositiveIntegerField(_("credits"), validators=[MinValueValidator(1)])
    price_usd = models.DecimalField(
        _("price (USD)"), max_digits=10, decimal_places=2, validators=[MinValueValidator(0)]
    )
    is_popular = models.BooleanField(_("popular"), default=False)
    is_active = models.BooleanField(_("on sale"), default=True)
    sort_order = models.IntegerField(_("position"), default=0)
    stripe_price_id = models.CharField(_("Stripe price id"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        db_table = "credit_packages"
        ordering = ["sort_order", "id"]
        verbose_name = _("package")
        verbose_name_plural = _("packages")

    def __str__(self) -> str:
        return self.name


class Approval(models.Model):
    """What one administrator wants done with many credits, until another one allows or refuses it.

    Nothing is posted while it is pending. `amount` is per user; for a refund it is how much of `refunds`
    goes back. A pending one past `expires_at` counts as expired and can only be looked at.
    """

    class Kind(models.TextChoices):
        ADJUSTMENT = "adjustment", _("Adjustment")
        BONUS = "bonus", _("Bonus")
        REFUND = "refund", _("Refund")

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    users = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+", verbose_name=_("users"))
    amount = models.BigIntegerField(_("credits per user"))
    credits_expire_at = models.DateTimeField(_("credits expire"), null=True, blank=True)
    refunds = models.ForeignKey(
        Transaction, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("refunds")
    )
    reason = models.CharField(_("reason"), max_length=500)
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("asked for by")
    )
    key = models.CharField(max_length=64, unique=True, editable=False)  # of the form: sent twice, asked once
    created_at = models.DateTimeField(_("asked"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)
    transactions = models.ManyToManyField(
        Transaction, related_name="approvals", blank=True, verbose_name=_("transactions")
    )

    class Meta:
        db_table = "credit_approvals"
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        default_permissions = ("view",)
        permissions = [
            ("approve_adjustment", _("Can approve what others ask for, and adjust beyond the support limit")),
            ("refund_usage", _("Can refund usage")),
            ("refund_purchase", _("Can refund purchases")),
            ("cancel_hold", _("Can cancel holds")),
            ("export_transaction", _("Can export transactions")),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="credit_approvals_amount_not_zero"),
            models.CheckConstraint(
                condition=Q(state="pending", decided_by=None, decided_at=None)
                | (~Q(state="pending") & Q(decided_by__isnull=False, decided_at__isnull=False)),
                name="credit_approvals_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "rejected"]) | ~Q(decided_by=models.F("requester")),
                name="credit_approvals_by_somebody_else",
            ),
            models.CheckConstraint(
                condition=Q(kind="refund", refunds__isnull=False) | (~Q(kind="refund") & Q(refunds=None)),
                name="credit_approvals_refund_names_its_original",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount:+}"

    @property
    def waits(self) -> bool:
        """Whether it can still be decided."""
        return self.state == self.State.PENDING and self.expires_at > timezone.now()
