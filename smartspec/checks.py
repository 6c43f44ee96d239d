"""System checks that refuse harmful settings before the first request, with an id and a hint."""

import json
import os
from collections.abc import Iterator, Sequence
from email.utils import parseaddr
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import urlopen

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import Error as DatabaseError

from accounts.access import second_factors
from credits.database import roles
from smartspec.numbers import HINT, LIMITS, OUT_OF_RANGE, UNREADABLE, describe_problem
from smartspec.postgresql import connection_url, options, server_facts

SHORTEST_TOKEN = 24  # 96 bits in hexadecimal
PROXY_SECONDS = 3  # for which the site that runs already is waited for
MOST_BYTES = 10_000  # of its answer


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    return [
        *_check_variables(),
        *_check_origin(),
        *_check_hsts(),
        *_check_numbers(),
        *_check_keys(),
        *_check_upstream(),
        *_check_metrics_token(),
        *_check_waits(),
        *_check_spool(),
        *_check_contact(),
        *_check_links(),
        *_check_sender(),
        *(() if settings.DEBUG else _check_production()),
    ]


def _check_variables() -> Iterator[CheckMessage]:
    for name, problem in settings.BAD_VARIABLES.items():
        yield Error(
            f"{name} cannot be read: {problem}.",
            hint=HINT,
            id=UNREADABLE,
        )


def _check_origin() -> Iterator[CheckMessage]:
    parts = _split_url(settings.PUBLIC_ORIGIN)
    if parts is None or parts.path or parts.query or parts.fragment or parts.username:
        yield Error(
            "PUBLIC_ORIGIN is not an origin.",
            hint="Set it to scheme and host as people type it, such as https://smartspec.example",
            id="smartspec.E001",
        )


def _check_hsts() -> Iterator[CheckMessage]:
    if settings.SECURE_HSTS_PRELOAD and not settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
        yield Error(
            "HSTS_PRELOAD is set without HSTS_SUBDOMAINS: no browser lists such a host.",
            hint="Set both, if every subdomain has https, or none.",
            id="smartspec.E021",
        )


