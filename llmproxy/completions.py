"""One completion from its admission to its receipt. What was held is settled whatever happens."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection
from django.utils.translation import gettext as _

from accounts.failpoints import failpoint
from credits import ledger
from llmproxy import credentials, departures, idempotency, providers, upstream, wire
from llmproxy.admission import Admission
from llmproxy.connections import Call
from llmproxy.exceptions import CallerLeft, UpstreamError, UpstreamFailure, UpstreamRejected, UpstreamUnavailable
from llmproxy.flights import Flights
from llmproxy.metering import Reading
from llmproxy.models import Completion
from llmproxy.models.providers import MAX_ERROR_LENGTH
from llmproxy.providers import Target
from llmproxy.receipts import Receipt
from llmproxy.upstream import Response

logger = logging.getLogger(__name__)

Read = TypeVar("Read")
Status = Completion.Status

SETTLE_TRIES = 7  # over six seconds: a database that restarts is back by then
LEAST_SECONDS = 1  # that a try has to be worth it
WORDLESS: dict[str, Any] = {"upstream_id": "", "finish_reason": "", "error": "unreadable", "attempts": [], "answer": ""}
_settlements = Flights("gateway_settle")


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

    def ask(self, read: Callable[[Response, Target], Read]) -> Read:
        """What `read` makes of the first provider's answer that is one. Raises the last one's UpstreamFailure.

        All tries together wait no longer than the most patient of them alone would (docs/decisions/0017).
        """
        if not connection.in_atomic_block:
            connection.close()  # back to the pool: no connection is held while the provider works
        failpoint("after-hold")
        targets = self._targets()
        until = time.monotonic() + max(target.first_byte for target in targets)
        for left, target in zip(range(len(targets) - 1, -1, -1), targets, strict=True):
            try:
                return self._attempt(target, read, until - time.monotonic())
            except UpstreamFailure as failure:
                if self.has_left:
                    raise CallerLeft(_("The connection was closed before the answer came.")) from failure
                late = until - time.monotonic() < LEAST_SECONDS
                if isinstance(failure, UpstreamRejected) or late or not left:
                    raise
        raise AssertionError("a model that was admitted has a provider")

    def _targets(self) -> list[Target]:
        """Whom to ask, in order. Who has a key that cannot be sent is passed over, unless there is nobody else."""
        ordered = providers.in_order(self.admission.targets)
        usable = [target for target in ordered if target.problem is None]
        for target in ordered if usable else []:
            if target.problem is not None:
                logger.error("provider %s cannot be asked: %s", target.slug, target.problem)
                self.attempts.append({"provider": target.slug, "error": UpstreamUnavailable.code, "ms": 0})
        return (usable or ordered)[: settings.LLM_MAX_ATTEMPTS]

    def _attempt(self, target: Target, read: Callable[[Response, Target], Read], left: float) -> Read:
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
            response = upstream.post(target, path, body, headers, self.call, seconds)
            status = response.status
            return read(response, target)
        except UpstreamFailure as failure:
            if said := status or failure.answered:
                attempt["status"] = said
            attempt["error"] = CallerLeft.code if self.is_stopped else failure.code[:MAX_ERROR_LENGTH]
            self._blame(target, failure)
            raise
        finally:
            attempt["ms"] = _milliseconds(started, time.monotonic())

    def _blame(self, target: Target, failure: UpstreamFailure) -> None:
        """Note why it failed; the provider's own words are for our log only."""
        if self.is_stopped:
            return
        if failure.tells_of_health and not isinstance(failure, UpstreamRejected):
            providers.note_failure(target, failure)
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
            raise UpstreamError(_("The provider's answer could not be read."), detail=repr(error)) from error

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
            failpoint("before-capture")
            self.receipt = _settle_surely(self, answer)
            failpoint("after-capture")
            if self.status == Status.COMPLETED and self.target is not None:
                providers.note_success(self.target)  # of a whole answer: one that always breaks off should cool down
        return self.receipt


def complete(admission: Admission, sock: Any = None) -> tuple[dict[str, Any], Receipt]:
    """The provider's JSON answer and its receipt. Raises UpstreamFailure, with nothing charged.

    Where the other end of `sock` leaves meanwhile, the provider is stopped, or read on for a while: its policy.
    """
    run, answer = Run(admission), None
    try:
        with departures.watching(sock, run):
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


