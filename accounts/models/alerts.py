"""Alerts of an account, and whether its owner wants them by mail and by webhook."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User


class AlertManager(models.Manager["AccountAlert"]):
    def note(
        self,
        user: User,
        kind: str,
        *,
        key: str | None = None,
        is_mailed: bool = False,
        **facts: Any,
    ) -> None:
        """Write an alert in the transaction of its cause; `tick` sends it.

        Does nothing if the user has one with this `key` already. `facts` are numbers and short
        words: they go into mails and webhooks. With `is_mailed`, the caller has queued a mail.
        """
        row = self.model(user=user, kind=kind, key=key, facts=facts)
        row.created_at = timezone.now()
        row.mailed_at = row.created_at if is_mailed else None
        self.bulk_create([row], ignore_conflicts=True)

    def note_payment_problem(self, user: User, problem: str, **facts: Any) -> None:
        """Write an alert about a payment, whose mail the caller has queued."""
        self.note(user, AccountAlert.Kind.PAYMENT, is_mailed=True, problem=problem, **facts)


class AccountAlert(models.Model):
    """Something that the owner of an account should know soon.

    The ledger writes the rows about the balance (credits/database/sql/1_postings.sql), Python the
    others. `facts` are numbers and short words. A `key` makes the same alert happen once per user.
    `sent_at` is when mail and webhooks were made from the row; `silent_because` says why no mail
    was. `mailed_at` is set from the start if whoever wrote the row has queued a mail.
    """

    class Kind(models.TextChoices):
        LOW = "low", _("Credits are low")
        USED_UP = "used_up", _("Credits are used up")
        EXPIRING = "expiring", _("Credits expire soon")
        UNUSUAL = "unusual", _("Unusual use")
        PAYMENT = "payment", _("Problem with a payment")
        DEVICE = "device", _("New device")
        WEBHOOK_OFF = "webhook_off", _("Webhook switched off")

    class Silence(models.TextChoices):
        SWITCHED_OFF = "switched_off", _("switched off by the user")
        TOLD_TODAY = "told_today", _("at most one email a day")
        USED_UP = "used_up", _("used up right after")
        REFILL = "refill", _("a refill buys credits")
        USED_BEFORE = "used_before", _("credits are probably used before")

    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        db_index=False,
        related_name="alerts",
        verbose_name=_("user"),
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    facts = models.JSONField(_("facts"), default=dict)
    key = models.CharField(max_length=100, null=True, editable=False)  # noqa: DJ001 – for UNIQUE
    created_at = models.DateTimeField(_("time"), db_default=Now())
    sent_at = models.DateTimeField(_("sent"), null=True)
    mailed_at = models.DateTimeField(_("mailed"), null=True)
    silent_because = models.CharField(
        _("not mailed because"), max_length=20, choices=Silence, db_default=""
    )

    objects = AlertManager()

    class Meta:
        db_table = "account_alerts"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["user", "-id"], name="account_alerts_by_user"),
            models.Index(fields=["id"], condition=Q(sent_at=None), name="account_alerts_waiting"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="account_alerts_once_per_key")
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())


class AlertChoice(models.Model):
    """Whether a user wants one kind of alert by mail and by webhook. No row: both."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, db_index=False, related_name="alert_choices"
    )
    kind = models.CharField(max_length=20, choices=AccountAlert.Kind)
    by_mail = models.BooleanField()
    by_webhook = models.BooleanField()

    class Meta:
        db_table = "alert_choices"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["user", "kind"], name="alert_choices_one_per_kind")
        ]

    def __str__(self) -> str:
        return self.kind
