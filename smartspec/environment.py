"""Settings from the environment. A bad value does not raise here; a system check reports it."""

import builtins
import os
import re
import secrets
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from smartspec.numbers import read_whole
from smartspec.postgresql import connection_url

# Each of these can be in a file, whose path is in the variable with _FILE at the end of its name.
SECRETS = (
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "EMAIL_URL",
    "LLM_UPSTREAM_API_KEY",
    "METRICS_TOKEN",
    "SMARTSPEC_WEB_GATEWAY_TOKEN",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRETS",
)
MAX_SECRET_BYTES = 64 * 1024
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")
SHORTEST_SECRET = 32
# The commands of manage.py that use DATABASE_DIRECT_URL: they lock a session, move the whole
# schema, or read for longer than a pooler should wait.
DIRECT_COMMANDS = {
    *("prepare", "migrate", "seed", "seed_roles", "seed_packages", "tick", "audit_daily"),
    *("audit_ledger", "dbshell", "rotate_keys", "createcachetable"),
}


# Names that may hold a secret, whether or not they are in SECRETS.
_LOOKS_SECRET = re.compile("KEY|TOKEN(?!S)|PASSWORD|SECRET")
_USER_IN_URL = re.compile("//[^/@]*@")


class Fact(NamedTuple):
    """What is known of a variable: the text of its value, and where that comes from.

    `origin` is environment, file, running (the environment of the site that runs from this
    directory) or default. The text of a secret is empty.
    """

    origin: str
    text: str
    is_secret: bool
    is_set: bool


def is_direct_command(arguments: list[str]) -> bool:
    """True if this process is `manage.py` with one of DIRECT_COMMANDS."""
    program, command = (*arguments, "", "")[:2]
    return program.endswith("manage.py") and command in DIRECT_COMMANDS


