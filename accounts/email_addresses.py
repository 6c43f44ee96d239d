"""Which e-mail addresses can be somebody's, and the one way to write each.

One mailbox must not count as many people: quoting and escapes give it more names, and a provider may read
letters beyond ASCII as their plain cousins. A literal IP address costs nothing at all.
"""

from django.core.exceptions import ValidationError
from django.utils.encoding import punycode
from django.utils.translation import gettext_lazy as _

REFUSED = _(
    "This kind of email address is not accepted. Use another one, with a domain and without "
    "quotation marks."
)


def written(email: str) -> str:
    """In lower case, the domain as the DNS has it (xn--…), which is also where mail goes. Raises ValidationError."""
    name, _at, host = email.strip().lower().rpartition("@")
    if not name.isascii() or '"' in name or host.startswith("["):
        raise ValidationError(REFUSED)
    try:
        return f"{name}@{punycode(host).lower()}"
    except UnicodeError:
        raise ValidationError(REFUSED) from None


def looked_for(email: str) -> str:
    """The same of what somebody typed to find an address, which may be none."""
    try:
        return written(email)
    except ValidationError:
        return email.strip().lower()
