"""Transactions: the movements of balances."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class TransactionQuerySet(models.QuerySet["Transaction"]):
    def newest_first(self) -> Self:
        """Order by `seq`, the order of posting. A busy account's timestamps are not in order."""
        return self.order_by("-seq")


class Transaction(models.Model):
    """One immutable signed movement of a user's balance, in whole credits.

    `op` numbers the operations of the ledger for this user; rows that are older than this count
    have 0. `digest` is the SHA-256 of the previous row's digest and this row's own columns.
    """

    class Type(models.TextChoices):
        PURCHASE = "purchase", _("Purchase")
        USAGE = "usage", _("Usage")
        BONUS = "bonus", _("Bonus")
        REFUND = "refund", _("Refund")
        ADJUSTMENT = "adjustment", _("Adjustment")
        SUBSCRIPTION = "subscription", _("Subscription")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        db_index=False,  # The unique constraint on (user, seq) serves it.
        related_name="transactions",
        verbose_name=_("user"),
    )
    seq = models.BigIntegerField(_("number"))
    type = models.CharField(_("type"), max_length=20, choices=Type)
    amount = models.BigIntegerField(_("amount"))
    balance_after = models.BigIntegerField(_("balance after"))
    debt = models.BigIntegerField(_("debt"), default=0, db_default=0)
    debt_after = models.BigIntegerField(_("debt after"), default=0, db_default=0)
    op = models.BigIntegerField(default=0, db_default=0)
    description = models.CharField(_("description"), max_length=500, blank=True)
    metadata = models.JSONField(_("details"), default=dict, blank=True)
    reference_id = models.CharField(_("reference"), max_length=200, blank=True)
    reverses = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,  # The partial index below serves it: most rows reverse nothing.
        related_name="reversals",
        verbose_name=_("reverses"),
    )
    hold = models.ForeignKey(
        "Hold",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="transactions",
        verbose_name=_("hold"),
    )
    expired_grant = models.ForeignKey(
        "Grant",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("expired grant"),
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("done by"),
    )
    idempotency_key = models.CharField(_("idempotency key"), max_length=255, null=True, blank=True)  # noqa: DJ001 – NULLs do not collide
    digest = models.BinaryField(default=b"", db_default=b"")
    created_at = models.DateTimeField(_("time"), db_default=Now())

    objects = TransactionQuerySet.as_manager()

    class Meta:
        db_table = "credit_transactions"
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        indexes = [
            models.Index(
                fields=["reverses"],
                condition=Q(reverses__isnull=False),
                name="credit_transactions_reversals",
            ),
            # For a person's usage by day. Like the one above, only the few reversals are in it.
            models.Index(
                fields=["user", "created_at"],
                condition=Q(reverses__isnull=False),
                name="credit_transactions_reversed",
            ),
            # For the first page of the admin, which would read millions of rows without it. With
            # the other columns in it, the rows themselves are not read.
            models.Index(
                fields=["created_at"],
                include=["id", "type", "amount", "reference_id"],
                condition=~Q(type="usage"),
                name="credit_transactions_moved",
            ),
            models.Index(
                fields=["actor", "id"],
                condition=Q(actor__isnull=False),
                name="credit_transactions_by_actor",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "seq"], name="credit_transactions_user_seq"),
            models.UniqueConstraint(
                fields=["user", "hold"],
                condition=Q(type="usage"),
                name="credit_transactions_one_usage_per_hold",
            ),
            models.UniqueConstraint(
                fields=["reference_id"],
                # A subscription without a reference is the monthly allowance of a plan.
                condition=Q(type__in=["purchase", "subscription"]) & ~Q(reference_id=""),
                name="credit_transactions_once_per_payment",
            ),
            models.CheckConstraint(
                condition=~Q(amount=0) | ~Q(debt=0), name="credit_transactions_moves_something"
            ),
            models.CheckConstraint(
                condition=Q(balance_after__gte=0, debt_after__gte=0),
                name="credit_transactions_never_negative",
            ),
            models.CheckConstraint(
                condition=Q(seq__gte=1), name="credit_transactions_seq_from_one"
            ),
            models.CheckConstraint(
                condition=~Q(type="usage") | Q(amount__lt=0),
                name="credit_transactions_usage_is_negative",
            ),
            models.CheckConstraint(
                condition=~Q(type__in=["purchase", "bonus", "subscription"]) | Q(amount__gt=0),
                name="credit_transactions_grants_are_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.seq} {self.type} {self.amount:+}"

    @property
    def short_digest(self) -> str:
        """The first 16 of the 64 hexadecimal digits of the digest, for printed lists."""
        return bytes(self.digest).hex()[:16]

    @property
    def is_paid(self) -> bool:
        """True for a purchase, and for a subscription that names its invoice."""
        return self.type == self.Type.PURCHASE or (
            self.type == self.Type.SUBSCRIPTION and self.reference_id != ""
        )

    @property
    def moved(self) -> int:
        """Credits and debt that this row moved, and that a complete reversal moves back."""
        return abs(self.amount - self.debt)
