"""Reading settings from the environment without falling over a bad value: a system check names it."""

import builtins
import secrets
from decimal import Decimal
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")
SHORTEST_SECRET = 32


class Environment(environ.Env):
    """django-environ that goes on with the default, and notes in `bad` what could not be read."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: dict[str, str] = {}

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **options: Any
    ) -> Any:
        try:
            return super().get_value(var, cast=cast, default=default, **options)
        except (ValueError, ArithmeticError) as error:
            self.bad[var] = str(error) or type(error).__name__
            return default

    def bool(self, var: str, default: bool) -> builtins.bool:
        """Strictly yes or no: a typing error must not quietly mean no."""
        said = str(self.get_value(var, cast=str, default=str(default))).strip().lower()
        if said not in (*YES, *NO):
            self.bad[var] = f"{said!r} is neither true nor false"
        return said in YES

    def limit(self, var: str, default: int) -> int | None:
        """A whole number; None, which is no limit, where the variable is there and empty."""
        said: str = str(self.get_value(var, cast=str, default=str(default))).strip()
        if not said:
            return None
        try:
            return int(said)
        except ValueError as error:
            self.bad[var] = str(error)
            return default

    def secret(self, var: str, default: str) -> str:
        """A key of at least 32 characters. Without one a key for this process alone, so that checks can run."""
        value: str = self.get_value(var, cast=str, default=default)
        if len(value) >= SHORTEST_SECRET:
            return value
        self.bad[var] = f"it has fewer than {SHORTEST_SECRET} characters"
        return secrets.token_urlsafe(SHORTEST_SECRET)

    def email(self, var: str, default: str) -> dict[str, Any]:
        """Django's EMAIL_* settings for a URL, which has a password and is not shown."""
        try:
            return dict(self.email_url(var, default=default))
        except (ValueError, KeyError, ImproperlyConfigured) as error:
            self.bad[var] = type(error).__name__
            return dict(self.email_url_config(default))

    def decimal(self, var: str, default: str) -> Decimal:
        """A finite decimal number."""
        value: Decimal = self.get_value(var, cast=Decimal, default=Decimal(default))
        if value.is_finite():
            return value
        self.bad[var] = f"{value} is not a number"
        return Decimal(default)

    def price(self, var: str, default: str) -> Decimal | None:
        """A finite decimal number; None where the variable is there and empty."""
        if not str(self.get_value(var, cast=str, default=default)).strip():
            return None
        return self.decimal(var, default)

    def database(self, url: str) -> dict[str, Any]:
        """Django's DATABASES entry for a PostgreSQL URL. What is noted never shows the URL: it has a password."""
        postgresql = {"ENGINE": "smartspec.postgresql"}
        if url.partition("://")[0] not in ("postgres", "postgresql"):
            self.bad["DATABASE_URL"] = "it does not begin with postgres://"
            return postgresql
        try:
            return {**self.db_url_config(url), **postgresql}
        except ValueError as error:
            self.bad["DATABASE_URL"] = type(error).__name__
            return postgresql
