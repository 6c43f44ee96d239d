"""What a completion comes to, written once, whatever happens to the database meanwhile.

The statement is llmproxy/database/sql/2_settlement.sql.
"""

import logging
import time
from typing import TYPE_CHECKING, Any

from django.db import DataError, IntegrityError, InterfaceError, OperationalError

from credits import ledger
from llmproxy import lenient_json
from llmproxy.admission import idempotency
from llmproxy.admission.admit import Admission
from llmproxy.admission.statement_batches import Batches
from llmproxy.database.contract import Settled, SettlementRequest, UnusedRate
from llmproxy.metering.meter import Reading
from llmproxy.models import Completion
from llmproxy.routes.base import Receipt

if TYPE_CHECKING:
    from llmproxy.completion.running import Run

logger = logging.getLogger(__name__)

SETTLE_TRIES = 7  # over six seconds: a database that restarts is back by then
WORDLESS: dict[str, Any] = {
    "upstream_id": "",
    "finish_reason": "",
    "error": "unreadable",
    "attempts": [],
    "answer": "",
}
_settlements = Batches("gateway_settle")


def settle(run: "Run", answer: Any) -> Receipt:
    """Settle, also when the database restarts meanwhile, the reply to a commit is lost, or a row cannot hold a text."""
    reading = run.meter.reading()
    counts, prices = reading.usage.counts, run.admission.prices.columns
    settlement = {**_settlement(run, reading, answer), **counts, **prices}
    try:
        return _settle_again(run, lenient_json.encode(settlement).decode())
    except DataError:
        logger.exception(
            "completion %s: settled without the provider's words", run.admission.generation_id
        )
        return _settle_again(run, lenient_json.encode({**settlement, **WORDLESS}).decode())


def _settle_again(run: "Run", said: str) -> Receipt:
    for attempt in range(SETTLE_TRIES):
        try:
            return _settle_once(run, said)
        except (OperationalError, InterfaceError):
            if attempt == SETTLE_TRIES - 1:
                logger.critical(
                    "completion %s could not be settled: its hold will expire",
                    run.admission.generation_id,
                )
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")


def _settle_once(run: "Run", said: str) -> Receipt:
    try:
        settled: Settled | None = _settlements.ask(said, user=run.admission.user or 0)
    except IntegrityError:  # the commit before this try took effect
        settled = None
    if settled is None:
        return _read_receipt(run.admission.generation_id)
    return Receipt(
        generation_id=run.admission.generation_id,
        model=run.admission.model,
        upstream_id=run.meter.upstream_id,
        usage=run.meter.reading().usage,
        charged=settled["charged"],
        balance_after=settled["balance_after"],
        created=settled["created"],
    )


def _read_receipt(generation_id: str) -> Receipt:
    row = Completion.objects.get(generation_id=generation_id)
    return Receipt(
        generation_id=row.generation_id,
        model=row.model,
        upstream_id=row.upstream_id,
        usage=row.usage,
        charged=row.charged,
        balance_after=row.balance_after,
        created=int(row.created_at.timestamp()),
    )


def _settlement(run: "Run", reading: Reading, answer: Any) -> SettlementRequest:
    """The columns of the completion, counts and prices apart, and what settles with it."""
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
        "choices": admission.asked.choices,
        "max_tokens": admission.max_tokens,
        "clamped_max_tokens": admission.max_tokens if admission.clamped else None,
        "attempts": run.attempts,
        "held": admission.held,
        "cost": admission.prices.cost(usage) if admission.hold else 0,
        "first_byte_ms": milliseconds(admission.started, run.first_byte)
        if run.first_byte
        else None,
        "total_ms": milliseconds(admission.started, time.monotonic()),
        "most": ledger.MAX_AMOUNT,
        "metadata": {
            "generationId": admission.generation_id,
            "model": admission.model,
            "promptTokens": usage.prompt_tokens,
            "completionTokens": usage.completion_tokens,
            "usage": reading.source,
            "traceId": admission.trace_id,
            **_called_by(admission.credential),
        },
        "unused": _unused(admission, usage.total_tokens),
        "key": repeatable.key if repeatable else None,
        "answer": idempotency.sealed(answer) if repeatable and answer is not None else "",
    }


def _called_by(credential: str) -> dict[str, Any]:
    """The device or API key, for the ledger: without its name, which a deleted account must not leave there."""
    kind, _, own_id = credential.partition(":")
    return {"calledBy": {"kind": kind, "id": own_id}} if kind else {}


def _unused(admission: Admission, used: int) -> dict[str, UnusedRate]:
    """The seconds of each token rate that were counted for tokens which then were not used, by credential.

    Negative where more were used, up to a whole minute.
    """
    return {
        scope["credential"]: {
            "seconds": max(min(admission.counted_tokens, tokens["limit"]) - used, -tokens["limit"])
            * 60
            / tokens["limit"],
            "until": tokens["until"],
        }
        for scope in admission.rates
        if (tokens := scope["tokens"])
    }


def milliseconds(start: float, end: float) -> int:
    return round((end - start) * 1000)
