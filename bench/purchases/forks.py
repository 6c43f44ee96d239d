"""A process that has loaded the site and forks for each act, so that a killed act costs no start.

It never connects to the database itself. `python -m bench.purchases.forks` reads one act a line, as
JSON, and answers with the exit code of the fork, negative for a signal.
"""

import json
import os
import sys
import traceback
from typing import Any

import django

from bench.purchases.points import Point
from smartspec.local import processes


def main() -> int:
    processes.end_with_parent()
    django.setup()
    from bench.purchases import acts  # It needs the settings.

    acts.load()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(acts, asked)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return 0


def _run(acts: Any, asked: dict[str, Any]) -> None:
    code = 1
    os.dup2(2, 1)  # What a command prints is no answer.
    try:
        if asked["point"]:
            Point(*asked["point"]).arm(asked["victim"], asked["data"])
        acts.ACTS[asked["act"]](**asked["given"])
        code = 0
    except Exception:  # noqa: BLE001 – reported by the exit code and in the log
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