def _read_json(run: Run, response: Response, target: Target) -> dict[str, Any]:
    return upstream.read_json(response, run.admission.route.is_answer, run.call, target.idle)


def _settle_surely(run: Run, answer: Any) -> Receipt:
    """Settle, also when the database restarts meanwhile, the reply to a commit is lost, or a row cannot hold a text."""
    settlement = _settlement(run, run.meter.reading(), answer)
    try:
        return _settle_again(run, wire.encode(settlement).decode())
    except DataError:
        logger.exception("completion %s: settled without the provider's words", run.admission.generation_id)
        return _settle_again(run, wire.encode({**settlement, **WORDLESS}).decode())


def _settle_again(run: Run, said: str) -> Receipt:
    for attempt in range(SETTLE_TRIES):
        try:
            return _settle_once(run, said)
        except (OperationalError, InterfaceError):
            if attempt == SETTLE_TRIES - 1:
                logger.critical("completion %s could not be settled: its hold will expire", run.admission.generation_id)
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")


def _settle_once(run: Run, said: str) -> Receipt:
    try:
        settled = _settlements.ask(said, user=run.admission.user or 0)
    except IntegrityError:  # the commit before this try took effect
        settled = None
    if settled is None:
        return Receipt.of(Completion.objects.get(generation_id=run.admission.generation_id))
    return Receipt(
        generation_id=run.admission.generation_id,
        model=run.admission.model,
        upstream_id=run.meter.upstream_id,
        usage=run.meter.reading().usage,
        charged=settled["charged"],
        balance_after=settled["balance_after"],
        created=settled["created"],
    )


def _settlement(run: Run, reading: Reading, answer: Any) -> dict[str, Any]:
    """The columns of the completion, and what settles with it."""
    admission, usage = run.admission, reading.usage
    repeatable = admission.repeatable
    return {
        "generation_id": admission.generation_id,
        "user_id": admission.user,
        "credential": admission.credential,
        "credential_name": admission.credential_name,
        "hold_id": admission.hold,
        "provider": run.target.slug if run.target else "",
        "model": admission.model,
        "upstream_id": run.meter.upstream_id,
        "trace_id": admission.trace_id,
        "route": admission.path,
        "is_stream": admission.asked.stream,
        "status": run.status,
        "error": run.error,
        "finish_reason": run.meter.finish_reason[:40],
        "usage_source": reading.source,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "prompt_price": str(admission.prices.prompt),
        "cached_prompt_price": str(admission.prices.cached_prompt),
        "cache_write_price": str(admission.prices.cache_write),
        "completion_price": str(admission.prices.completion),
        "choices": admission.asked.choices,
        "max_tokens": admission.max_tokens,
        "clamped_max_tokens": admission.max_tokens if admission.clamped else None,
        "attempts": run.attempts,
        "held": admission.held,
        "cost": admission.prices.cost(usage) if admission.hold else 0,
        "first_byte_ms": _milliseconds(admission.started, run.first_byte) if run.first_byte else None,
        "total_ms": _milliseconds(admission.started, time.monotonic()),
        "most": ledger.MAX_AMOUNT,
        "metadata": {
            "generationId": admission.generation_id,
            "model": admission.model,
            "promptTokens": usage.prompt_tokens,
            "completionTokens": usage.completion_tokens,
            "usage": reading.source,
            "traceId": admission.trace_id,
            **credentials.metadata(admission.credential),
        },
        "unused": _unused(admission, usage.total_tokens),
        "key": repeatable.key if repeatable else None,
        "answer": idempotency.sealed(answer) if repeatable and answer is not None else "",
    }


def _unused(admission: Admission, used: int) -> dict[str, dict[str, float]]:
    """The seconds of each token rate that were counted for tokens which then were not used, by credential."""
    return {
        scope["credential"]: {
            "seconds": max(min(admission.counted_tokens, tokens["limit"]) - used, 0) * 60 / tokens["limit"],
            "until": tokens["until"],
        }
        for scope in admission.rates
        if (tokens := scope["tokens"])
    }


def _milliseconds(start: float, end: float) -> int:
    return round((end - start) * 1000)
