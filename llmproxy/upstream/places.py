"""Where a provider is: its address, the proxy on the way, and what a request line says."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from llmproxy.http1 import proxies
from llmproxy.http1.sockets import Address, NotReachableError
from llmproxy.upstream.targets import Target

PORTS = {"http": (False, 80), "https": (True, 443)}
PATH_SIGNS, QUERY_SIGNS = "/%:@!$&'()*+,;=~", "/%:@!$&'()*+,;=~?"


@dataclass(frozen=True, slots=True)
class Place:
    """A base URL: `host` is the value of the Host header, `headers` are those for the proxy."""

    address: Address
    host: str
    prefix: str
    query: str
    headers: Mapping[str, str]

    def build_target(self, path: str) -> str:
        """The target of a request for `path` below the base URL, with the query of the base URL.

        A proxy for http gets the whole URL (RFC 9112 §3.2.2).
        """
        origin = f"http://{self.host}" if self.is_forwarded else ""
        return f"{origin}{self.prefix}{path}{self.query}"

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy forwards each request, without a tunnel."""
        return self.address.proxy is not None and not self.address.is_secure


def locate(target: Target) -> Place:
    """Raises NotReachableError."""
    own = target.proxy_url
    is_secure = target.url.startswith("https:")
    environment = ("", "") if own else proxies.read_environment(is_secure=is_secure)
    return _locate(target.url, own, environment)


@lru_cache(maxsize=1000)
def _locate(url: str, proxy: str, environment: tuple[str, str]) -> Place:
    """Raises NotReachableError, which does not repeat the URL: it may contain a password."""
    try:
        parts = urlsplit(url)
        is_secure, default_port = PORTS[parts.scheme]
        host = proxies.encode_host(str(parts.hostname))
        port = default_port if parts.port is None else parts.port
    except (ValueError, KeyError) as error:  # KeyError: the scheme is neither http nor https
        raise NotReachableError("the base URL is not an address") from error
    if not parts.hostname:
        raise NotReachableError("the base URL names no host")
    chosen = proxies.choose_proxy(host, port, own=proxy, environment=environment)
    address = Address(host, port, is_secure, chosen)
    name = f"[{host}]" if ":" in host else host
    login = chosen.authorization if chosen and not is_secure else ""
    return Place(
        address,
        host=name if parts.port is None else f"{name}:{parts.port}",
        prefix=quote(parts.path.rstrip("/"), safe=PATH_SIGNS),
        query=f"?{quote(parts.query, safe=QUERY_SIGNS)}" if parts.query else "",
        headers={"Proxy-Authorization": login} if login else {},
    )
