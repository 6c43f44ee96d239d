"""One completion from its admission to its receipt. What was held is settled whatever happens."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from llmproxy.admission.admit import Admission
from llmproxy.completion import disconnects, settlement
from llmproxy.exceptions import (
    CallerLeft,
    UpstreamError,
    UpstreamFailure,
    UpstreamRejected,
    UpstreamUnavailable,
)
from llmproxy.http1.client import Answer, Call
from llmproxy.models import Completion
from llmproxy.models.providers import MAX_ERROR_LENGTH
from llmproxy.routes.base import Receipt
from llmproxy.upstream import exchange, targets
from llmproxy.upstream.targets import Target

logger = logging.getLogger(__name__)

Read = TypeVar("Read")
Status = Completion.Status

LEAST_SECONDS = 1  # that a try has to be worth it


class Run:
    """An admitted completion while it runs. Nothing is charged before `settle`, and nothing after it."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.meter = admission.route.meter(
            prompt_bytes=admission.asked.prompt_bytes,
            images=admission.asked.images,
            prompt_ids=admission.asked.prompt_ids,
            echoed_bytes=admission.asked.echoed_bytes,
            certain_tokens=admission.certain_tokens,
            max_completion_tokens=admission.max_tokens * admission.asked.choices,
        )
        self.call = Call()  # that is under way, or was last
        self.is_stopped = False
        self.has_left = False  # the caller
        self.status = Status.INTERRUPTED
        self.error = ""
        self.attempts: list[dict[str, Any]] = []
        self.target: Target | None = None  # that was asked last
        self.first_byte: float | None = None
        self.receipt: Receipt | None = None

    def ask(self, read: Callable[[Answer, Target], Read]) -> Read:
        """What `read` makes of the first provider's answer that is one. Raises the last one's UpstreamFailure.

        All tries together wait no longer than the most patient of them alone would (docs/decisions/0017).
        """
        if not connection.in_atomic_block:
            connection.close()  # back to the pool: no connection is held while the provider works
        ordered = self._targets()
        until = time.monotonic() + max(target.first_byte for target in ordered)
        for left, target in zip(range(len(ordered) - 1, -1, -1), ordered, strict=True):
            try:
                return self._attempt(target, read, until - time.monotonic())
            except UpstreamFailure as failure:
                if self.has_left:
                    raise CallerLeft(
                        _("The connection was closed before the answer came.")
                    ) from failure
                late = until - time.monotonic() < LEAST_SECONDS
                if isinstance(failure, UpstreamRejected) or late or not left:
                    raise
        raise AssertionError("a model that was admitted has a provider")

    def _targets(self) -> list[Target]:
        """Whom to ask, in order. Who has a key that cannot be sent is passed over, unless there is nobody else."""
        ordered = targets.in_order(self.admission.targets)
        usable = [target for target in ordered if target.problem is None]
        for target in ordered if usable else []:
            if target.problem is not None:
                logger.error("provider %s cannot be asked: %s", target.slug, target.problem)
                self.attempts.append(
                    {"provider": target.slug, "error": UpstreamUnavailable.code, "ms": 0}
                )
        return (usable or ordered)[: settings.LLM_MAX_ATTEMPTS]

    def _attempt(self, target: Target, read: Callable[[Answer, Target], Read], left: float) -> Read:
        admission, started = self.admission, time.monotonic()
        self.target, self.call = target, Call()
        if self.is_stopped:
            self.call.stop()
        body = admission.asked.upstream_body(
            model=target.upstream_name or admission.model, max_tokens=admission.max_tokens
        )
        headers = {"x-trace-id": admission.trace_id, **admission.passed_headers}
        path, seconds = f"/{admission.route.endpoint.value}", min(target.first_byte, left)
        attempt: dict[str, Any] = {"provider": target.slug, "error": ""}
        self.attempts.append(attempt)
        status: int | None = None
        try:
            response = exchange.post(target, path, body, headers, self.call, seconds)
            status = response.status
            return read(response, target)
        except UpstreamFailure as failure:
            if said := status or failure.answered:
                attempt["status"] = said
            attempt["error"] = (
                CallerLeft.code if self.is_stopped else failure.code[:MAX_ERROR_LENGTH]
            )
            self._blame(target, failure)
            raise
        finally:
            attempt["ms"] = settlement.milliseconds(started, time.monotonic())

    def _blame(self, target: Target, failure: UpstreamFailure) -> None:
        """Note why it failed; the provider's own words are for our log only."""
        if self.is_stopped:
            return
        if failure.tells_of_health and not isinstance(failure, UpstreamRejected):
            targets.note_failure(target, failure)
        logger.warning(
            "completion %s failed at provider %s: %s %s",
            self.admission.generation_id,
            target.slug,
            failure.code,
            target.without_key(failure.detail),
        )

    def leave(self) -> float:
        """The caller has left: in so many seconds what is still under way is stopped."""
        self.has_left = True
        return self.target.drain_seconds if self.target is not None and self.target.drains else 0

    def stop(self) -> None:
        """Hang up on the provider, and on each that would be called after it."""
        self.is_stopped = True
        self.call.stop()

    def observe(self, answer: Any) -> None:
        if self.first_byte is None:
            self.first_byte = time.monotonic()
        try:
            self.meter.observe(answer)
        except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
            raise UpstreamError(
                _("The provider's answer could not be read."), detail=repr(error)
            ) from error

    def fail(self, failure: UpstreamFailure) -> None:
        """The answer ends here; whoever left it does not care why."""
        if not self.has_left:
            self.status, self.error = Status.FAILED, failure.code[:MAX_ERROR_LENGTH]

    def fail_midway(self, failure: UpstreamFailure) -> None:
        """As `fail`, after the provider's answer began."""
        self.fail(failure)
        self.meter.is_broken = True
        if self.target is not None:
            self._blame(self.target, failure)
            self.attempts[-1]["error"] = self.error

    def settle(self, answer: Any = None) -> Receipt:
        """Capture what was used or release the hold, and write the receipt. Again: the same receipt."""
        if self.receipt is None:
            self.receipt = settlement.settle(self, answer)
            if self.status == Status.COMPLETED and self.target is not None:
                targets.note_success(
                    self.target
                )  # of a whole answer: one that always breaks off should cool down
        return self.receipt


def complete(admission: Admission, sock: Any = None) -> tuple[dict[str, Any], Receipt]:
    """The provider's JSON answer and its receipt. Raises UpstreamFailure, with nothing charged.

    Where the other end of `sock` leaves meanwhile, the provider is stopped, or read on for a while: its policy.
    """
    run, answer = Run(admission), None
    try:
        with disconnects.watching(sock, run):
            answer = run.ask(partial(_read_json, run))
        run.observe(answer)
        run.status = Status.INTERRUPTED if run.has_left else Status.COMPLETED
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        run.call.finish()
        receipt = run.settle(answer)
    return answer, receipt


def _read_json(run: Run, answer: Answer, target: Target) -> dict[str, Any]:
    return exchange.read_json(answer, run.admission.route.is_answer, run.call, target.idle)
