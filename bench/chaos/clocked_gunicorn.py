"""The settings of gunicorn.conf.py, and a wall clock in the workers that can be moved.

The file that CHAOS_CLOCK names has the seconds by which the clock is ahead. Nothing but the wall
clock moves: timers do not, and PostgreSQL has its own.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from runpy import run_path
from typing import Any

import gevent
import time_machine

_settings = run_path("gunicorn.conf.py")
globals().update({name: value for name, value in _settings.items() if name[0] != "_"})


def post_worker_init(worker: Any) -> None:
    """Do what the settings do, and follow the file from now on."""
    if theirs := _settings.get("post_worker_init"):
        theirs(worker)
    gevent.spawn(_follow, Path(os.environ["CHAOS_CLOCK"]))


def _follow(file: Path) -> None:
    ahead = 0
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        while True:
            wanted = int(file.read_text() or ahead)
            traveller.shift(wanted - ahead)
            ahead = wanted
            gevent.sleep(0.2)
