"""One completion from its admission to its receipt. What was held is settled whatever happens."""

import logging
import time
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.db.transaction import atomic

from accounts.failpoints import failpoint
from credits import ledger
from credits.exceptions import HoldEnded
from credits.ledger import Capture
from llmproxy import credentials, upstream
from llmproxy.admission import Admission
from llmproxy.exceptions import UpstreamFailure
from llmproxy.metering import Meter, Reading
from llmproxy.models import Completion

logger = logging.getLogger(__name__)

PATH = "/chat/completions"
SETTLE_TRIES = 7  # over six seconds: a database that restarts is back by then


class Run:
    """An admitted completion while it runs. Nothing is charged before `settle`, and nothing after it."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.meter = Meter(
            prompt_bytes=admission.request.prompt_bytes,
            max_completion_tokens=admission.max_tokens * admission.request.choices,
        )
        self.status = Completion.Status.INTERRUPTED
        self.error = ""
        self.first_byte: float | None = None
        self.receipt: Completion | None = None

    def call_upstream(self) -> upstream.Response:
        """The provider's answer, its headers read. Raises UpstreamFailure."""
        model = self.admission.model
        body = self.admission.request.upstream_body(
            model=model.upstream_name or model.name, max_tokens=self.admission.max_tokens
        )
        if not connection.in_atomic_block:
            connection.close()  # back to the pool: no connection is held while the provider works
        failpoint("after-hold")
        return upstream.post(model.provider, PATH, body, self.admission.trace_id)

    def observe(self, answer: Any) -> None:
        if self.first_byte is None:
            self.first_byte = time.monotonic()
        self.meter.observe(answer)

    def fail(self, failure: UpstreamFailure) -> None:
        """Note why it failed; the provider's own words are for our log only."""
        self.status, self.error = Completion.Status.FAILED, failure.code[:40]
        provider = self.admission.model.provider
        logger.warning(
            "completion %s failed at provider %s: %s %s",
            self.admission.generation_id,
            provider.slug,
            failure.code,
            provider.without_key(failure.detail),
        )

    def settle(self) -> Completion:
        """Capture what was used or release the hold, and write the receipt. Again: the same receipt."""
        if self.receipt is None:
            failpoint("before-capture")
            self.receipt = _settle_surely(self)
            failpoint("after-capture")
        return self.receipt


def complete(admission: Admission) -> tuple[dict[str, Any], Completion]:
    """The provider's JSON answer and its receipt. Raises UpstreamFailure, with nothing charged."""
    run = Run(admission)
    try:
        answer = upstream.read_json(run.call_upstream())
        run.observe(answer)
        run.status = Completion.Status.COMPLETED
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        receipt = run.settle()
    return answer, receipt


def _settle_surely(run: Run) -> Completion:
    """Settle, also when the database restarts meanwhile or the reply to a commit is lost."""
    for attempt in range(SETTLE_TRIES):
        try:
            return _settle_once(run)
        except (OperationalError, InterfaceError):
            connection.close()
            if attempt == SETTLE_TRIES - 1:
                logger.critical("completion %s could not be settled: its hold will expire", run.admission.generation_id)
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")


def _settle_once(run: Run) -> Completion:
    try:
        with atomic():
            return _settle(run)
    except IntegrityError:  # the commit before this try took effect
        return Completion.objects.get(generation_id=run.admission.generation_id)


def _settle(run: Run) -> Completion:
    reading = run.meter.reading()
    cost = run.admission.prices.cost(reading.usage) if run.admission.hold else 0
    try:
        receipt = _write(run, reading, cost, _charge(run, reading, cost))
    except HoldEnded:
        # The commit before this try took effect, or an operator cancelled the hold meanwhile.
        written = Completion.objects.filter(generation_id=run.admission.generation_id).first()
        return written or _write(run, reading, cost, None)
    failpoint("before-capture-commits")
    return receipt


def _charge(run: Run, reading: Reading, cost: int) -> Capture | None:
    admission = run.admission
    if admission.hold is None:
        return None
    if cost == 0 and run.status != Completion.Status.COMPLETED:
        ledger.release(hold=admission.hold)
        return None
    return ledger.capture(
        hold=admission.hold,
        cost=min(cost, ledger.MAX_AMOUNT),
        description=admission.model.name,
        metadata={
            "generationId": admission.generation_id,
            "model": admission.model.name,
            "promptTokens": reading.usage.prompt_tokens,
            "completionTokens": reading.usage.completion_tokens,
            "usage": reading.source,
            "traceId": admission.trace_id,
            **credentials.metadata(admission.credential),
        },
    )


def _write(run: Run, reading: Reading, cost: int, capture: Capture | None) -> Completion:
    admission, usage = run.admission, reading.usage
    return Completion.objects.create(
        generation_id=admission.generation_id,
        user=admission.user,
        credential=admission.credential.id,
        credential_name=admission.credential.name,
        hold=admission.hold,
        provider=admission.model.provider.slug,
        model=admission.model.name,
        upstream_id=run.meter.upstream_id,
        trace_id=admission.trace_id,
        route=admission.route,
        is_stream=admission.request.stream,
        status=run.status,
        error=run.error,
        finish_reason=run.meter.finish_reason[:40],
        usage_source=reading.source,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        prompt_price=admission.prices.prompt,
        cached_prompt_price=admission.prices.cached_prompt,
        completion_price=admission.prices.completion,
        clamped_max_tokens=admission.max_tokens if admission.clamped else None,
        held=admission.hold.amount if admission.hold else 0,
        cost=cost,
        charged=capture.charged if capture else 0,
        uncollected=cost - (capture.charged if capture else 0),
        balance_after=capture.balance_after if capture else _balance(admission),
        first_byte_ms=_milliseconds(admission.started, run.first_byte) if run.first_byte else None,
        total_ms=_milliseconds(admission.started, time.monotonic()),
    )


def _balance(admission: Admission) -> int | None:
    return ledger.balance(admission.user).credits if admission.user else None


def _milliseconds(start: float, end: float) -> int:
    return round((end - start) * 1000)
