"""DATABASE_URL as Django's settings, with the options in it that psql would obey.

The form is that of libpq: https://www.postgresql.org/docs/current/libpq-connect.html, sections
"Connection URIs" and "Parameter Key Words".
"""

import os
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote, urlparse

DEFAULT_PORT = "5432"
ENCRYPTED = ("require", "verify-ca", "verify-full")
# The options that name what the URL names too. Like psql, the site takes the option.
PLACES = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
WORDS = {
    "sslmode": {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
    "sslnegotiation": {"postgres", "direct"},
    "sslcertmode": {"disable", "allow", "require"},
    "channel_binding": {"disable", "prefer", "require"},
    "gssencmode": {"disable", "prefer", "require"},
    "load_balance_hosts": {"disable", "random"},
    "target_session_attrs": {
        *("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
    },
}
NUMBERS = {
    *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval"),
    *("keepalives_count", "tcp_user_timeout"),
}
TEXTS = {
    *("application_name", "fallback_application_name", "hostaddr", "options", "passfile"),
    *("sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslcrldir", "sslsni"),
    *("sslcompression", "ssl_min_protocol_version", "ssl_max_protocol_version"),
    *("requirepeer", "require_auth", "krbsrvname", "gsslib", "gssdelegation"),
}
OPTIONS = WORDS.keys() | NUMBERS | TEXTS


class BadURL(ValueError):
    """The text says what is wrong. It contains no value of the URL but the name of an option."""


def obey_options(config: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the settings of django-environ with the hosts and options as libpq reads them.

    Raises BadURL for an option that libpq does not have, or a value that it would refuse.
    """
    parts = urlparse(url)
    if not parts.path:  # like django-environ: a password may contain "#"
        parts = urlparse(quote(url, safe=":/?&=@%,[]"))
    hosts = _read_hosts(parts.netloc.rpartition("@")[2])
    options = dict(_read_options(parts.query))
    places = {PLACES[name]: options.pop(name) for name in PLACES if name in options}
    return {**config, **hosts, **places, "OPTIONS": options}


def list_open_hosts(config: dict[str, Any], *, private: list[str]) -> list[str]:
    """Return the hosts of Django's settings that may be reached without TLS and must not be.

    A Unix socket, this machine and the `private` hosts may.
    """
    mode = config["OPTIONS"].get("sslmode") or os.environ.get("PGSSLMODE")
    if mode in ENCRYPTED:
        return []
    place = config.get("HOST") or config["OPTIONS"].get("hostaddr") or os.environ.get("PGHOST", "")
    return [host for host in place.split(",") if host not in private and not _is_local(host)]


def _is_local(host: str) -> bool:
    """True for a Unix socket, whose folder or abstract name libpq takes as a host, or loopback."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read_hosts(place: str) -> dict[str, str]:
    """Read `host:port,host:port`. A host without a port has the default one."""
    if not place:
        return {}
    pairs = [_read_host(one) for one in place.split(",")]
    ports = [port or DEFAULT_PORT for _, port in pairs]
    has_port = any(port for _, port in pairs)
    return {
        "HOST": ",".join(host for host, _ in pairs),
        "PORT": ",".join(ports) if has_port else "",
    }


def _read_host(place: str) -> tuple[str, str]:
    if place.startswith("["):  # an IPv6 address
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise BadURL("a port is not a number from 1 to 65535")
    return unquote(host), port


def _read_options(query: str) -> Iterator[tuple[str, str]]:
    for piece in filter(None, query.split("&")):
        name, _, value = (unquote(part) for part in piece.partition("="))
        if (name, value) == ("ssl", "true"):  # libpq knows this word of JDBC
            name, value = "sslmode", "require"
        if name not in OPTIONS | PLACES.keys():
            raise BadURL(f"it has the option {name!r}, which PostgreSQL's libpq does not have")
        _check_value(name, value)
        yield name, value


def _check_value(name: str, value: str) -> None:
    if name in WORDS and value not in WORDS[name]:
        raise BadURL(f"its option {name} is none of {', '.join(sorted(WORDS[name]))}")
    if name in NUMBERS and not value.removeprefix("-").isdecimal():
        raise BadURL(f"its option {name} is not a number")
