"""What is known about a user as a buyer."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Customer(models.Model):
    """A user as a buyer: the customer at Stripe, whether buying is frozen, and whom to invoice.

    `frozen_because` is shown to the operator. `closed_until` is set after several declined cards.
    `forget_since` is set when the account is closed, until the subscriptions are canceled and the
    cards forgotten at Stripe.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="customer",
        verbose_name=_("user"),
    )
    stripe_customer = models.CharField(
        _("Stripe customer"), max_length=100, blank=True, default="", db_default=""
    )
    # The address that Stripe was told last.
    stripe_email = models.EmailField(blank=True, default="", db_default="")
    frozen_at = models.DateTimeField(_("frozen since"), null=True, blank=True)
    frozen_because = models.TextField(_("frozen because"), blank=True, default="", db_default="")
    closed_until = models.DateTimeField(_("may not buy until"), null=True, blank=True)
    forget_since = models.DateTimeField(_("to be forgotten since"), null=True, blank=True)
    invoice_name = models.CharField(_("name"), max_length=200, blank=True, default="")
    invoice_address = models.TextField(_("address"), max_length=500, blank=True, default="")
    tax_number = models.CharField(_("tax number"), max_length=20, blank=True, default="")
    branch = models.CharField(_("branch"), max_length=50, blank=True, default="")

    class Meta:
        db_table = "customers"
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        constraints = [
            models.UniqueConstraint(
                fields=["stripe_customer"],
                condition=~Q(stripe_customer=""),
                name="customers_once_at_stripe",
            )
        ]
        indexes = [
            models.Index(
                fields=["forget_since"],
                condition=Q(forget_since__isnull=False),
                name="customers_to_forget",
            )
        ]

    def __str__(self) -> str:
        return str(self.user)
