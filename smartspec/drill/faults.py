"""The faults at each step of a completion: hold, call, capture, response.

Each fault has the charge that the user must see after it.
"""

import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.db import OperationalError, connection

from smartspec.drill import database, provider
from smartspec.drill.caller import Answer, Caller
from smartspec.drill.database import DrillError, hold_lock, wait_until_one_waits
from smartspec.drill.scratch import Scratch, Worker


@dataclass(frozen=True)
class Scene:
    """What a fault acts on. `caller` sends a request to `worker` while the fault happens."""

    scratch: Scratch
    worker: Worker
    caller: Caller
    stream: bool

    def chat(self) -> Answer:
        return self.caller.chat(self.worker.url, stream=self.stream)


Act = Callable[[Scene], Answer]


@dataclass(frozen=True)
class Fault:
    """A fault and its expected result.

    `charged` is what the user pays in credits. `status` is that of the complete response, None if
    there is no complete response. `orphan`: a hold stays open until it expires. A fault with a
    `failpoint` gets its own worker, which dies there. A `slow` fault waits for a timeout.
    """

    name: str
    act: Act
    charged: int
    status: int | None = 200
    orphan: bool = False
    stream: bool = False
    failpoint: str = ""
    slow: bool = False


# --- the worker ---------------------------------------------------------------------------


def _kill_at_failpoint(scene: Scene) -> Answer:
    answer = scene.chat()
    if not scene.worker.was_killed():
        raise DrillError("the worker outlived its failpoint")
    return answer


def _kill_while_hold_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        with hold_lock(scene.caller.user):
            answer = pool.submit(scene.chat)
            wait_until_one_waits()
            _kill(scene)
        _wait_for_end(scene)
        return answer.result()


def _kill_while_capture_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        with ExitStack() as lock:
            answer = _act_before_capture(
                scene, pool, lambda: lock.enter_context(hold_lock(scene.caller.user))
            )
            wait_until_one_waits()
            _kill(scene)
        _wait_for_end(scene)
        return answer()


def _kill(scene: Scene) -> None:
    log = scene.worker.child.log.read_text()
    os.kill(int(re.findall(r"Booting worker with pid: (\d+)", log)[-1]), signal.SIGKILL)
    scene.worker.was_killed()


def _wait_for_end(scene: Scene) -> None:
    database.wait_until_idle()  # PostgreSQL finishes the statement, although its client is dead.
    scene.worker.wait_until_ready()


def _make_killed(
    name: str, failpoint: str, charged: int = 0, *, orphan: bool, stream: bool = False
) -> Fault:
    return Fault(
        f"worker killed {name}", _kill_at_failpoint, charged, None, orphan, stream, failpoint
    )


# --- the database -------------------------------------------------------------------------


def _terminate(scene: Scene) -> None:
    database.terminate_workers()


def _restart(scene: Scene) -> None:
    scene.scratch.database.kill()
    scene.scratch.database.start()
    connection.close()


def _expire(scene: Scene) -> None:
    database.expire_holds(scene.caller.user)


def _act_during(scene: Scene, at: str, act: Callable[[Scene], object]) -> Answer:
    """Send a request, and act while the provider is paused at the given point."""
    with ThreadPoolExecutor(1) as pool:
        with scene.scratch.provider.pause_at(at) as pause:
            answer = pool.submit(scene.chat)
            database.wait_for(pause.reached.is_set, "the call of the provider")
            act(scene)
        return answer.result()


def _terminate_while_hold_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        with hold_lock(scene.caller.user):
            answer = pool.submit(scene.chat)
            wait_until_one_waits()
            database.terminate_workers()
        return answer.result()


def _terminate_while_capture_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool, ExitStack() as lock:
        answer = _act_before_capture(
            scene, pool, lambda: lock.enter_context(hold_lock(scene.caller.user))
        )
        wait_until_one_waits()
        database.terminate_workers()
        lock.close()
        return answer()


def _act_before_capture(
    scene: Scene, pool: ThreadPoolExecutor, act: Callable[[], object]
) -> Callable[[], Answer]:
    """Send a request, act when the provider has sent all but the end of its response.

    Return a function that waits for the worker's response.
    """
    with scene.scratch.provider.pause_at(provider.ALL_SENT) as pause:
        answer = pool.submit(scene.chat)
        database.wait_for(pause.reached.is_set, "the call of the provider")
        act()
    return answer.result


def _stop_database_for_capture(scene: Scene) -> Answer:
    """Stop the database before the capture, which must retry until the database is back."""
    scratch = scene.scratch
    refused = scratch.wire.refused
    with ThreadPoolExecutor(1) as pool:
        answer = _act_before_capture(scene, pool, scratch.database.kill)
        database.wait_for(lambda: scratch.wire.refused > refused, "an attempt to connect")
        scratch.database.start()
        connection.close()
        return answer()


def _kill_worker_that_has_kept_a_settlement(scene: Scene) -> Answer:
    """Stop the database before the capture, and kill the worker once the capture is on its disk."""
    scratch, spool = scene.scratch, scene.scratch.folder / "spool"

    def list_kept() -> list[Path]:
        return [file for file in spool.glob("*.records") if file.stat().st_size]

    with ThreadPoolExecutor(1) as pool:
        answer = _act_before_capture(scene, pool, scratch.database.kill)
        database.wait_for(lambda: bool(list_kept()), "a settlement on disk")
        _kill(scene)
        scratch.database.start()
        connection.close()
        database.wait_for(lambda: not list_kept(), "the next worker's settlement")
        scene.worker.wait_until_ready()
        return answer()


