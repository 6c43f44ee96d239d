"""Packages of credits that users can buy."""

from decimal import Decimal
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


class Package(models.Model):
    """A number of credits that can be bought; `prices` has what it costs in each currency.

    `price_usd` is the price in US dollars for clients that know no other currency. It is always
    that of `prices`, which administrators edit: who saves one of them changes both.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    description = models.CharField(_("description"), max_length=300, blank=True)
    credits = models.PositiveIntegerField(_("credits"), validators=[MinValueValidator(1)])
    price_usd = models.DecimalField(
        _("price (USD)"),
        max_digits=10,
        decimal_places=2,
        default=0,
        db_default=0,
        validators=[MinValueValidator(0)],
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the package; its price in US dollars, if it has one, follows `price_usd`.

        With `price_usd` 0 it is not sold in US dollars any more.
        """
        is_new, names = self._state.adding, kwargs.get("update_fields")
        super().save(*args, **kwargs)
        if is_new or not (names is None or "price_usd" in names):
            return
        cents = int(Decimal(self.price_usd) * 100)
        price = self.prices.filter(currency="usd").exclude(amount=cents)
        if cents:
            price.update(amount=cents)
        else:
            price.delete()

    def describe_prices(self) -> str:
        """Return the prices in all currencies, in words; "–" without any."""
        return " · ".join(sorted(map(str, self.prices.all()))) or "–"
