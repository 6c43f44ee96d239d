"""Template filter that shows an amount of money."""

from django import template

from credits.currencies import format_amount

register = template.Library()


@register.filter("money")
def show_money(amount: int, currency: str) -> str:
    """Return an amount in minor units for people, in the active language: $5.00."""
    return format_amount(amount, currency)
