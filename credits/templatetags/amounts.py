"""Template filters that show amounts and stored texts to users."""

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from credits.models import Transaction

register = template.Library()
_TYPES = dict(Transaction.Type.choices)

# Texts that the code and the seed commands store. A text of an operator is shown as it is.
TRANSLATED = {
    "Welcome bonus": _("Welcome bonus"),
    "Starting balance": _("Starting balance"),
    "Credits expired": _("Credits expired"),
    "Debt of a disputed payment paid": _("Debt of a disputed payment paid"),
    "Payment refunded": _("Payment refunded"),
    "Payment disputed": _("Payment disputed"),
    "Refund failed": _("Refund failed"),
    "Refund refused": _("Refund refused"),
    "Disputed money returned": _("Disputed money returned"),
    "Returned by the buyer": _("Returned by the buyer"),
    "Reported as fraud by the bank": _("Reported as fraud by the bank"),
    "Debt written off before is owed again": _("Debt written off before is owed again"),
    "Free": _("Free"),
    "To try it out": _("To try it out"),
    "For occasional use": _("For occasional use"),
    "For every working day": _("For every working day"),
    "For teams": _("For teams"),
}


@register.filter("signed")
def format_signed(amount: int) -> str:
    """Return +1,234 or −1,234 with U+2212, which is as wide as the plus sign; 0 has no sign."""
    return f"{'−' if amount < 0 else '+'}{intcomma(abs(amount))}" if amount else "0"


@register.filter("what")
def describe_type(row: Transaction) -> str:
    """Return the transaction's type in words.

    `_TYPES` is built once; `get_type_display` builds its table again for every row.
    """
    if row.type == Transaction.Type.REFUND and row.amount <= 0 and row.debt >= 0:
        return gettext("Payment taken back")
    if row.type == Transaction.Type.ADJUSTMENT and not row.amount:
        return gettext("Debt written off") if row.debt < 0 else gettext("Debt owed again")
    return str(_TYPES[row.type])


@register.filter("localised")
def translate_stored(stored: object) -> str:
    """Return the translation of a stored text in TRANSLATED; any other text as it is."""
    return str(TRANSLATED.get(str(stored), stored))
