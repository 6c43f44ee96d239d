"""What packages and plans cost, in each currency on sale."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Plan
from credits.currencies import find_problem, format_amount, to_decimal
from credits.models.packages import Package

validate_currency = RegexValidator(
    r"\A[a-z]{3}\Z", _("Enter three small letters, such as usd or thb.")
)


class Price(models.Model):
    """An amount in minor units: cents, satang; whole yen, because the yen has no smaller unit.

    The amount is what a buyer pays. TAX_MODE says whether it includes a tax.
    """

    currency = models.CharField(_("currency"), max_length=3, validators=[validate_currency])
    amount = models.PositiveBigIntegerField(_("price"), validators=[MinValueValidator(1)])

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return format_amount(self.amount, self.currency)

    @staticmethod
    def describe_column(name: str, columns: Mapping[str, Any]) -> str | None:
        """Return the price in words, for a message about a changed row; None for other columns."""
        if name != "amount":
            return None
        return format_amount(int(columns["amount"]), columns["currency"])

    def clean(self) -> None:
        """Raise ValidationError for an amount that Stripe would not charge."""
        super().clean()
        if self.amount is not None and (problem := find_problem(self.amount, self.currency)):
            raise ValidationError(problem)


class PackagePrice(Price):
    """The price of a package in one currency. Without one, it is not sold in that currency."""

    package = models.ForeignKey(
        Package, on_delete=models.CASCADE, related_name="prices", verbose_name=_("package")
    )

    class Meta:
        db_table = "package_prices"
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            models.UniqueConstraint(
                fields=["package", "currency"], name="package_prices_one_per_currency"
            )
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the price; `Package.price_usd` follows that in US dollars."""
        super().save(*args, **kwargs)
        if self.currency == "usd":
            price = to_decimal(self.amount, "usd")
            Package.objects.filter(pk=self.package_id).update(price_usd=price)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the price; without one in US dollars, `Package.price_usd` is 0."""
        if self.currency == "usd":
            Package.objects.filter(pk=self.package_id).update(price_usd=0)
        return super().delete(*args, **kwargs)


class PlanPrice(Price):
    """The monthly price of a plan in one currency. A plan that has one is sold by subscription.

    Such a plan gives `Plan.monthly_credits` for each paid invoice, not by calendar month.
    """

    plan = models.ForeignKey(
        Plan, on_delete=models.CASCADE, related_name="prices", verbose_name=_("plan")
    )
    is_active = models.BooleanField(_("on sale"), default=True)

    class Meta:
        db_table = "plan_prices"
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "currency"], name="plan_prices_one_per_currency"
            )
        ]
