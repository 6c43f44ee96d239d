"""Failpoints: named points between two steps of a completion, at which a worker can be killed.

`manage.py ledger_drill` arms one through SMARTSPEC_FAILPOINT. A failpoint that is not armed costs
one comparison. smartspec/checks.py refuses to start with an armed one unless DEBUG is on.
"""

import os
import signal

NAMES = (
    "before-hold",
    "after-hold",
    "mid-stream",
    "before-capture",
    "after-capture",
)
ARMED = os.environ.get("SMARTSPEC_FAILPOINT", "")


def failpoint(name: str) -> None:
    """Kill this process with SIGKILL if `name` is the armed failpoint."""
    if name == ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
