"""How amounts and descriptions of the ledger are shown to people."""

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext_lazy as _

register = template.Library()

# Written by the ledger's own callers; what an administrator wrote stays in their language.
DESCRIPTIONS = {"Welcome bonus": _("Welcome bonus"), "Starting balance": _("Starting balance")}


@register.filter
def signed(amount: int) -> str:
    """+1,234 or −1,234, with a minus sign that is as wide as the plus."""
    return f"{'−' if amount < 0 else '+'}{intcomma(abs(amount))}"


@register.filter
def described(description: str) -> str:
    """A transaction's description in the reader's language, where it is one of ours."""
    return str(DESCRIPTIONS.get(description, description))
