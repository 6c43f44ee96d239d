"""The results of comparing purchases with Stripe."""

from django.db import models
from django.utils.translation import gettext_lazy as _


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
