"""Each fault at each arrow of hold → call → capture → answer, and what the user may be charged after it."""

import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

from django.db import OperationalError, connection

from smartspec.drill import database, provider
from smartspec.drill.caller import Answer, Caller
from smartspec.drill.database import DrillError, locked, wait_until_one_waits
from smartspec.drill.scratch import Scratch, Worker


@dataclass(frozen=True)
class Scene:
    """Where a fault happens: somebody asks a worker while it does."""

    scratch: Scratch
    worker: Worker
    caller: Caller
    stream: bool

    def chat(self) -> Answer:
        return self.caller.chat(self.worker.url, stream=self.stream)


Act = Callable[[Scene], Answer]


@dataclass(frozen=True)
class Fault:
    """`charged` is what the user pays, `status` the whole answer's, None where there is none; `orphan` if a hold
    stays open until it expires. A fault with a `failpoint` gets a worker of its own, which dies there. What is `slow`
    waits for a limit of our own to pass."""

    name: str
    act: Act
    charged: int
    status: int | None = 200
    orphan: bool = False
    stream: bool = False
    failpoint: str = ""
    slow: bool = False


# --- the worker ---------------------------------------------------------------------------


def _dies_at_its_failpoint(scene: Scene) -> Answer:
    answer = scene.chat()
    if not scene.worker.was_killed():
        raise DrillError("the worker outlived its failpoint")
    return answer


def _dies_while_its_hold_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        with locked(scene.caller.user):
            answer = pool.submit(scene.chat)
            wait_until_one_waits()
            _kill(scene)
        _settle_down(scene)
        return answer.result()


def _dies_while_its_capture_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        with ExitStack() as lock:
            answer = _asked_until_said(
                scene, pool, lambda: lock.enter_context(locked(scene.caller.user))
            )
            wait_until_one_waits()
            _kill(scene)
        _settle_down(scene)
        return answer()


def _kill(scene: Scene) -> None:
    log = scene.worker.child.log.read_text()
    os.kill(int(re.findall(r"Booting worker with pid: (\d+)", log)[-1]), signal.SIGKILL)
    scene.worker.was_killed()


def _settle_down(scene: Scene) -> None:
    database.wait_until_idle()  # PostgreSQL does what it was asked, although nobody listens any more
    scene.worker.wait_until_ready()


def _killed(
    name: str, failpoint: str, charged: int = 0, *, orphan: bool, stream: bool = False
) -> Fault:
    return Fault(
        f"worker killed {name}", _dies_at_its_failpoint, charged, None, orphan, stream, failpoint
    )


# --- the database -------------------------------------------------------------------------


def _terminate(scene: Scene) -> None:
    database.terminate_workers()


def _restart(scene: Scene) -> None:
    scene.scratch.database.kill()
    scene.scratch.database.start()
    connection.close()


def _expire(scene: Scene) -> None:
    database.end_of_holds(scene.caller.user)


def _during(scene: Scene, at: str, act: Callable[[Scene], object]) -> Answer:
    """Ask, and act while the provider waits."""
    with ThreadPoolExecutor(1) as pool:
        with scene.scratch.provider.pausing(at) as pause:
            answer = pool.submit(scene.chat)
            database.wait_for(pause.reached.is_set, "the call of the provider")
            act(scene)
        return answer.result()


def _as_the_hold_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        with locked(scene.caller.user):
            answer = pool.submit(scene.chat)
            wait_until_one_waits()
            database.terminate_workers()
        return answer.result()


def _as_the_capture_waits(scene: Scene) -> Answer:
    with ThreadPoolExecutor(1) as pool, ExitStack() as lock:
        answer = _asked_until_said(
            scene, pool, lambda: lock.enter_context(locked(scene.caller.user))
        )
        wait_until_one_waits()
        database.terminate_workers()
        lock.close()
        return answer()


def _asked_until_said(
    scene: Scene, pool: ThreadPoolExecutor, act: Callable[[], object]
) -> Callable[[], Answer]:
    """Ask, act when the provider has said everything, and let it end its answer."""
    with scene.scratch.provider.pausing(provider.SAID_ALL) as pause:
        answer = pool.submit(scene.chat)
        database.wait_for(pause.reached.is_set, "the call of the provider")
        act()
    return answer.result


def _away_for_the_capture(scene: Scene) -> Answer:
    """The capture finds no database, and tries until there is one again."""
    scratch = scene.scratch
    refused = scratch.wire.refused
    with ThreadPoolExecutor(1) as pool:
        answer = _asked_until_said(scene, pool, scratch.database.kill)
        database.wait_for(lambda: scratch.wire.refused > refused, "an attempt to connect")
        scratch.database.start()
        connection.close()
        return answer()


