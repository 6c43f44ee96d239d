"""Money that went back: refunds, disputes, and warnings before them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from credits.models.purchases import Purchase, make_public_id
from credits.models.transactions import Transaction


class Refund(models.Model):
    """A refund that was asked for here: first the credits are taken, then Stripe is asked.

    `amount` is in minor units of the purchase's currency. Stripe's idempotency key is made from
    `public_id`, so a request without an answer is repeated without a second payment.
    """

    class State(models.TextChoices):
        TAKEN = "taken", _("Credits taken, Stripe not asked yet")
        SENT = "sent", _("Asked, no answer yet")
        ACCEPTED = "accepted", _("Accepted by Stripe")
        REFUSED = "refused", _("Refused by Stripe, credits given back")

    public_id = models.CharField(
        _("number"), max_length=40, unique=True, default=make_public_id, editable=False
    )
    purchase = models.ForeignKey(
        Purchase, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("purchase")
    )
    amount = models.PositiveBigIntegerField(_("amount"))
    credits = models.PositiveBigIntegerField(_("credits"))
    reason = models.CharField(_("reason"), max_length=500)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("done by"),
    )
    form_key = models.CharField(max_length=100, unique=True)
    transaction = models.OneToOneField(
        Transaction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("transaction"),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.TAKEN)
    stripe_id = models.CharField(_("Stripe refund"), max_length=100, blank=True, default="")
    problem = models.TextField(_("problem"), blank=True, default="")
    # The plan that was paid ends with the refund, by the choice of the administrator.
    ends_plan = models.BooleanField(_("ends the plan"), default=False, db_default=False)
    # Written before Stripe is asked: a request that is repeated must be the same.
    instructions_email = models.CharField(max_length=254, blank=True, default="", db_default="")
    created_at = models.DateTimeField(_("created"), db_default=Now())
    first_sent_at = models.DateTimeField(_("first sent"), null=True, blank=True)
    next_try_at = models.DateTimeField(_("next try"), null=True, blank=True)

    class Meta:
        db_table = "payment_refunds"
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=Q(state__in=["taken", "sent"]),
                name="payment_refunds_due",
            ),
            models.Index(
                fields=["stripe_id"],
                condition=~Q(stripe_id=""),
                name="payment_refunds_by_stripe_id",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id


class Dispute(models.Model):
    """A dispute, an inquiry or an early fraud warning about a payment, as Stripe last told it.

    `is_freezing`: the buyer may not buy because of it. `movements` is the number of its balance
    transactions that are known.
    """

    class Kind(models.TextChoices):
        DISPUTE = "dispute", _("Dispute")
        INQUIRY = "inquiry", _("Inquiry")
        WARNING = "warning", _("Fraud warning")

    stripe_id = models.CharField(_("Stripe dispute"), max_length=100, unique=True)
    purchase = models.ForeignKey(
        Purchase, on_delete=models.PROTECT, related_name="disputes", verbose_name=_("purchase")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    status = models.CharField(_("status"), max_length=40)
    reason = models.CharField(_("reason"), max_length=100, blank=True, default="")
    amount = models.PositiveBigIntegerField(_("amount"), default=0)
    evidence_due_by = models.DateTimeField(_("evidence until"), null=True, blank=True)
    is_freezing = models.BooleanField(_("freezes the buyer"), default=False, db_default=False)
    movements = models.IntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    class Meta:
        db_table = "payment_disputes"
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")

    def __str__(self) -> str:
        return self.stripe_id


class PaymentReversal(models.Model):
    """Money of one purchase that went back, and the credits that went with it.

    `stripe_id` is a refund (`re_…`) or a balance transaction of a dispute (`txn_…`). While
    `is_in_force`, `amount` counts against the purchase. `taken` is the ledger's row that took the
    credits, `given_back` the one that returned them when the reversal failed or was won.
    """

    class Kind(models.TextChoices):
        REFUND = "refund", _("Refund")
        DISPUTE = "dispute", _("Dispute")

    stripe_id = models.CharField(_("Stripe number"), max_length=100, unique=True)
    purchase = models.ForeignKey(
        Purchase, on_delete=models.PROTECT, related_name="reversals", verbose_name=_("purchase")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    status = models.CharField(_("status at Stripe"), max_length=40)
    amount = models.PositiveBigIntegerField(_("amount"))
    is_in_force = models.BooleanField(_("in force"), default=True)
    credits = models.PositiveBigIntegerField(_("credits taken"), default=0)
    dispute = models.ForeignKey(
        Dispute,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversals",
        verbose_name=_("dispute"),
    )
    refund = models.OneToOneField(
        Refund,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversal",
        verbose_name=_("refund"),
    )
    taken = models.OneToOneField(
        Transaction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("taken by"),
    )
    given_back = models.OneToOneField(
        Transaction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("given back by"),
    )
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        db_table = "payment_reversals"
        verbose_name = _("reversal")
        verbose_name_plural = _("reversals")

    def __str__(self) -> str:
        return self.stripe_id
