"""Where a request came from: its IP address and user agent, short and safe to store."""

import ipaddress
import re
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.toolbox import headers

MAX_USER_AGENT = 300  # characters
MAX_PROGRAM = 40  # characters
_FORWARDED_FOR = headers.wsgi_name(headers.FORWARDED_FOR)

# The first match wins, because user agents also name others: an iPhone says "like Mac OS X".
_PLATFORMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Darwin", "macOS"),
    ("Linux", "Linux"),
)
_PROGRAMS = (
    ("SmartSpec", "SmartSpecPro"),
    ("Edg/", "Edge"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from: IP address and user agent, either of which is empty if unknown."""

    address: str = ""
    user_agent: str = ""
    is_administrator: bool = False

    @classmethod
    def from_request(cls, request: HttpRequest) -> "Source":
        return cls(read_address(request), read_user_agent(request))

    @classmethod
    def from_administrator(cls, request: HttpRequest) -> "Source":
        """For an act of an administrator on a user's account: the user does not see from where."""
        return cls(is_administrator=True)


UNKNOWN = Source()  # a management command or a scheduled task


def read_user_agent(request: HttpRequest) -> str:
    """Return the User-Agent header: printable characters only, at most MAX_USER_AGENT."""
    header = str(request.META.get("HTTP_USER_AGENT", ""))[:MAX_USER_AGENT]
    return "".join(character for character in header if character.isprintable())


def client_address(request: HttpRequest) -> str:
    """Return the client's address as our outermost trusted proxy saw it.

    It may not be an IP address.
    """
    forwarded = request.META.get(_FORWARDED_FOR, "").split(",")
    proxies = settings.TRUSTED_PROXIES
    if proxies and len(forwarded) >= proxies and forwarded[-proxies].strip():
        return strip_port(forwarded[-proxies].strip())
    return str(request.META.get("REMOTE_ADDR", ""))


def strip_port(address: str) -> str:
    """Remove the port that some proxies add: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def network(address: str) -> str:
    """Return the network that a limit counts as one caller; "unknown" without an IP address.

    It is an IPv4 address itself, or the /64 of an IPv6 address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


def read_address(request: HttpRequest) -> str:
    """Return the client's IP address without a zone; empty if it is unknown."""
    try:
        return str(ipaddress.ip_address(client_address(request).partition("%")[0]))
    except ValueError:
        return ""


def describe_user_agent(header: str) -> str:
    """Return a user agent in words for people, such as "Firefox on Windows"."""
    platform = next((name for mark, name in _PLATFORMS if mark in header), "")
    program = next((name for mark, name in _PROGRAMS if mark in header), "") or _extract_first_word(
        header
    )
    if program and platform:
        return _("%(program)s on %(platform)s") % {"program": program, "platform": platform}
    return program or platform or _("Unknown device")


def _extract_first_word(header: str) -> str:
    word = re.match(r"[\w.+-]+", header)
    return word.group()[:MAX_PROGRAM] if word and word.group() != "Mozilla" else ""
