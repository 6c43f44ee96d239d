"""Requests of one administrator that another administrator must approve."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from credits.models.transactions import Transaction


class Approval(models.Model):
    """One administrator's request to move many credits, which another one approves or rejects.

    Nothing is posted while the request is pending. `amount` is in credits per user; for a refund it
    is the part of the transaction `refunds` that is taken back, for a write-off a part of the
    user's debt, for an acceptance the credits of the purchase `accepts`. A request that is still
    pending after `expires_at` counts as expired and can only be viewed.
    """

    class Kind(models.TextChoices):
        ADJUSTMENT = "adjustment", _("Adjustment")
        BONUS = "bonus", _("Bonus")
        REFUND = "refund", _("Refund")
        WRITE_OFF = "write_off", _("Write-off of a debt")
        ACCEPT = "accept", _("Acceptance of a payment")

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    users = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="+", verbose_name=_("users")
    )
    amount = models.BigIntegerField(_("credits per user"))
    credits_expire_at = models.DateTimeField(_("credits expire"), null=True, blank=True)
    refunds = models.ForeignKey(
        Transaction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("refunded transaction"),
    )
    # In minor units of the purchase's currency; null if no money is sent back.
    money = models.BigIntegerField(_("money"), null=True, blank=True)
    takes_debt = models.BooleanField(
        _("what is spent becomes a debt"), default=False, db_default=False
    )
    ends_plan = models.BooleanField(_("ends the plan"), default=False, db_default=False)
    accepts = models.ForeignKey(
        "credits.Purchase",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("accepted payment"),
    )
    reason = models.CharField(_("reason"), max_length=500)
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("requested by"),
    )
    # The key of the form. A form that is sent twice makes one request.
    key = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("requested at"), db_default=Now())
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
            (
                "approve_adjustment",
                _("Can approve requests of others and adjust beyond the support limit"),
            ),
            ("refund_usage", _("Can refund usage")),
            ("refund_purchase", _("Can refund purchases")),
            ("write_off_debt", _("Can write off debts")),
            ("accept_payment", _("Can accept payments in review")),
            ("cancel_hold", _("Can cancel holds")),
            ("export_transaction", _("Can export transactions")),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=Q(state="pending"), name="credit_approvals_waiting"
            )
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="credit_approvals_amount_not_zero"),
            models.CheckConstraint(
                condition=Q(state="pending", decided_by=None, decided_at=None)
                | (~Q(state="pending") & Q(decided_by__isnull=False, decided_at__isnull=False)),
                name="credit_approvals_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "rejected"])
                | ~Q(decided_by=models.F("requester")),
                name="credit_approvals_by_somebody_else",
            ),
            models.CheckConstraint(
                condition=Q(kind="refund", refunds__isnull=False)
                | (~Q(kind="refund") & Q(refunds=None)),
                name="credit_approvals_refund_names_its_original",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount:+}"

    @property
    def can_be_decided(self) -> bool:
        """True while the request is pending and has not expired."""
        return self.state == self.State.PENDING and self.expires_at > timezone.now()
