"""Writes the table of roles into docs/administration.md, from smartspec/admin/acts.py.

    python tools/roles_page.py

tests/smartspec/administrators/test_roles_matrix.py fails if the page differs from the table.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs/administration.md"
BEGIN, END = "<!-- roles: tools/roles_page.py writes this -->\n", "<!-- end of roles -->\n"


def write_page(page: str) -> str:
    """Return the page with the present table."""
    head, rest = page.split(BEGIN)
    _old, tail = rest.split(END)
    return "".join([head, BEGIN, *(f"{line}\n" for line in _list_lines()), END, tail])


def _list_lines() -> Iterator[str]:
    from smartspec.admin.acts import ACTS, ANYBODY, SUPERUSER
    from smartspec.admin.roles import list_roles

    roles = list(list_roles())
    yield f"| act | permission | {' | '.join(roles)} | superuser |"
    yield f"| --- | --- |{' --- |' * (len(roles) + 1)}"
    for words, permissions, allowed in _list_view_rows():
        yield _write_row(f"Look at {words}", permissions, roles, allowed)
    special: dict[tuple[str, ...], str] = {(SUPERUSER,): "only superusers", (ANYBODY,): "none"}
    for act in ACTS:
        needs = [need.replace("|", "` or `") for need in act.needs]
        named = " and ".join(f"`{need}`" for need in needs)
        shown = special.get(act.needs, named)
        yield _write_row(act.words, shown, roles, _list_roles_of(act))


def _list_view_rows() -> Iterator[tuple[str, str, list[str]]]:
    """Yield the lists of the admin, together where the same roles look at them."""
    from django.utils.translation import override

    from smartspec.admin.acts import list_views

    together: dict[tuple[str, ...], list[str]] = {}
    with override("en"):
        for act in list_views():
            together.setdefault(tuple(_list_roles_of(act)), []).append(act.words)
    for allowed, words in sorted(together.items(), key=lambda row: (-len(row[0]), row[0])):
        yield ", ".join(sorted(words)), "`view_…`", list(allowed)


def _list_roles_of(act: object) -> list[str]:
    from smartspec.admin.acts import Act, list_allowed

    assert isinstance(act, Act)  # noqa: S101 – Django is not set up when this module is loaded
    return list_allowed(act)


def _write_row(words: str, permission: str, roles: list[str], allowed: list[str]) -> str:
    marks = ["✓" if role in allowed else "–" for role in roles]
    return f"| {words} | {permission} | {' | '.join(marks)} | ✓ |"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
    django.setup()
    PAGE.write_text(write_page(PAGE.read_text()))