def _waits_in_vain(scene: Scene) -> Answer:
    with locked(scene.caller.user):
        return scene.chat()


def _deadlocked(scene: Scene) -> Answer:
    """The capture has the account and waits for the hold; here it is the other way about."""
    user = scene.caller.user
    with ThreadPoolExecutor(1) as pool:
        with suppress(OperationalError), ExitStack() as lock:
            hold = partial(locked, user, "credit_holds", "user_id")
            answer = _asked_until_said(scene, pool, lambda: lock.enter_context(hold()))
            database.deadlock(user)
        if "deadlock detected" not in scene.scratch.database.log.read_text():
            raise DrillError("there was no deadlock")
        return answer()


# --- the line between them ----------------------------------------------------------------


def _line(text: bytes, loses: str, then: Callable[[], None] = lambda: None, times: int = 1) -> Act:
    """Ask; the line breaks when the worker sends this, and so many times."""

    def act(scene: Scene) -> Answer:
        trap = scene.scratch.wire.set_trap(text, loses=loses, then=then, times=times)
        answer = scene.chat()
        if not trap.sprung.is_set():
            raise DrillError(f"no worker sent {text.decode()}")
        return answer

    return act


def _dead_pool(scene: Scene) -> Answer:
    if not scene.scratch.wire.cut():
        raise DrillError("no connection was pooled")
    return scene.chat()


HOLD, CAPTURE = b"gateway_admit(", b"gateway_settle("  # each commits by itself

# Of one completion the credits are those that provider.USAGE costs, or none at all.
FAULTS = (
    _killed("before its hold commits", "before-hold", orphan=False),
    Fault(
        "worker killed while its hold waits for a lock",
        _dies_while_its_hold_waits,
        0,
        None,
        orphan=True,
    ),
    _killed("after the hold, before the provider", "after-hold", orphan=True),
    _killed("mid-stream", "mid-stream", orphan=True, stream=True),
    _killed("after the provider, before the capture", "before-capture", orphan=True),
    Fault(
        "worker killed while its capture waits for a lock",
        _dies_while_its_capture_waits,
        provider.COST,
        None,
    ),
    _killed("after the capture, before the answer", "after-capture", provider.COST, orphan=False),
    Fault("backend terminated before the hold commits", _as_the_hold_waits, provider.COST),
    Fault(
        "backend terminated while the provider works",
        lambda s: _during(s, provider.CALLED, _terminate),
        provider.COST,
    ),
    Fault(
        "backend terminated mid-stream",
        lambda s: _during(s, provider.MID_STREAM, _terminate),
        provider.COST,
        stream=True,
    ),
    Fault(
        "backend terminated before the capture",
        lambda s: _during(s, provider.SAID_ALL, _terminate),
        provider.COST,
    ),
    Fault(
        "backend terminated before the capture commits",
        _as_the_capture_waits,
        provider.COST,
        stream=True,
    ),
    Fault(
        "backend terminated after the capture, before the answer",
        _line(CAPTURE, "nothing", database.terminate_workers),
        provider.COST,
    ),
    Fault(
        "postmaster killed and restarted mid-stream",
        lambda s: _during(s, provider.MID_STREAM, _restart),
        provider.COST,
        stream=True,
    ),
    Fault(
        "postmaster killed before the capture, restarted during it",
        _away_for_the_capture,
        provider.COST,
    ),
    Fault("reply to the hold lost", _line(HOLD, "reply"), provider.COST),
    Fault("reply to the capture lost", _line(CAPTURE, "reply"), provider.COST),
    Fault(
        "reply to the capture lost, streaming", _line(CAPTURE, "reply"), provider.COST, stream=True
    ),
    Fault("pool hands out a dead connection", _dead_pool, provider.COST),
    Fault("connection dies under the hold", _line(HOLD, "request"), provider.COST),
    Fault(
        "connections die under the hold, three in turn",
        _line(HOLD, "request", times=3),
        provider.COST,
    ),
    Fault("connection dies under the capture", _line(CAPTURE, "request"), provider.COST),
    Fault(
        "connections die under the capture, three in turn",
        _line(CAPTURE, "request", times=3),
        provider.COST,
    ),
    Fault("lock timeout at the hold", _waits_in_vain, 0, status=503, slow=True),
    Fault("deadlock victim at the capture", _deadlocked, provider.COST),
    Fault(
        "provider slower than the hold's life",
        lambda s: _during(s, provider.MID_STREAM, _expire),
        provider.COST,
        stream=True,
    ),
)
