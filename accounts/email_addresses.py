"""Normal form of email addresses, and which addresses are refused.

One mailbox must not count as several people. Quotes and escapes give it more spellings, and a mail
provider may treat letters beyond ASCII like similar ASCII letters. Such addresses are refused, and
literal IP addresses too, because they cost nothing.
"""

from django.core.exceptions import ValidationError
from django.utils.encoding import punycode
from django.utils.translation import gettext_lazy as _

REFUSED = _(
    "This kind of email address is not accepted. Use another one, with a domain and without "
    "quotation marks."
)


def normalise_address(email: str) -> str:
    """Return the address in lower case, with its domain in ASCII form (xn--…).

    Raises ValidationError for an address that is refused.
    """
    name, _at, host = email.strip().lower().rpartition("@")
    if not name.isascii() or '"' in name or host.startswith("["):
        raise ValidationError(REFUSED)
    try:
        return f"{name}@{punycode(host).lower()}"
    except UnicodeError:
        raise ValidationError(REFUSED) from None


def normalise_for_lookup(email: str) -> str:
    """Return the normal form of a typed address, to look a user up with. Never raises."""
    try:
        return normalise_address(email)
    except ValidationError:
        return email.strip().lower()
