"""Writes docs/parameters.md from the tables in llmproxy/routes/tables/.

    python tools/parameters_page.py

tests/llmproxy/routes/test_parameters.py fails if the page differs from the tables.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs/parameters.md"
HEAD = """\
# Parameters

What becomes of everything that a client sends. `tools/parameters_page.py` writes this page from the
tables in `llmproxy/routes/tables/`, which the gateway itself reads.
"""
TREATMENTS = {
    "understood": "The gateway checks the parameter, and uses it or writes it for the provider.",
    "forwarded": "The provider gets it unchanged, and judges it. It changes neither what an answer "
    "costs nor how long it may get, or its effect is metered.",
    "dropped": "No provider gets it, because it changes the cost in a way that is not metered. The "
    "answer is right without it. Its name is in `x-dropped-parameters` and on the receipt.",
    "refused": "400: an answer without it would be wrong.",
}
INTRODUCTION = """\
A parameter that is in no table is forwarded to a provider whose admin page names it in "Unknown
parameters to forward" (`*` stands for all), else it is dropped and named. `null` is as good as
absent everywhere. A value that asks for what happens anyway (`store: false`,
`service_tier: "auto"`, an empty list) is not named. A number such as `100.0` is read as 100. The
members of a literal `extra_body` are read as if they stood outside of it.

`x-dropped-parameters` lists at most 24 names, separated by commas: a parameter (`store`), a part
with its place and type (`tools.3 (web_search)`, `input.7 (reasoning)`), or a beta feature
(`anthropic-beta: fast-mode-2026-02-01`). It is on answers, streams and errors; the same names are
`dropped_parameters` in `GET /v1/generation`.
"""
TOOLS = """\
## Tools

Tools that the caller runs are taken. Every other tool would be run by the provider, at a price that
usage does not show: it is left out, and named with its place. If `tool_choice` insists on such a
tool (by name or type, or `required` with no other tool left), the answer is 400.
"""
CALLERS = {
    "/v1/chat/completions": "`function`, `custom`",
    "/v1/responses": "`function`, `custom`, `namespace` groups of these, `local_shell`, `shell` "
    '(not in a container), `apply_patch`, `tool_search` with `execution: "client"`',
    "/v1/messages": "tools without a type, `custom`, and `bash_…`, `text_editor_…`, `computer_…`, "
    "`memory_…`, `computer_toolset_…`, `browser_toolset_…`",
}
SETTINGS = """\
Without a search for tools `defer_loading` is removed from the others, without code execution
`allowed_callers`: both are named too. How clients are told not to send a tool:
"""
ITEMS = """\
## Items of a Responses input

No answer is stored at the provider, so an item brings its own content. An item of another type is
dropped and named. Where a reasoning item is dropped, the items after it are sent without their ids.
The gateway asks reasoning models for `reasoning.encrypted_content`.
"""
BETAS = """\
## Beta features of Messages

Every well-formed name in `anthropic-beta` (or in `betas`) is forwarded, because what a feature
allows has its own table. These are dropped and named:
"""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
    django.setup()
    PAGE.write_text(write_page())


def write_page() -> str:
    """Return the page; Django has to be set up."""
    from llmproxy.routes.tables import TABLES, betas, items, tools

    parts = [
        HEAD,
        _write_rows(("treatment", "meaning"), TREATMENTS.items()),
        INTRODUCTION,
        *(_write_table(path, table.rows) for path, table in TABLES.items()),
        TOOLS,
        _write_rows(("route", "tools of the caller"), _quote_first(CALLERS)),
        SETTINGS,
        _write_rows(("tool", "setting"), _quote_first(tools.SETTINGS)),
        ITEMS,
        _write_items(items.FORWARDED, items.LEFT_OUT, items.REFUSED),
        BETAS,
        _write_rows(("names that begin with", "why"), _quote_first(betas.WITHHELD)),
    ]
    return "\n".join(parts)


def _quote_first(rows: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((f"`{name}`", text) for name, text in rows.items())


def _write_table(path: str, rows: Iterable[object]) -> str:
    """Return the section of a route: one line for all parameters with the same reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        key = (row.treatment.value, row.reason)  # type: ignore[attr-defined]
        groups.setdefault(key, []).append(f"`{row.name}`")  # type: ignore[attr-defined]
    lines = (
        (", ".join(names), treatment, reason or "–")
        for (treatment, reason), names in sorted(groups.items(), key=lambda group: _rank(group[0]))
    )
    return f"## `{path}`\n\n" + _write_rows(("parameters", "treatment", "why"), lines)


def _rank(key: tuple[str, str]) -> int:
    return list(TREATMENTS).index(key[0])


def _write_items(*groups: Mapping[str, str]) -> str:
    lines = (
        (f"`{kind}`", treatment, reason)
        for treatment, group in zip(("forwarded", "dropped", "refused"), groups, strict=True)
        for kind, reason in group.items()
    )
    return _write_rows(("type", "treatment", "why"), lines)


def _write_rows(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(_write_lines(heads, rows)) + "\n"


def _write_lines(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _head in heads)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    main()