def _lock_until_timeout(scene: Scene) -> Answer:
    with hold_lock(scene.caller.user):
        return scene.chat()


def _cause_deadlock(scene: Scene) -> Answer:
    """Lock the hold and wait for the account, while the capture does the opposite."""
    user = scene.caller.user
    with ThreadPoolExecutor(1) as pool:
        with suppress(OperationalError), ExitStack() as lock:
            lock_holds = partial(hold_lock, user, "credit_holds", "user_id")
            answer = _act_before_capture(scene, pool, lambda: lock.enter_context(lock_holds()))
            database.deadlock(user)
        if "deadlock detected" not in scene.scratch.database.log.read_text():
            raise DrillError("there was no deadlock")
        return answer()


# --- the line between them ----------------------------------------------------------------


def _break_at(
    text: bytes, loses: str, then: Callable[[], None] = lambda: None, times: int = 1
) -> Act:
    """Return an act that breaks the connection when the worker sends `text`, several `times`."""

    def act(scene: Scene) -> Answer:
        trap = scene.scratch.wire.set_trap(text, loses=loses, then=then, times=times)
        answer = scene.chat()
        if not trap.sprung.is_set():
            raise DrillError(f"no worker sent {text.decode()}")
        return answer

    return act


def _cut_pooled_connections(scene: Scene) -> Answer:
    if not scene.scratch.wire.cut():
        raise DrillError("no connection was pooled")
    return scene.chat()


# The statements of the hold and the capture, each in a transaction of its own.
HOLD, CAPTURE = b"gateway_admit(", b"gateway_settle("
# A completion costs provider.COST, the price of provider.USAGE, or nothing.
FAULTS = (
    _make_killed("before its hold commits", "before-hold", orphan=False),
    Fault(
        "worker killed while its hold waits for a lock",
        _kill_while_hold_waits,
        0,
        None,
        orphan=True,
    ),
    _make_killed("after the hold, before the provider", "after-hold", orphan=True),
    _make_killed("mid-stream", "mid-stream", orphan=True, stream=True),
    _make_killed("after the provider, before the capture", "before-capture", orphan=True),
    Fault(
        "worker killed while its capture waits for a lock",
        _kill_while_capture_waits,
        provider.COST,
        None,
    ),
    _make_killed(
        "after the capture, before the answer", "after-capture", provider.COST, orphan=False
    ),
    Fault("backend terminated before the hold commits", _terminate_while_hold_waits, provider.COST),
    Fault(
        "backend terminated while the provider works",
        lambda s: _act_during(s, provider.CALLED, _terminate),
        provider.COST,
    ),
    Fault(
        "backend terminated mid-stream",
        lambda s: _act_during(s, provider.MID_STREAM, _terminate),
        provider.COST,
        stream=True,
    ),
    Fault(
        "backend terminated before the capture",
        lambda s: _act_during(s, provider.ALL_SENT, _terminate),
        provider.COST,
    ),
    Fault(
        "backend terminated before the capture commits",
        _terminate_while_capture_waits,
        provider.COST,
        stream=True,
    ),
    Fault(
        "backend terminated after the capture, before the answer",
        _break_at(CAPTURE, "nothing", database.terminate_workers),
        provider.COST,
    ),
    Fault(
        "postmaster killed and restarted mid-stream",
        lambda s: _act_during(s, provider.MID_STREAM, _restart),
        provider.COST,
        stream=True,
    ),
    Fault(
        "postmaster killed before the capture, restarted during it",
        _stop_database_for_capture,
        provider.COST,
    ),
    Fault(
        "worker killed with a settlement on disk, database away",
        _kill_worker_that_has_kept_a_settlement,
        provider.COST,
        None,
    ),
    Fault("reply to the hold lost", _break_at(HOLD, "reply"), provider.COST),
    Fault("reply to the capture lost", _break_at(CAPTURE, "reply"), provider.COST),
    Fault(
        "reply to the capture lost, streaming",
        _break_at(CAPTURE, "reply"),
        provider.COST,
        stream=True,
    ),
    Fault("pool hands out a dead connection", _cut_pooled_connections, provider.COST),
    Fault("connection dies under the hold", _break_at(HOLD, "request"), provider.COST),
    Fault(
        "connections die under the hold, three in turn",
        _break_at(HOLD, "request", times=3),
        provider.COST,
    ),
    Fault("connection dies under the capture", _break_at(CAPTURE, "request"), provider.COST),
    Fault(
        "connections die under the capture, three in turn",
        _break_at(CAPTURE, "request", times=3),
        provider.COST,
    ),
    Fault("lock timeout at the hold", _lock_until_timeout, 0, status=503, slow=True),
    Fault("deadlock victim at the capture", _cause_deadlock, provider.COST),
    Fault(
        "provider slower than the hold's life",
        lambda s: _act_during(s, provider.MID_STREAM, _expire),
        provider.COST,
        stream=True,
    ),
)
