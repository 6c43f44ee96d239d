"""Rows of the ledger. Only the verbs of credits/ledger.py write Transaction, Hold, Grant, Allocation and Operation."""

from typing import Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class TransactionQuerySet(models.QuerySet["Transaction"]):
    def newest_first(self) -> Self:
        """By `seq`, the order of posting: timestamps of a busy account are not in order."""
        return self.order_by("-seq")


class Transaction(models.Model):
    """One immutable signed movement of a user's balance, in whole credits.

    `op` is its number among all that the ledger did for this user, 0 for rows older than that
    count; `digest` is the SHA-256 of the digest of the row before it and of its own facts.
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
        db_index=False,  # the unique constraints begin with it
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
        db_index=False,  # a partial index below: most rows have none
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
                fields=["reverses"], condition=Q(reverses__isnull=False), name="credit_transactions_reversals"
            ),
            models.Index(fields=["actor"], condition=Q(actor__isnull=False), name="credit_transactions_by_actor"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "seq"], name="credit_transactions_user_seq"),
            models.UniqueConstraint(
                fields=["user", "hold"], condition=Q(type="usage"), name="credit_transactions_one_usage_per_hold"
            ),
            models.UniqueConstraint(
                fields=["reference_id"],
                condition=Q(type="purchase") & ~Q(reference_id=""),
                name="credit_transactions_once_per_payment",
            ),
            models.CheckConstraint(condition=~Q(amount=0) | ~Q(debt=0), name="credit_transactions_moves_something"),
            models.CheckConstraint(
                condition=Q(balance_after__gte=0, debt_after__gte=0), name="credit_transactions_never_negative"
            ),
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

    `requested` was wanted and `at_least` would do; `amount` was there. `cost` is what the
    completion came to and `captured` what of it was charged, both NULL until then: more than
    `amount` if the balance covered it, less if it did not. `pins` says which grants would burn.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        CAPTURED = "captured", _("Captured")
        RELEASED = "released", _("Released")
        EXPIRED = "expired", _("Expired")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        db_index=False,  # the unique constraint begins with it
        related_name="holds",
        verbose_name=_("user"),
    )
    requested = models.BigIntegerField(_("requested"), default=0)
    at_least = models.BigIntegerField(_("at least"), default=0)
    amount = models.BigIntegerField(_("amount"))
    cost = models.BigIntegerField(_("cost"), null=True, blank=True)
    captured = models.BigIntegerField(_("captured"), null=True, blank=True)
    pins = models.JSONField(_("pinned grants"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    reference_id = models.CharField(_("completion"), max_length=64)
    created_at = models.DateTimeField(_("since"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    opened_op = models.BigIntegerField(default=0, db_default=0)
    ended_op = models.BigIntegerField(null=True, blank=True)
    captured_op = models.BigIntegerField(null=True, blank=True)

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


class Grant(models.Model):
    """Credits that came together: what is left of them, and until when. Burned before others by lower `priority`.

    `pinned` of the remaining credits are promised to open holds and outlive the expiry until those end.
    A refund into a grant that has expired gives it a new `expires_at`.
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
        db_index=False,  # the index below begins with it
        related_name="grants",
        verbose_name=_("user"),
    )
    transaction = models.ForeignKey(
        Transaction, on_delete=models.PROTECT, null=True, related_name="grants", verbose_name=_("transaction")
    )
    source = models.CharField(_("source"), max_length=20, choices=Source)
    amount = models.BigIntegerField(_("amount"))
    remaining = models.BigIntegerField(_("remaining"))
    pinned = models.BigIntegerField(_("pinned"), default=0)
    priority = models.IntegerField(_("priority"), default=100)
    is_paid = models.BooleanField(_("paid"))
    first_expires_at = models.DateTimeField(_("expires at first"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    created_at = models.DateTimeField(_("since"), db_default=Now())
    # A column of its own, because an index on `remaining` would make every burn rewrite the index.
    is_live = models.GeneratedField(
        expression=Q(remaining__gt=0),  # type: ignore[arg-type]  # a condition is an expression
        output_field=models.BooleanField(),
        db_persist=True,
        verbose_name=_("live"),
    )

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
                condition=Q(pinned__gte=0, remaining__gte=F("pinned"), amount__gte=F("remaining"), amount__gt=0),
                name="credit_grants_pinned_remaining_amount",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.remaining} of {self.amount} ({self.source})"


class Allocation(models.Model):
    """What one transaction took from one grant (negative) or gave back to it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+")
    transaction = models.ForeignKey(Transaction, on_delete=models.PROTECT, db_index=False, related_name="allocations")
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, db_index=False, related_name="allocations")
    amount = models.BigIntegerField()

    class Meta:
        db_table = "credit_allocations"
        indexes = [models.Index(fields=["user", "transaction"], name="credit_allocations_by_row")]
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="credit_allocations_not_zero")]

    def __str__(self) -> str:
        return f"{self.amount:+}"


class Operation(models.Model):
    """The outcome of a request with a key: a transaction, or the refusal that the same request gets again.

    `op` is how many things the ledger had done for this user when it was over.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+")
    verb = models.CharField(max_length=20)
    idempotency_key = models.CharField(max_length=255)
    request = models.JSONField()
    transaction = models.ForeignKey(
        Transaction, on_delete=models.PROTECT, null=True, db_index=False, related_name="operations"
    )
    refusal = models.JSONField(null=True)
    op = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "credit_operations"
        constraints = [
            models.UniqueConstraint(fields=["user", "verb", "idempotency_key"], name="credit_operations_once_per_key"),
            models.CheckConstraint(
                condition=Q(transaction__isnull=True) ^ Q(refusal__isnull=True), name="credit_operations_one_outcome"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.idempotency_key}"


class AuditRun(models.Model):
    """The result of one `manage.py audit_ledger` over all users."""

    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))
    users = models.BigIntegerField(_("users"))
    transactions = models.BigIntegerField(_("transactions"))
    holds = models.BigIntegerField(_("holds"))
    problems = models.BigIntegerField(_("problems"))
    first_problem = models.TextField(_("first problem"), blank=True)

    class Meta:
        db_table = "credit_audits"
        verbose_name = _("audit")
        verbose_name_plural = _("audits")

    def __str__(self) -> str:
        return self.first_problem or "sound"


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
