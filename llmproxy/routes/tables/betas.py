"""Beta features of Anthropic's API, named in the header `anthropic-beta`.

A feature by itself costs nothing: it allows parameters, tools and blocks, which have their own
tables. So every well-formed name is forwarded, except those in WITHHELD. New versions of clients
send new names all the time, and Anthropic refuses the members of a request that belong to a feature
whose name is missing.

Source: Anthropic API reference, "Beta headers".
"""

import re
from collections.abc import Iterable

HEADER = "anthropic-beta"
# A name, and the date of the feature.
WELL_FORMED = re.compile(r"[a-z][a-z0-9-]{1,80}-(\d{8}|\d{4}-\d\d-\d\d)\Z", re.ASCII)
# The beginnings of names that are dropped, with the reason.
WITHHELD = {
    "context-1m": "A prompt of more than 200,000 tokens has another price.",
    "fast-mode": "A faster answer costs more than the price of the model.",
    "compact": "Anthropic would write a summary, which the limit of the answer does not include.",
    "code-execution": "Anthropic would run code, at a price for each hour.",
    "web-fetch": "Anthropic would fetch pages, whose tokens have no known bound.",
    "web-search": "Anthropic would search, at a price for each search.",
    "mcp-": "Anthropic would call tools of other servers.",
    "skills": "Anthropic would run code, at a price for each hour.",
    "files-api": "Files are kept in the operator's account.",
    "advisor-tool": "Another model would answer too, at its own price.",
    "server-side-fallback": "Another model would answer, at its own price.",
    "fallback-credit": "It decides who pays, which is settled here.",
    "message-threads": "Conversations would be kept in the operator's account.",
    "managed-agents": "Agents would run in the operator's account.",
    "agent-memory": "Memories would be kept in the operator's account.",
    "dreaming": "Memories would be kept in the operator's account.",
    "user-profiles": "It decides who pays, which is settled here.",
    "message-batches": "Batches are not offered.",
    "oauth": "It belongs to another way to log in.",
}
_PREFIXES = tuple(WITHHELD)


def split(*values: str) -> list[str]:
    """Return the names in values of the header, each once."""
    return list(dict.fromkeys(name for value in values for name in re.split(r"[,\s]+", value)))


def sort(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names that a provider gets, and those that it does not get."""
    forwarded: list[str] = []
    dropped: list[str] = []
    for name in filter(None, names):
        is_forwarded = WELL_FORMED.match(name) and not name.startswith(_PREFIXES)
        (forwarded if is_forwarded else dropped).append(name)
    return forwarded, dropped
