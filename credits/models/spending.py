"""The monthly spending of devices and API keys, to which their budgets are compared."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Spending(models.Model):
    """Credits held and spent by one device or API key in one calendar month.

    `month` is the first day of the month in UTC. A hold and its charge count in the month in which
    the hold was opened.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        db_index=False,  # The unique constraint on (user, credential, month) serves it.
        related_name="spending",
        verbose_name=_("user"),
    )
    credential = models.CharField(_("called by"), max_length=64)
    month = models.DateField(_("month"))
    held = models.BigIntegerField(_("held"))
    spent = models.BigIntegerField(_("spent"))

    class Meta:
        db_table = "credit_spending"
        verbose_name = _("spending")
        verbose_name_plural = _("spending")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user", "credential", "month"], name="credit_spending_once_per_month"
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0, spent__gte=0), name="credit_spending_not_negative"
            ),
            models.CheckConstraint(condition=~Q(credential=""), name="credit_spending_of_somebody"),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.month:%Y-%m}: {self.spent}"
