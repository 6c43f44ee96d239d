"""Automatic refills: what a user agreed to, and each attempt to charge the card."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from credits.models.packages import Package
from credits.models.purchases import Purchase


class Refill(models.Model):
    """The refill that a user has agreed to. It is off unless `enabled_at` is set.

    The amounts are in minor units of `currency`: `price` was agreed for one package, `monthly_cap`
    limits a calendar month (UTC). A refill is due while the posted balance is below `threshold`
    credits; an index has the refills that are on, so that no job has to look at every user.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="refill",
        verbose_name=_("user"),
    )
    enabled_at = models.DateTimeField(_("on since"), null=True, blank=True)
    package = models.ForeignKey(
        Package, on_delete=models.PROTECT, related_name="+", verbose_name=_("package")
    )
    credits = models.PositiveBigIntegerField(_("credits"))
    currency = models.CharField(_("currency"), max_length=3)
    price = models.PositiveBigIntegerField(_("agreed price"))
    threshold = models.PositiveBigIntegerField(_("below this many credits"))
    monthly_cap = models.PositiveBigIntegerField(_("at most a month"))
    consented_at = models.DateTimeField(_("agreed"), null=True, blank=True)
    consent = models.TextField(_("words of the consent"), blank=True, default="")
    payment_method = models.CharField(max_length=100, blank=True, default="")
    card = models.CharField(_("card"), max_length=50, blank=True, default="")
    paused_because = models.TextField(_("paused because"), blank=True, default="")
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    last_attempt_at = models.DateTimeField(_("last attempt"), null=True, blank=True)

    class Meta:
        db_table = "refills"
        verbose_name = _("automatic refill")
        verbose_name_plural = _("automatic refills")
        indexes = [
            models.Index(
                fields=["user"],
                condition=Q(enabled_at__isnull=False, paused_because=""),
                name="refills_that_are_on",
            )
        ]

    def __str__(self) -> str:
        return str(self.user)


class RefillAttempt(models.Model):
    """One attempt to charge a card; its `purchase` has the payment.

    `payment_method` is the card as it was at the claim, so that a repeated request is the same.
    """

    class State(models.TextChoices):
        CLAIMED = "claimed", _("Under way")
        PAID = "paid", _("Paid")
        FAILED = "failed", _("Failed")

    refill = models.ForeignKey(
        Refill, on_delete=models.PROTECT, related_name="attempts", verbose_name=_("refill")
    )
    purchase = models.OneToOneField(
        Purchase,
        on_delete=models.PROTECT,
        related_name="refill_attempt",
        verbose_name=_("purchase"),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.CLAIMED)
    payment_method = models.CharField(max_length=100, blank=True, default="", db_default="")
    problem = models.CharField(_("problem"), max_length=200, blank=True, default="")
    claimed_at = models.DateTimeField(_("begun"), db_default=Now())
    first_sent_at = models.DateTimeField(_("first sent"), null=True, blank=True)
    next_try_at = models.DateTimeField(_("next try"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        db_table = "refill_attempts"
        verbose_name = _("attempt to refill")
        verbose_name_plural = _("attempts to refill")
        constraints = [
            models.UniqueConstraint(
                fields=["refill"],
                condition=Q(state="claimed"),
                name="refill_attempts_one_under_way",
            )
        ]

    def __str__(self) -> str:
        return f"{self.refill} {self.claimed_at:%Y-%m-%d %H:%M}"
