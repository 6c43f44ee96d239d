"""System checks that refuse harmful settings before the first request, with an id and a hint."""

import json
import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import Error as DatabaseError
from environ import urlparse

from accounts.access import second_factors
from credits.database import roles
from smartspec.postgresql import connection_url, server_facts
from smartspec.postgresql.options import LIMITS

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
        *_check_waits(),
        *_check_spool(),
        *_check_contact(),
        *(() if settings.DEBUG else _check_production()),
    ]


def _check_variables() -> Iterator[CheckMessage]:
    for name, problem in settings.BAD_VARIABLES.items():
        yield Error(
            f"{name} cannot be read: {problem}.",
            hint="Correct it in the environment.",
            id="smartspec.E007",
        )


def _check_origin() -> Iterator[CheckMessage]:
    parts = urlparse(settings.PUBLIC_ORIGIN)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
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


def _check_numbers() -> Iterator[CheckMessage]:
    least = {
        "WEB_LLM_MIN_CREDITS": 0,
        "WEB_LLM_CREDIT_PER_1K_TOKENS": 0,
        "CREDITS_PER_USD": Decimal("0.000001"),
        "PRICE_MARGIN_PERCENT": -99,
        "WEB_LLM_MAX_BODY_BYTES": 1024,
        "LLM_DEFAULT_MAX_TOKENS": 1,
        "LLM_FIRST_BYTE_SECONDS": 1,
        "LLM_IDLE_SECONDS": 1,
        "LLM_COMPLETION_SECONDS": 1,
        "WEB_LLM_RPM": 1,
        "WEB_LLM_TPM": 1,
        "DEVICE_CODE_RPM": 1,
        "DEVICE_CODE_RPH": 1,
        "DEVICE_VERIFY_RPM": 1,
        "DEVICE_SESSION_MAX_DAYS": 0,
        "AUTH_EVENT_KEEP_DAYS": 1,
        "SIGNUP_BONUS_CREDITS": 0,
        "SIGNUP_BONUS_DAYS": 0,
        "ADJUST_APPROVAL_CREDITS": 0,
        "SUPPORT_ADJUST_CREDITS": 0,
        "EXPORT_MAX_ROWS": 1,
        "TRUSTED_PROXIES": 0,
    }
    for name, low in least.items():
        value = getattr(settings, name)
        if value is not None and not value >= low:
            yield Error(
                f"{name} is below {low}.",
                hint="Correct it in the environment.",
                id="smartspec.E002",
            )


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
    upstream = urlparse(settings.LLM_UPSTREAM_BASE_URL)
    if settings.LLM_UPSTREAM_BASE_URL and (
        upstream.scheme not in ("http", "https") or not upstream.hostname
    ):
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
    if settings.DEBUG or not settings.SECURE_SSL_REDIRECT:
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
    missing = list(server_facts.list_missing_limits(list(LIMITS)))
    if missing:
        wanted = "; ".join(f"ALTER ROLE … SET {name} = '{LIMITS[name]}'" for name in missing)
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
