"""Holds: credits that are set aside for running completions."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class Hold(models.Model):
    """Credits set aside for one completion until its real cost is known. Amounts are in credits.

    `requested` is the amount that the caller asked for, `at_least` the smallest amount that it
    accepted, and `amount` the amount that was held. `wanted` is the amount that would have been
    requested without the monthly budget of the calling `credential`; NULL if the budget did not
    reduce it. `cost` is the cost of the completion and `captured` the charged part of it; both are
    NULL until the capture. `captured` exceeds `amount` if the cost did and the balance covered it.
    `pins` lists the grants that the hold has reserved.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        CAPTURED = "captured", _("Captured")
        RELEASED = "released", _("Released")
        EXPIRED = "expired", _("Expired")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        db_index=False,  # The unique constraint on (user, reference_id) serves it.
        related_name="holds",
        verbose_name=_("user"),
    )
    credential = models.CharField(
        _("called by"), max_length=64, blank=True, default="", db_default=""
    )
    wanted = models.BigIntegerField(_("wanted"), null=True, blank=True)
    requested = models.BigIntegerField(_("requested"), default=0)
    at_least = models.BigIntegerField(_("minimum"), default=0)
    amount = models.BigIntegerField(_("amount"))
    cost = models.BigIntegerField(_("cost"), null=True, blank=True)
    captured = models.BigIntegerField(_("captured"), null=True, blank=True)
    pins = models.JSONField(_("held grants"), null=True, blank=True)
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
            models.Index(
                fields=["expires_at"], condition=Q(state="open"), name="credit_holds_open_by_expiry"
            ),
            models.Index(
                fields=["user"], condition=Q(state="open"), name="credit_holds_open_by_user"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "reference_id"], name="credit_holds_once_per_reference"
            ),
            models.CheckConstraint(
                condition=Q(amount__gte=0), name="credit_holds_amount_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(captured__gte=0), name="credit_holds_captured_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(state="open", captured=None, ended_at=None)
                | Q(state="captured", captured__isnull=False, ended_at__isnull=False)
                | Q(state="released", captured=None, ended_at__isnull=False)
                | Q(state="expired", ended_at__isnull=False),
                name="credit_holds_state_and_facts_agree",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(credits)s credits for %(reference)s (%(state)s)") % {
            "credits": self.amount,
            "reference": self.reference_id,
            "state": self.get_state_display(),
        }
