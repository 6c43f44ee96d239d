"""How amounts and stored texts are shown to people."""

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from credits.models import Transaction

register = template.Library()
_TYPES = dict(Transaction.Type.choices)

# What our own code and seeds write into the database. What an operator wrote stays in their language.
OURS = {
    "Welcome bonus": _("Welcome bonus"),
    "Starting balance": _("Starting balance"),
    "Credits expired": _("Credits expired"),
    "Debt of a disputed payment paid": _("Debt of a disputed payment paid"),
    "Free": _("Free"),
    "To try it out": _("To try it out"),
    "For occasional use": _("For occasional use"),
    "For every working day": _("For every working day"),
    "For teams": _("For teams"),
}


@register.filter
def signed(amount: int) -> str:
    """+1,234 or −1,234, with a minus sign that is as wide as the plus; 0 without any."""
    return f"{'−' if amount < 0 else '+'}{intcomma(abs(amount))}" if amount else "0"


@register.filter
def what(row: Transaction) -> str:
    """A transaction's type in words; `get_type_display` builds its table anew for every row."""
    if row.type == Transaction.Type.REFUND and row.amount <= 0 and row.debt >= 0:
        return gettext("Purchase taken back")
    return str(_TYPES[row.type])


@register.filter
def localised(stored: object) -> str:
    """A stored text in the reader's language, where it is one of ours."""
    return str(OURS.get(str(stored), stored))