def _split_url(url: str) -> SplitResult | None:
    """Return the parts of an http or https URL with a host and a valid port; else None."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable else None


def _check_numbers() -> Iterator[CheckMessage]:
    for name in LIMITS:
        value = getattr(settings, name)
        if value is not None and (problem := describe_problem(name, value)):
            yield Error(problem, hint=HINT, id=OUT_OF_RANGE)


def _check_keys() -> Iterator[CheckMessage]:
    for key in settings.ENCRYPTION_KEYS:
        try:
            Fernet(key)
        except ValueError:
            yield Error(
                "ENCRYPTION_KEYS has an entry that is not a Fernet key.",
                hint="Make one with cryptography.fernet.Fernet.generate_key().",
                id="smartspec.E003",
            )


def _check_upstream() -> Iterator[CheckMessage]:
    if settings.LLM_UPSTREAM_BASE_URL and _split_url(settings.LLM_UPSTREAM_BASE_URL) is None:
        yield Error(
            "LLM_UPSTREAM_BASE_URL is not an address.",
            hint="Set it to the provider's address up to and including /v1, such as"
            " https://models.example/v1",
            id="smartspec.E004",
        )
    if not (
        settings.LLM_UPSTREAM_API_KEY.isascii() and settings.LLM_UPSTREAM_API_KEY.isprintable()
    ):
        yield Error(
            "LLM_UPSTREAM_API_KEY is not printable ASCII.",
            hint="Copy it again.",
            id="smartspec.E008",
        )
    if settings.LLM_UPSTREAM_BASE_URL and not settings.LLM_UPSTREAM_MODELS:
        yield checks.Warning(
            "LLM_UPSTREAM_BASE_URL is set, but LLM_UPSTREAM_MODELS names no model.",
            hint="List the model names, comma-separated; the first is the default model.",
            id="smartspec.W001",
        )


def _check_metrics_token() -> Iterator[CheckMessage]:
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < SHORTEST_TOKEN:
        yield Error(
            f"METRICS_TOKEN has fewer than {SHORTEST_TOKEN} characters and could be guessed.",
            hint="Make one with: openssl rand -hex 24",
            id="smartspec.E024",
        )


def _check_waits() -> Iterator[CheckMessage]:
    if settings.LLM_IDLE_SECONDS > settings.LLM_COMPLETION_SECONDS:
        yield checks.Warning(
            "LLM_IDLE_SECONDS is above LLM_COMPLETION_SECONDS: answers that are silent for so long"
            " end before.",
            hint="Set LLM_COMPLETION_SECONDS to the longest time that an answer may take.",
            id="smartspec.W004",
        )


def _check_spool() -> Iterator[CheckMessage]:
    """Refuse a folder that cannot be written or made, before a charge has to wait there."""
    folder = Path(settings.SPOOL_DIR).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.R_OK | os.W_OK | os.X_OK)):
        yield Error(
            f"SPOOL_DIR is {folder}, and {existing} cannot be written.",
            hint="Set it to a folder that this user can write, on a disk that outlives the process."
            " Charges wait there while the database takes nothing.",
            id="smartspec.E020",
        )


def _check_contact() -> Iterator[CheckMessage]:
    try:
        validate_email(settings.SUPPORT_EMAIL or "nobody@example.com")
    except ValidationError:
        yield Error(
            "SUPPORT_EMAIL is not an email address.",
            hint="Set it to one address, without a name, or leave it empty.",
            id="smartspec.E010",
        )


def _check_links() -> Iterator[CheckMessage]:
    for name in ("TERMS_LINK", "PRIVACY_LINK"):
        link = getattr(settings, name)
        if link and not link.startswith(("https://", "http://", "/")):
            yield Error(
                f"{name} is not an address.",
                hint="Set it to an https address or to a path of this host, or leave it empty.",
                id="smartspec.E023",
            )


def _check_sender() -> Iterator[CheckMessage]:
    try:
        validate_email(parseaddr(settings.DEFAULT_FROM_EMAIL)[1])
    except ValidationError:
        yield Error(
            "DEFAULT_FROM_EMAIL is not an email address.",
            hint="Set it to an address, such as noreply@example.com or Name <noreply@example.com>",
            id="smartspec.E011",
        )


def _check_production() -> Iterator[CheckMessage]:
    if os.environ.get("SMARTSPEC_FAILPOINT"):
        yield Error(
            "SMARTSPEC_FAILPOINT is set: workers would kill themselves.",
            hint="Unset it. Only manage.py ledger_drill sets it, for processes of its own.",
            id="smartspec.E009",
        )
    if open_hosts := connection_url.list_open_hosts(
        settings.DATABASES["default"], private=settings.DATABASE_PRIVATE_HOSTS
    ):
        yield Error(
            f"PostgreSQL at {', '.join(open_hosts)} may be reached without TLS.",
            hint="Add ?sslmode=verify-full&sslrootcert=system to DATABASE_URL, or sslmode=require"
            " at least. In a private network, name the host in DATABASE_PRIVATE_HOSTS.",
            id="smartspec.E022",
        )
    if settings.EMBEDDED_DATABASE:
        yield Error(
            "DATABASE_URL is missing: the embedded PostgreSQL is for development.",
            hint="Set DATABASE_URL to postgres://user:password@host:5432/name",
            id="smartspec.E005",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS allows every host.", hint="List your host names.", id="smartspec.E006"
        )
    if not settings.ENCRYPTION_KEYS:
        yield checks.Info(
            "ENCRYPTION_KEYS is not set: provider keys and second factors are encrypted with a key"
            " derived from SECRET_KEY.",
            hint="Set it, so that SECRET_KEY can be changed without losing them.",
            id="smartspec.I001",
        )
    if not settings.SUPPORT_EMAIL:
        yield checks.Info(
            "SUPPORT_EMAIL is not set: users without credits are not told whom to ask.",
            hint="Set it to an address that somebody reads.",
            id="smartspec.I002",
        )
    if settings.EMAIL_BACKEND == "django.core.mail.backends.console.EmailBackend":
        yield checks.Warning(
            "EMAIL_URL is missing: mails are written to the log. Nobody can sign up, and all"
            " readers of the log see the codes in the mails.",
            hint="Set EMAIL_URL to smtp+tls://user:password@host:587",
            id="smartspec.W003",
        )


@register(Tags.security, deploy=True)
def check_proxy(**_: Any) -> list[CheckMessage]:
    """Warn if the proxy in front does not tell the scheme: each page would lead to itself.

    The site is asked at PUBLIC_ORIGIN as a browser asks it. Nothing is said while it is not there.
    """
    if settings.DEBUG or not settings.HTTPS:
        return []
    problem = _ask_for_proxy_problem(f"{settings.PUBLIC_ORIGIN}/healthz?deep")
    if not problem:
        return []
    return [
        checks.Warning(
            f"The site at {settings.PUBLIC_ORIGIN} says: {problem}",
            hint="deploy/nginx.conf and deploy/Caddyfile show what a proxy has to send.",
            id="smartspec.W007",
        )
    ]


def _ask_for_proxy_problem(address: str) -> str:
    """Return what a running site says about its proxy; empty if none answers."""
    try:
        with urlopen(address, timeout=PROXY_SECONDS) as response:  # noqa: S310 – https, from settings
            said = json.loads(response.read(MOST_BYTES))
    except (OSError, ValueError, HTTPException):
        return ""
    found = said.get("proxy", "ok") if isinstance(said, dict) else "ok"
    return "" if found == "ok" else str(found)


@register(Tags.database, deploy=True)
def check_database_role(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Warn if the role of DATABASE_URL can write the tables of the ledger.

    The check runs with `check --deploy --database default`, as the role that the site runs as.
    """
    try:
        privileges = roles.find_excess() if databases else []
    except DatabaseError:  # The database is away or has no tables: other checks report that.
        return []
    if not privileges:
        return []
    return [
        checks.Warning(
            "The database role of DATABASE_URL can write the ledger without its verbs: it has"
            f" {', '.join(privileges)}.",
            hint="Run the site as a role of its own, the one in DATABASE_APP_ROLE when migrating:"
            " docs/roles.md.",
            id="smartspec.W002",
        )
    ]


