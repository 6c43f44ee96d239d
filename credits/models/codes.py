"""Redemption codes, which give credits to the first user who enters them, and their batches."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from credits.models.transactions import Transaction


class CodeBatch(models.Model):
    """Codes that were made together, with what each of them gives.

    Each of `size` codes gives `credits`, until the end of `last_day` (UTC). The credits expire
    `credit_days` after they were given; NULL: never. With `is_once_per_user` a person may use one
    code of the batch. The codes exist from `made_at` on: before that, a batch above the limit waits
    for a second administrator.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting for approval")
        APPROVED = "approved", _("Ready to be made")
        REJECTED = "rejected", _("Rejected")
        MADE = "made", _("Codes made")

    name = models.CharField(_("name"), max_length=100)
    state = models.CharField(_("state"), max_length=10, choices=State)
    size = models.IntegerField(_("number of codes"))
    credits = models.BigIntegerField(_("credits per code"))
    last_day = models.DateField(_("last day (UTC)"))
    credit_days = models.IntegerField(_("days until the credits expire"), null=True, blank=True)
    is_once_per_user = models.BooleanField(_("one code per person"), default=True)
    reason = models.CharField(_("reason"), max_length=500)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("made by"),
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    # The key of the form. A form that is sent twice makes one batch.
    key = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    made_at = models.DateTimeField(_("codes made"), null=True, blank=True)

    class Meta:
        db_table = "code_batches"
        verbose_name = _("batch of codes")
        verbose_name_plural = _("redemption codes")
        default_permissions = ("view", "add")
        permissions = [("revoke_codebatch", _("Can revoke redemption codes"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(size__gt=0, credits__gt=0), name="code_batches_give_something"
            ),
            models.CheckConstraint(
                condition=~Q(decided_by=F("maker")), name="code_batches_by_somebody_else"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def total(self) -> int:
        """The credits that all codes of the batch give together."""
        return self.size * self.credits


class RedemptionCode(models.Model):
    """One code. Only its SHA-256 is stored, and its last four characters to recognise it by.

    `once_in` is the number of the batch, if a person may use one code of it; else NULL.
    """

    batch = models.ForeignKey(
        CodeBatch, on_delete=models.PROTECT, db_index=False, related_name="codes"
    )
    digest = models.BinaryField(unique=True, editable=False)
    last_four = models.CharField(_("last four characters"), max_length=4)
    once_in = models.BigIntegerField(null=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="redemption_codes",
        verbose_name=_("used by"),
    )
    transaction = models.OneToOneField(
        Transaction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="redemption_code",
        verbose_name=_("transaction"),
    )
    redeemed_at = models.DateTimeField(_("used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        db_table = "redemption_codes"
        verbose_name = _("redemption code")
        verbose_name_plural = _("single codes")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["batch", "id"], name="redemption_codes_by_batch"),
            models.Index(
                fields=["user", "id"],
                condition=Q(user__isnull=False),
                name="redemption_codes_by_user",
            ),
            # For an administrator who has the end of a code.
            models.Index(fields=["last_four", "-id"], name="redemption_codes_by_ending"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "once_in"],
                condition=Q(user__isnull=False, once_in__isnull=False),
                name="redemption_codes_once_per_user",
            ),
            models.CheckConstraint(
                condition=Q(user=None, redeemed_at=None, transaction=None)
                | Q(user__isnull=False, redeemed_at__isnull=False, revoked_at=None),
                name="redemption_codes_used_or_revoked",
            ),
        ]

    def __str__(self) -> str:
        return f"····{self.last_four}"
