"""What called, in short words and safe to store: its user agent and its address."""

import ipaddress
import re

from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.limits import client_address

MAX_USER_AGENT = 300
MAX_PROGRAM = 40

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


def user_agent(request: HttpRequest) -> str:
    """The User-Agent header, bounded, printable characters only."""
    header = str(request.META.get("HTTP_USER_AGENT", ""))[:MAX_USER_AGENT]
    return "".join(character for character in header if character.isprintable())


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