@register(Tags.database, deploy=True)
def check_database_server(
    *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Warn if the server has too few connections, or a pooler hides the limits of waiting."""
    if not databases:
        return []
    try:
        return [*(_check_limits() if settings.DATABASE_POOLER else _check_room())]
    except DatabaseError:
        return []


def _check_room() -> Iterator[CheckMessage]:
    needed = server_facts.count_connections(settings.DATABASE_POOL_SIZE)
    if needed > (room := server_facts.read_room()):
        yield checks.Warning(
            f"One machine opens up to {needed} connections to PostgreSQL, which grants {room}.",
            hint="Lower DATABASE_POOL_SIZE or WEB_CONCURRENCY, or raise max_connections.",
            id="smartspec.W020",
        )


def _check_limits() -> Iterator[CheckMessage]:
    missing = list(server_facts.list_missing_limits(list(options.LIMITS)))
    if missing:
        wanted = "; ".join(
            f"ALTER ROLE … SET {name} = '{options.LIMITS[name]}'" for name in missing
        )
        yield checks.Warning(
            f"The role of the site has no {' and no '.join(missing)}, and behind a pooler the site"
            " cannot set them: a request could wait for ever.",
            hint=f"Run as a superuser: {wanted}",
            id="smartspec.W021",
        )


@register(Tags.database, deploy=True)
def check_passkeys(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Warn if passkeys belong to another host than that of PUBLIC_ORIGIN: they are dead here.

    The check runs with `check --deploy --database default`.
    """
    try:
        dead = second_factors.count_passkeys_of_other_hosts() if databases else 0
    except DatabaseError:  # The database is away or has no tables: other checks report that.
        return []
    if settings.DEBUG or not dead:
        return []
    return [
        checks.Warning(
            f"{dead} passkeys belong to another host than {settings.PUBLIC_HOST}, the host of"
            " PUBLIC_ORIGIN. Browsers do not offer them here.",
            hint="Keep the old host, or tell their owners to log in with the password and a"
            " recovery code, and to add a new passkey.",
            id="smartspec.W012",
        )
    ]
