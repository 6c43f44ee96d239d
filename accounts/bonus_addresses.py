"""Which e-mail addresses have had the sign-up bonus, without keeping the addresses (docs/decisions/0012)."""

from accounts.email_addresses import looked_for
from accounts.models import WelcomedAddress
from accounts.toolbox import encryption

PURPOSE = "addresses"


def welcome(email: str) -> bool:
    """Note that this address has its bonus now. False if it had it before, under whatever account."""
    known = digests(email)
    if WelcomedAddress.objects.filter(digest__in=known).exists():
        return False
    _, is_new = WelcomedAddress.objects.get_or_create(digest=known[0])
    return is_new  # of two accounts at once one gets it


def digests(email: str) -> list[str]:
    """Of the mailbox: what follows a "+" only sorts a person's mail (RFC 5233)."""
    name, _, host = looked_for(email).rpartition("@")
    return encryption.digests(f"{name.partition('+')[0]}@{host}", purpose=PURPOSE)
