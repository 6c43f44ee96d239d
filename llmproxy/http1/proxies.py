"""Proxies between this service and a provider: CONNECT for https, absolute URLs for http.

The environment's names and rules are those of curl: lower case wins, NO_PROXY has names with their
subdomains, addresses, networks and ports, and loopback addresses go through the proxy too unless
they are listed. Source: RFC 9110 §9.3.6 (CONNECT), RFC 9112 §3.2.2 (absolute-form), curl(1).
"""

import os
from base64 import b64encode
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote, urlsplit

import idna

from llmproxy.http1.sockets import NotReachableError, Proxy

DIRECT = "direct"  # a provider's own setting: no proxy, whatever the environment says
NAMES = {
    True: ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    False: ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
}
DEFAULT_PORT = 80  # of a proxy whose URL has none


@cache
def read_environment(*, is_secure: bool) -> tuple[str, str]:
    """The environment's proxy for https or http, and its exceptions; empty if there is none.

    A process reads its environment once.
    """
    proxy = next((value for name in NAMES[is_secure] if (value := os.environ.get(name))), "")
    if not proxy:
        return "", ""
    return proxy, os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""


def choose_proxy(host: str, port: int, *, own: str, environment: tuple[str, str]) -> Proxy | None:
    """The proxy for a provider's host; None if it is asked directly.

    `own` is the provider's own setting: a URL, DIRECT, or empty for the environment's. Raises
    NotReachableError.
    """
    if own:
        return None if own == DIRECT else parse_proxy(own)
    url, exceptions = environment
    if not url or is_excepted(host, port, exceptions):
        return None
    return parse_proxy(url)


def parse_proxy(url: str) -> Proxy:
    """Raises NotReachableError, which does not repeat the URL: it may contain a password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or DEFAULT_PORT
        host = encode_host(parts.hostname or "")
    except ValueError as error:
        raise NotReachableError("the proxy is not an address") from error
    if parts.scheme != "http" or not host:
        raise NotReachableError("the proxy's URL does not begin with http:// and a host")
    login = ""
    if parts.username is not None:
        plain = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        login = f"Basic {b64encode(plain.encode()).decode()}"
    return Proxy(host, port, login)


def encode_host(host: str) -> str:
    """Return a host in ASCII form by IDNA 2008, in which "straße" is not "strasse".

    Raises ValueError.
    """
    return host if host.isascii() else idna.encode(host, uts46=True, std3_rules=True).decode()


def is_excepted(host: str, port: int, exceptions: str) -> bool:
    """Whether NO_PROXY lists this host, alone or with this port."""
    host = host.strip("[]").rstrip(".").lower()
    address = _parse_address(host)
    return any(
        _matches(entry.strip().lower(), host, address, port)
        for entry in exceptions.replace(",", " ").split()
    )


def _matches(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    name, own_port = _split_port(entry)
    if own_port not in ("", str(port)):
        return False
    if name == "*":
        return True
    if address is not None:
        return _is_within(address, name)
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, str]:
    """The name and the port of an entry such as `host:8080`, `[::1]:8080`, `::1`."""
    if entry.startswith("["):
        name, _sign, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _sign, port = entry.partition(":")
        return name, port
    return entry, ""


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_within(address: IPv4Address | IPv6Address, entry: str) -> bool:
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False


def build_connect(host: str, port: int, proxy: Proxy) -> bytes:
    """The request that opens a tunnel through the proxy."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    login = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n".encode("latin-1")
