"""Records of the email addresses that had the sign-up bonus.

Only keyed digests are stored, not the addresses (docs/decisions/0012).
"""

from accounts.email_addresses import normalise_for_lookup
from accounts.models import WelcomedAddress
from accounts.toolbox import encryption

PURPOSE = "addresses"
GMAIL = ("gmail.com", "googlemail.com")


def claim_bonus(email: str) -> bool:
    """Record that this address gets its bonus now.

    False if any account with it had the bonus before.
    """
    current = digest_mailbox(email)
    known = [*current, *_digest_as_before(email)]
    if WelcomedAddress.objects.filter(digest__in=known).exists():
        return False
    _, is_new = WelcomedAddress.objects.get_or_create(digest=current[0])
    return is_new  # if two accounts claim at the same time, one of them gets False


def digest_mailbox(email: str) -> list[str]:
    """Return the digests of the mailbox, one for each key, the newest key first.

    A "+" and what follows it is ignored, because it only sorts a person's mail (RFC 5233). Dots are
    ignored at Gmail, which delivers mail with any dots to one mailbox, at its two domains.
    """
    name, host = _split_mailbox(email)
    if host in GMAIL:
        name, host = name.replace(".", ""), GMAIL[0]
    return encryption.compute_digests(f"{name}@{host}", purpose=PURPOSE)


def _digest_as_before(email: str) -> list[str]:
    """Return the digests that were stored before dots were ignored at Gmail."""
    name, host = _split_mailbox(email)
    return encryption.compute_digests(f"{name}@{host}", purpose=PURPOSE)


def _split_mailbox(email: str) -> tuple[str, str]:
    name, _, host = normalise_for_lookup(email).rpartition("@")
    return name.partition("+")[0], host
