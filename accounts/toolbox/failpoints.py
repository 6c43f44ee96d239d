"""Points between two steps of a completion at which a worker can be made to die: for `manage.py ledger_drill`.

Not armed, one costs a comparison. smartspec/checks.py refuses an armed one unless DEBUG is on.
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
    """Die here, as `kill -9` would have it, if this is the armed one."""
    if name == ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
