"""What called, in short words and safe to store: its user agent and its address."""

import ipaddress
import re
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.toolbox import headers

MAX_USER_AGENT = 300
MAX_PROGRAM = 40
_FORWARDED_FOR = headers.wsgi_name(headers.FORWARDED_FOR)

# The first match wins: a browser on Windows also claims to be Mozilla, an iPhone to be like Mac OS X.
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
    """Where a request came from: IP address and user agent, either of which may be unknown (empty)."""

    address: str = ""
    user_agent: str = ""
    is_administrator: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> "Source":
        return cls(address(request), user_agent(request))

    @classmethod
    def of_administrator(cls, request: HttpRequest) -> "Source":
        """For what somebody does to the account of another: where they sit is not the other's to know."""
        return cls(is_administrator=True)


UNKNOWN = Source()  # the command line, or a program of ours


def user_agent(request: HttpRequest) -> str:
    """The User-Agent header, bounded, printable characters only."""
    header = str(request.META.get("HTTP_USER_AGENT", ""))[:MAX_USER_AGENT]
    return "".join(character for character in header if character.isprintable())


def client_address(request: HttpRequest) -> str:
    """The address that called, as our outermost trusted proxy saw it."""
    forwarded = request.META.get(_FORWARDED_FOR, "").split(",")
    proxies = settings.TRUSTED_PROXIES
    if proxies and len(forwarded) >= proxies and forwarded[-proxies].strip():
        return without_port(forwarded[-proxies].strip())
    return str(request.META.get("REMOTE_ADDR", ""))


def without_port(address: str) -> str:
    """Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def network(address: str) -> str:
    """What a limit counts as one caller: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


def address(request: HttpRequest) -> str:
    """The caller's IP address, or nothing if the proxy told us none."""
    try:
        return str(ipaddress.ip_address(client_address(request).partition("%")[0]))
    except ValueError:
        return ""


def describe(header: str) -> str:
    """A user agent as a person would say it: "Firefox on Windows"."""
    platform = next((name for mark, name in _PLATFORMS if mark in header), "")
    program = next((name for mark, name in _PROGRAMS if mark in header), "") or _first_word(header)
    if program and platform:
        return _("%(program)s on %(platform)s") % {"program": program, "platform": platform}
    return program or platform or _("Unknown device")


def _first_word(header: str) -> str:
    word = re.match(r"[\w.+-]+", header)
    return word.group()[:MAX_PROGRAM] if word and word.group() != "Mozilla" else ""
