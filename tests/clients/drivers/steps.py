"""Runs the steps of one client and prints a line of JSON for each.

A step is a function that returns the usage that the client read: a list of pairs of prompt and
completion tokens. It raises if the client does not behave. The name of a step ends with what it
does: json, stream, tools, error and others.
"""

import json
import os
import traceback
from collections.abc import Callable
from typing import Any

URL = os.environ["GATEWAY_URL"]
V1 = f"{URL}/v1"
KEY, POOR_KEY = os.environ["GATEWAY_KEY"], os.environ["GATEWAY_POOR_KEY"]
REASONS, PLAIN, CLAUDE = "gpt-5-mini", "gpt-4.1", "claude-sonnet-4-5"
ANSWER = "Hello, this is the answer."  # what the mock says
CITY, WEATHER = "x", "sunny in x"  # the argument that the mock makes, and what the tool returns
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
Usages = list[tuple[int, int]]


def run(*steps: Callable[[], Usages | None]) -> None:
    for step in steps:
        said: dict[str, Any] = {"step": step.__name__.replace("_", " "), "problem": ""}
        try:
            said["usages"] = step() or []
        except Exception as error:
            said["problem"] = f"{type(error).__name__}: {error}"[:600]
            said["trace"] = traceback.format_exc()[-1500:]
        print(json.dumps(said), flush=True)


def expect(condition: Any, told: Any = "") -> None:
    """Raise AssertionError with what the client said instead."""
    if not condition:
        raise AssertionError(str(told)[:400])


def expect_failure(call: Callable[[], Any], *words: str) -> Exception:
    """Return the exception that the call raises; its text must contain all of these words."""
    try:
        answer = call()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        expect(all(word in told for word in words), told)
        return error
    raise AssertionError(f"no exception, but {str(answer)[:200]}")
