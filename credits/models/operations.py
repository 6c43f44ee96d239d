"""Operations with an idempotency key, and the results of audits and comparisons."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from credits.models.transactions import Transaction


class Operation(models.Model):
    """The outcome of one request with an idempotency key: a transaction or a refusal.

    The same request gets the same outcome again. `op` is the number of operations that the ledger
    had done for this user when the request was finished.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
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
            models.UniqueConstraint(
                fields=["user", "verb", "idempotency_key"], name="credit_operations_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(transaction__isnull=True) ^ Q(refusal__isnull=True),
                name="credit_operations_one_outcome",
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


class PaymentComparison(models.Model):
    """The result of one comparison of the last days with Stripe, both ways.

    `payments` were found at Stripe, `purchases` here. `caught_up` of them were unknown or open here
    and have been settled. `report` has the problems, one a line, the first MAX_PROBLEMS of them.
    """

    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))
    payments = models.BigIntegerField(_("payments at Stripe"))
    purchases = models.BigIntegerField(_("purchases"))
    caught_up = models.BigIntegerField(_("caught up"))
    problems = models.BigIntegerField(_("problems"))
    report = models.TextField(_("report"), blank=True)

    class Meta:
        db_table = "payment_comparisons"
        verbose_name = _("comparison with Stripe")
        verbose_name_plural = _("comparisons with Stripe")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"
