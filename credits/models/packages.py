"""Packages of credits that users can buy."""

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


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
    stripe_price_id = models.CharField(_("Stripe price ID"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        db_table = "credit_packages"
        ordering = ["sort_order", "id"]
        verbose_name = _("package")
        verbose_name_plural = _("packages")

    def __str__(self) -> str:
        return self.name
