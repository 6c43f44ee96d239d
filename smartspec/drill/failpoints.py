"""Places between two steps of a completion at which the drill makes a worker die.

The product knows nothing of them. A worker that starts with SMARTSPEC_FAILPOINT set replaces one
function by another that kills the worker. smartspec/checks.py refuses that variable unless DEBUG
is on.
"""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pkgutil import resolve_name
from typing import Any

Function = Callable[..., Any]


def _die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying_before(function: Function) -> Function:
    @wraps(function)
    def replacement(*args: Any, **named: Any) -> Any:
        _die()

    return replacement


def dying_after(function: Function) -> Function:
    @wraps(function)
    def replacement(*args: Any, **named: Any) -> Any:
        function(*args, **named)
        _die()

    return replacement


def dying_after_the_first_piece(function: Function) -> Function:
    """The caller of the iterator asks for the second piece when the first one is sent."""

    @wraps(function)
    def replacement(*args: Any, **named: Any) -> Iterator[Any]:
        yield next(function(*args, **named))
        _die()

    return replacement


@dataclass(frozen=True)
class Failpoint:
    """The function `name` of the module, class or object `owner`, and how its replacement dies."""

    owner: str
    name: str
    dying: Callable[[Function], Function]

    def arm(self) -> None:
        owner = resolve_name(self.owner)
        setattr(owner, self.name, self.dying(getattr(owner, self.name)))


FAILPOINTS = {
    "before-hold": Failpoint("llmproxy.admission.admit:_admissions", "ask", dying_before),
    "after-hold": Failpoint("llmproxy.completion.running:Run", "ask", dying_before),
    "mid-stream": Failpoint(
        "llmproxy.completion.streaming:Relay", "__iter__", dying_after_the_first_piece
    ),
    "before-capture": Failpoint("llmproxy.completion.settlement", "settle", dying_before),
    "after-capture": Failpoint("llmproxy.completion.settlement", "settle", dying_after),
}
