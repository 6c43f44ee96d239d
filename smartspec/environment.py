"""Reading settings from the environment without falling over a bad value: a system check names it."""

from decimal import Decimal
from typing import Any

import environ


class Environment(environ.Env):
    """django-environ that goes on with the default, and notes in `bad` what could not be read."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: dict[str, str] = {}

    def get_value(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **options: Any) -> Any:
        try:
            return super().get_value(var, cast=cast, default=default, **options)
        except (ValueError, ArithmeticError) as error:
            self.bad[var] = str(error) or type(error).__name__
            return default

    def decimal(self, var: str, default: str) -> Decimal:
        """A finite decimal number."""
        value: Decimal = self.get_value(var, cast=Decimal, default=Decimal(default))
        if value.is_finite():
            return value
        self.bad[var] = f"{value} is not a number"
        return Decimal(default)

    def database(self, url: str) -> dict[str, Any]:
        """Django's DATABASES entry for a PostgreSQL URL. What is noted never shows the URL: it has a password."""
        postgresql = {"ENGINE": "django.db.backends.postgresql"}
        if url.partition("://")[0] not in ("postgres", "postgresql"):
            self.bad["DATABASE_URL"] = "it does not begin with postgres://"
            return postgresql
        try:
            return {**self.db_url_config(url), **postgresql}
        except ValueError as error:
            self.bad["DATABASE_URL"] = type(error).__name__
            return postgresql
