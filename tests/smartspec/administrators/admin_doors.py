"""Every door of the admin: its addresses, its buttons and its bulk acts; who gets through."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import RequestFactory
from django.urls import ResolverMatch, URLPattern, URLResolver, resolve, reverse

from accounts.models import User

NO_ROW = "0"  # permissions are checked before the row is looked for
# Addresses that are no act, or whose views check what the reader may view.
OPEN = {
    *("index", "login", "logout", "password_change", "password_change_done", "jsi18n"),
    *("search", "app_list", "autocomplete", "view_on_site"),
    *("accounts_user_transactions", "accounts_user_holds"),  # they lead to lists
}


@dataclass(frozen=True, slots=True)
class Door:
    name: str
    method: str
    path: str
    match: ResolverMatch

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


@cache
def list_doors() -> tuple[Door, ...]:
    return tuple(
        Door(name, method, path, resolve(path))
        for name, path in _list_addresses()
        for method in (("POST",) if ":" in name else ("GET", "POST"))
        if not (method == "POST" and _is_read_by_post(name))
    )


def _is_read_by_post(name: str) -> bool:
    """A list answers a POST without an act as it answers a GET; its acts are told apart."""
    return name.endswith("_changelist") and name != "accounts_operatorsettings_changelist"


def _list_addresses() -> Iterator[tuple[str, str]]:
    """Yield the name and the path of each address, about a row that does not exist."""
    for pattern in _walk(admin.site.urls[0]):
        if pattern.name is None or pattern.name in OPEN or pattern.name.endswith("_history"):
            continue
        arguments = pattern.pattern.regex.groupindex
        if "act" not in arguments:
            yield pattern.name, reverse(f"admin:{pattern.name}", args=[NO_ROW] * len(arguments))
        for act in _list_row_acts(pattern.name) if "act" in arguments else ():
            path = reverse(f"admin:{pattern.name}", args=[NO_ROW, act])
            yield f"{pattern.name}:{act}", path


def _list_row_acts(name: str) -> list[str]:
    return [
        act.name
        for row in admin.site._registry.values()
        if f"{row.opts.app_label}_{row.opts.model_name}_act" == name
        for act in row.row_acts  # type: ignore[attr-defined]
    ]


def _walk(patterns: Any) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns)
        else:
            yield pattern


def list_bulk_acts(reader: User) -> set[str]:
    """Return the bulk acts that this reader is offered."""
    request = make_request(reader, "/admin/", "GET")
    return {
        f"{row.opts.app_label}_{row.opts.model_name}!{name}"
        for row in admin.site._registry.values()
        if row.has_view_permission(request)
        for name in row.get_actions(request)
    }


def make_request(user: User, path: str, method: str) -> Any:
    request: Any = RequestFactory().generic(method, path)
    request.user, request.session = user, {}
    request._messages = FallbackStorage(request)
    request._dont_enforce_csrf_checks = True
    return request


def is_let_in(reader: User, door: Door) -> bool:
    """Return whether this reader is not refused. The page behind the door is not rendered."""
    request = make_request(reader, door.path, door.method)
    try:
        response = door.match.func(request, *door.match.args, **door.match.kwargs)
    except PermissionDenied:
        return False
    except Http404:
        return True
    return response.status_code != 403 and "/login" not in response.get("Location", "")