def _write_plainly(value: Any) -> str:
    """Return a default as it would stand in the environment."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


class Environment(environ.Env):
    """django-environ that continues with the default and records unreadable variables.

    `bad` maps the name of each unreadable variable to the problem.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bad: dict[str, str] = {}
        self.facts: dict[str, Fact] = {}
        self._files: dict[str, str] = {}

    def read_secret_files(self) -> dict[str, str]:
        """Return the secrets that are in files, as container engines mount them.

        The newline at the end of a file is no part of its secret. A file that cannot be read is
        recorded as bad, and so is a secret that is set twice.
        """
        named = {name: self.ENVIRON.get(f"{name}_FILE", "").strip() for name in SECRETS}
        secrets_read: dict[str, str] = {}
        for name, path in named.items():
            try:
                if path:
                    secrets_read[name] = self._read_secret(name, Path(path))
            except (OSError, ValueError) as error:
                self.bad[f"{name}_FILE"] = getattr(error, "strerror", None) or str(error)
        self._files = secrets_read
        return secrets_read

    def _read_secret(self, name: str, path: Path) -> str:
        """Raises OSError, and ValueError for a file that has no text, or too much."""
        if self.ENVIRON.get(name):
            raise ValueError(f"{name} is set too")
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        if len(content) > MAX_SECRET_BYTES:
            raise ValueError(f"the file is larger than {MAX_SECRET_BYTES} bytes")
        try:
            text = content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError("the file is not UTF-8 text") from None
        if not text or "\0" in text:
            raise ValueError("the file has no text")
        return text

    def get_value(
        self,
        var: str,
        cast: Any = None,
        default: Any = environ.Env.NOTSET,
        *,
        shown: str = "",
        **options: Any,
    ) -> Any:
        """Read a variable. `shown` is what the admin shows of a default that is no plain value."""
        try:
            value = super().get_value(var, cast=cast, default=default, **options)
        except (ValueError, ArithmeticError) as error:
            self.bad[var] = str(error) or type(error).__name__
            value = default
        text = str(self.ENVIRON.get(var, shown or _write_plainly(value)))
        self.facts[var] = self._describe(var, text, is_set=bool(value))
        return value

    def _describe(self, var: str, text: str, *, is_set: builtins.bool) -> Fact:
        """Return what the admin may show of a variable."""
        is_secret = var in SECRETS or _LOOKS_SECRET.search(var) is not None
        shown = "" if is_secret else _USER_IN_URL.sub("//…@", text)
        return Fact(self._find_origin(var), shown, is_secret, is_set)

    def _find_origin(self, var: str) -> str:
        if var in self._files:
            return "file"
        if var in os.environ:
            return "environment"
        return "running" if var in self.ENVIRON else "default"

    def bool(self, var: str, default: bool) -> builtins.bool:
        """Read a boolean. Any other word is recorded as bad: a typing error must not mean no."""
        word = str(self.get_value(var, cast=str, default=str(default).lower())).strip().lower()
        if word not in (*YES, *NO):
            self.bad[var] = f"{word!r} is neither true nor false"
        return word in YES

    def limit(self, var: str, default: builtins.int) -> builtins.int | None:
        """Read a whole number; None, which means no limit, if the variable is set but empty."""
        text: str = str(self.get_value(var, cast=str, default=str(default))).strip()
        if not text:
            return None
        try:
            return read_whole(text)
        except ValueError as error:
            self.bad[var] = str(error)
            return default

    def int(self, var: str, default: builtins.int) -> builtins.int:
        """Read a whole number."""
        value: builtins.int = self.get_value(var, cast=read_whole, default=default)
        return value

    def hostname(self, url: str) -> str:
        """Return the host of a URL; empty if there is none, which a check refuses."""
        try:
            return urlsplit(url).hostname or ""
        except ValueError:
            return ""

    def secret(self, var: str, default: str) -> str:
        """Read a key of at least 32 characters.

        A shorter one is recorded as bad and replaced by a random key, so that the checks can run.
        """
        value: str = self.get_value(var, cast=str, default=default)
        if len(value) >= SHORTEST_SECRET:
            return value
        self.bad[var] = f"it has fewer than {SHORTEST_SECRET} characters"
        return secrets.token_urlsafe(SHORTEST_SECRET)

    def email(self, var: str, default: str) -> dict[str, Any]:
        """Read Django's EMAIL_* settings from a URL, which has a password and is never recorded."""
        try:
            return dict(self.email_url(var, default=default))
        except (ValueError, KeyError, ImproperlyConfigured) as error:
            self.bad[var] = type(error).__name__
            return dict(self.email_url_config(default))

    def decimal(self, var: str, default: str) -> Decimal:
        """Read a finite decimal number."""
        value: Decimal = self.get_value(var, cast=Decimal, default=Decimal(default))
        if value.is_finite():
            return value
        self.bad[var] = f"{value} is not a number"
        return Decimal(default)

    def price(self, var: str, default: str) -> Decimal | None:
        """Read a finite decimal number; None if the variable is set but empty."""
        if not str(self.get_value(var, cast=str, default=default)).strip():
            return None
        return self.decimal(var, default or "0")

    def database(self, url: str) -> dict[str, Any]:
        """Return Django's DATABASES entry for a PostgreSQL URL.

        The URL has a password, so it is never recorded in `bad`; only names of options are.
        """
        engine: dict[str, Any] = {"ENGINE": "smartspec.postgresql"}
        nothing = {**engine, "OPTIONS": {}}
        if url.partition("://")[0] not in ("postgres", "postgresql"):
            self.bad["DATABASE_URL"] = "it does not begin with postgres://"
            return nothing
        try:
            config = self.db_url_config(url)
            return {**connection_url.obey_options(config, url), **engine}
        except connection_url.BadURL as error:
            self.bad["DATABASE_URL"] = str(error)
        except ValueError as error:
            self.bad["DATABASE_URL"] = type(error).__name__
        return nothing
