"""One completion from its admission to its receipt. What was held is settled whatever happens."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import orjson
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils.translation import gettext as _

from accounts.failpoints import failpoint
from credits import ledger
from llmproxy import credentials, departures, idempotency, providers, upstream
from llmproxy.admission import Admission
from llmproxy.exceptions import CallerLeft, UpstreamFailure, UpstreamRejected
from llmproxy.metering import Reading
from llmproxy.models import Completion
from llmproxy.providers import Target
from llmproxy.receipts import Receipt
from llmproxy.upstream import Call, Response

logger = logging.getLogger(__name__)

Read = TypeVar("Read")
Status = Completion.Status

SETTLE_TRIES = 7  # over six seconds: a database that restarts is back by then
_SETTLE = "SELECT gateway_settle(%s)::text"


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
        self.call = Call()
        self.status = Status.INTERRUPTED
        self.error = ""
        self.attempts: list[dict[str, Any]] = []
        self.target: Target | None = None  # that was asked last
        self.first_byte: float | None = None
        self.receipt: Receipt | None = None

    def ask(self, read: Callable[[Response, Target], Read]) -> Read:
        """What `read` makes of the first provider's answer that is one. Raises the last one's UpstreamFailure."""
        if not connection.in_atomic_block:
            connection.close()  # back to the pool: no connection is held while the provider works
        failpoint("after-hold")
        targets = providers.in_order(self.admission.targets)[: settings.LLM_MAX_ATTEMPTS]
        for left, target in zip(range(len(targets) - 1, -1, -1), targets, strict=True):
            try:
                return self._attempt(target, read)
            except UpstreamFailure as failure:
                if self.call.is_left:
                    raise CallerLeft(_("The connection was closed before the answer came.")) from failure
                if isinstance(failure, UpstreamRejected) or not left or self._is_late():
                    raise
        raise AssertionError("a model that was admitted has a provider")

    def _attempt(self, target: Target, read: Callable[[Response, Target], Read]) -> Read:
        admission, started = self.admission, time.monotonic()
        self.target = target
        body = admission.asked.upstream_body(
            model=target.upstream_name or admission.model, max_tokens=admission.max_tokens
        )
        headers = {"x-trace-id": admission.trace_id, **admission.passed_headers}
        error = ""
        try:
            path = f"/{admission.route.endpoint.value}"
            answer = read(upstream.post(target, path, body, headers, self.call), target)
        except UpstreamFailure as failure:
            error = failure.code[:40]
            self._blame(target, failure)
            raise
        finally:
            attempt = {"provider": target.slug, "error": error, "ms": _milliseconds(started, time.monotonic())}
            self.attempts.append(attempt)
        providers.note_success(target)
        return answer

    def _blame(self, target: Target, failure: UpstreamFailure) -> None:
        """Note why it failed; the provider's own words are for our log only."""
        if self.call.is_left:
            return
        if not isinstance(failure, UpstreamRejected):
            providers.note_failure(target, failure)
        logger.warning(
            "completion %s failed at provider %s: %s %s",
            self.admission.generation_id,
            target.slug,
            failure.code,
            target.without_key(failure.detail),
        )

    def _is_late(self) -> bool:
        return time.monotonic() - self.admission.started > settings.LLM_FIRST_BYTE_SECONDS

    def observe(self, answer: Any) -> None:
        if self.first_byte is None:
            self.first_byte = time.monotonic()
        self.meter.observe(answer)

    def fail(self, failure: UpstreamFailure) -> None:
        """The answer ends here; a provider that we hung up on has not failed."""
        if not self.call.is_left:
            self.status, self.error = Status.FAILED, failure.code[:40]

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
        return self.receipt


def complete(admission: Admission, sock: Any = None) -> tuple[dict[str, Any], Receipt]:
    """The provider's JSON answer and its receipt. Raises UpstreamFailure, with nothing charged.

    Where the other end of `sock` leaves meanwhile, the provider is stopped, if it is one that is.
    """
    run, answer = Run(admission), None
    read = partial(_read_json, admission)
    try:
        with departures.watching(sock if providers.may_stop(admission.targets) else None, run.call.leave):
            answer = run.ask(read)
        run.observe(answer)
        run.status = Status.COMPLETED
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        run.call.finish()
        receipt = run.settle(answer)
    return answer, receipt


def _read_json(admission: Admission, response: Response, target: Target) -> dict[str, Any]:
    return upstream.read_json(response, admission.route.is_answer)


def _settle_surely(run: Run, answer: Any) -> Receipt:
    """Settle, also when the database restarts meanwhile or the reply to a commit is lost."""
    said = orjson.dumps(_settlement(run, run.meter.reading(), answer)).decode()
    for attempt in range(SETTLE_TRIES):
        try:
            return _settle_once(run, said)
        except (OperationalError, InterfaceError):
            connection.close()
            if attempt == SETTLE_TRIES - 1:
                logger.critical("completion %s could not be settled: its hold will expire", run.admission.generation_id)
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")


def _settle_once(run: Run, said: str) -> Receipt:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, [said])
            settled = orjson.loads(cursor.fetchone()[0])
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
    completed = run.status == Status.COMPLETED
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
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "prompt_price": str(admission.prices.prompt),
        "cached_prompt_price": str(admission.prices.cached_prompt),
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
        "answer": idempotency.sealed(answer) if repeatable and completed and not admission.asked.stream else "",
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
