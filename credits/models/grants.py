"""Grants, and which transactions spent their credits."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from credits.models.transactions import Transaction


class GrantQuerySet(models.QuerySet["Grant"]):
    def expiring(self) -> Self:
        """Grants with remaining credits that have an expiry, the soonest first."""
        return self.filter(is_live=True, expires_at__isnull=False).order_by("expires_at")


class Grant(models.Model):
    """Credits that were given by one transaction: how many remain, and when they expire.

    Grants with a lower `priority` are spent first. `pinned` of the `remaining` credits are reserved
    for open holds: they stay after the expiry until those holds end. A refund into an expired grant
    gives it a new `expires_at`.
    """

    class Source(models.TextChoices):
        PURCHASE = "purchase", _("Purchase")
        BONUS = "bonus", _("Bonus")
        SUBSCRIPTION = "subscription", _("Subscription")
        ADJUSTMENT = "adjustment", _("Adjustment")
        REFUND = "refund", _("Refund")
        OPENING = "opening", _("Opening balance")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        db_index=False,  # The index on (user, id) below serves it.
        related_name="grants",
        verbose_name=_("user"),
    )
    transaction = models.ForeignKey(
        Transaction,
        on_delete=models.PROTECT,
        null=True,
        related_name="grants",
        verbose_name=_("transaction"),
    )
    source = models.CharField(_("source"), max_length=20, choices=Source)
    amount = models.BigIntegerField(_("amount"))
    remaining = models.BigIntegerField(_("remaining"))
    pinned = models.BigIntegerField(_("held"), default=0)
    priority = models.IntegerField(_("priority"), default=100)
    is_paid = models.BooleanField(_("paid"))
    first_expires_at = models.DateTimeField(_("original expiry"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    created_at = models.DateTimeField(_("since"), db_default=Now())
    # A separate column, because an index on `remaining` would be rewritten by every spending.
    is_live = models.GeneratedField(
        expression=Q(remaining__gt=0),  # type: ignore[arg-type]  # a condition is an expression
        output_field=models.BooleanField(),
        db_persist=True,
        verbose_name=_("usable"),
    )

    objects = GrantQuerySet.as_manager()

    class Meta:
        db_table = "credit_grants"
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        indexes = [
            models.Index(fields=["user", "id"], name="credit_grants_by_user"),
            models.Index(fields=["user"], condition=Q(is_live=True), name="credit_grants_live"),
            models.Index(
                fields=["expires_at"],
                condition=Q(is_live=True, expires_at__isnull=False),
                name="credit_grants_by_expiry",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    pinned__gte=0,
                    remaining__gte=F("pinned"),
                    amount__gte=F("remaining"),
                    amount__gt=0,
                ),
                name="credit_grants_pinned_remaining_amount",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.remaining} of {self.amount} ({self.source})"


class Allocation(models.Model):
    """The credits that a transaction took from a grant (negative) or returned to it (positive)."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    transaction = models.ForeignKey(
        Transaction, on_delete=models.PROTECT, db_index=False, related_name="allocations"
    )
    grant = models.ForeignKey(
        Grant, on_delete=models.PROTECT, db_index=False, related_name="allocations"
    )
    amount = models.BigIntegerField()

    class Meta:
        db_table = "credit_allocations"
        indexes = [models.Index(fields=["user", "transaction"], name="credit_allocations_by_row")]
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="credit_allocations_not_zero")
        ]

    def __str__(self) -> str:
        return f"{self.amount:+}"
