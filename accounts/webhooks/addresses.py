"""Which addresses may be called: https, port 443, and a host name with only public IP addresses.

`ipaddress` alone is not enough: it calls some addresses public through which a NAT64 or 6to4
gateway may reach this machine's own network. This module checks host names. Before each call their
IP addresses are checked too, and the call goes to a checked one.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote, urlsplit

import idna

MAX_URL = 500  # characters, as typed and as called
PORT = 443
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\#\s]")
_PATH = "/:@!$&'()*+,;=-._~%"
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
UNICAST = ip_network("2000::/3")
# Special blocks that `is_global` calls public in at least one supported version of Python.
OWN_LIST = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # 6to4 relays
            "2001::/23",  # protocol assignments, with Teredo, benchmarking and ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address within
            "3fff::/20",  # documentation
        ),
    )
)


class NotAllowed(ValueError):
    """This address may not be called. `code` is one of accounts/webhooks/problems.py."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a valid URL: the host name in ASCII, and the path with the query."""

    host: str
    path: str

    @property
    def url(self) -> str:
        return f"https://{self.host}{self.path}"


def read_url(typed: str) -> Target:
    """Parse the one form of URL that is accepted. Raises NotAllowed for every other text."""
    text = typed.strip()
    if not text or len(text) > MAX_URL or _FORBIDDEN.search(text):
        raise NotAllowed("not_a_url")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise NotAllowed("not_a_url") from None
    if parts.scheme != "https":
        raise NotAllowed("not_https")
    if "@" in parts.netloc:
        raise NotAllowed("user_info")
    if port not in (None, PORT):
        raise NotAllowed("other_port")
    path = quote(parts.path or "/", safe=_PATH)
    query = f"?{quote(parts.query, safe=_PATH + '?')}" if parts.query else ""
    target = Target(_read_host(parts.hostname or ""), path + query)
    if len(target.url) > MAX_URL:  # A letter outside of ASCII has become up to 12 characters.
        raise NotAllowed("not_a_url")
    return target


def _read_host(host: str) -> str:
    """Return the host name in ASCII (IDNA 2008). Raises NotAllowed, also for IP addresses."""
    try:
        name = idna.encode(host, uts46=True, std3_rules=True, transitional=False).decode().lower()
    except (idna.IDNAError, UnicodeError):
        raise NotAllowed("not_a_name") from None
    labels = name.rstrip(".").split(".")
    if len(labels) < 2 or len(name) > 253 or not all(labels) or _NUMBER.fullmatch(labels[-1]):
        raise NotAllowed("not_a_name")
    return ".".join(labels)


def is_public(text: str) -> bool:
    """Return whether an IP address is public, and not one of a gateway into another network."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:  # it has a zone, such as fe80::1%eth0
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, IPv6Address) and address not in UNICAST:
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in block for block in OWN_LIST if block.version == address.version)
    )
