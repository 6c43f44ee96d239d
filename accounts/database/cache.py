"""Django's cache in the database, which says so if the database cannot serve.

Django takes every error of a write for a lost race and returns False. allauth then takes False for
a lock that somebody else has, and a database that is read-only would be 429 for everybody.
"""

from collections.abc import Callable
from typing import Any

from django.core.cache.backends import db
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.db import Error, connection

from accounts.database.faults import find_fault


class DatabaseCache(db.DatabaseCache):
    """Raises the error of a write, unless it was the conflict of two writes."""

    def _base_set(self, mode: str, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT) -> bool:
        met: list[Error] = []

        def watch(execute: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return execute(*arguments)
            except Error as error:
                if (fault := find_fault(error)) and not fault.is_of_one:
                    met.append(error)
                raise

        with connection.execute_wrapper(watch):
            done: bool = super()._base_set(mode, key, value, timeout)  # type: ignore[misc]
        if met:
            raise met[0]
        return done
