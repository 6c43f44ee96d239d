"""Settles a completion once: its charge and its receipt, also if the database restarts meanwhile.

The statement is llmproxy/database/sql/2_settlement.sql.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from psycopg.errors import UniqueViolation

from credits import ledger
from llmproxy import lenient_json
from llmproxy.admission import idempotency
from llmproxy.admission.admit import Admission
from llmproxy.admission.statement_batches import Batches
from llmproxy.database.contract import (
    WITHOUT_TEXTS,
    ProviderCost,
    Settled,
    SettlementRequest,
    UnusedRate,
)
from llmproxy.metering import operator_costs
from llmproxy.metering.meter import Reading
from llmproxy.metering.pricing import Usage
from llmproxy.models import Completion
from llmproxy.routes.base import Receipt
from llmproxy.spool import folder

logger = logging.getLogger(__name__)

# The first two: the database or the connection was lost. The others: `migrate` replaces functions,
# and this call looked for one that is gone; nothing of it was committed.
REPEATABLE = (
    OperationalError,
    InterfaceError,
    ProgrammingError,
    InternalError,
    NotSupportedError,  # of a standby, whose tables that are not logged cannot be read
)
# After so many seconds of tries, the settlement is written to the spool, so that the end of this
# process loses nothing. After the longer span the caller has waited long enough for the balance.
KEEP_SECONDS, SETTLE_SECONDS = 1, 10
LONGEST_PAUSE = 1.0  # seconds between two tries
_settlements = Batches("gateway_settle")


@dataclass(slots=True)
class Outcome:
    """How a completion ended: all that its settlement needs to know of the run.

    `provider` is the slug of the last one that was asked, empty if none was. `first_byte` is the
    moment of the answer's first byte by the monotonic clock.
    """

    admission: Admission
    reading: Reading
    upstream_id: str
    finish_reason: str
    provider: str
    status: Completion.Status
    error: str
    attempts: list[dict[str, Any]]
    first_byte: float | None
    told_cost: float | None = None  # in US dollars, as the provider reported it
    provider_prices: str = ""  # in US dollars, as in `Target`


def settle(outcome: Outcome, answer: Any) -> Receipt:
    """Charge a completion or release its hold, and write its row; return the receipt.

    The statement is repeated if the database restarts or the reply to a commit is lost. It is
    repeated without the provider's texts if PostgreSQL cannot store one of them. If the database
    stays away, the statement waits in the spool. `answer` is stored for a repetition with the same
    Idempotency-Key; it is None for a stream or a failure.
    """
    counts, prices = outcome.reading.usage.columns, outcome.admission.prices.columns
    request = {**_build_request(outcome, answer), **counts, **prices}
    try:
        return _settle_repeatedly(outcome, lenient_json.encode(request).decode())
    except DataError:
        logger.exception(
            "completion %s: settled without the provider's words", outcome.admission.generation_id
        )
        request |= WITHOUT_TEXTS
        return _settle_repeatedly(outcome, lenient_json.encode(request).decode())


def _settle_repeatedly(outcome: Outcome, request: str) -> Receipt:
    started, pause, is_kept = time.monotonic(), 0.1, False
    while True:
        try:
            return _settle_once(outcome, request)
        except REPEATABLE:
            waited = time.monotonic() + pause - started
            is_kept = is_kept or (waited > KEEP_SECONDS and _keep(outcome, request))
            if waited > SETTLE_SECONDS:
                return _promise_receipt(outcome, is_kept=is_kept)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _keep(outcome: Outcome, request: str) -> bool:
    """Write the settlement to the spool; False if the disk does not take it."""
    try:
        folder.keep(request)
    except OSError as error:
        logger.error(  # noqa: TRY400 – what the disk says is enough
            "completion %s could not be kept: %s", outcome.admission.generation_id, error
        )
        return False
    return True


def _promise_receipt(outcome: Outcome, *, is_kept: bool) -> Receipt:
    """The receipt of a completion that is settled later: the most that it will be charged.

    If the disk takes nothing either, the hold expires, and nothing is charged
    (docs/decisions/0033-what-cannot-be-settled-waits-on-disk.md).
    """
    admission = outcome.admission
    if is_kept:
        logger.error("completion %s is not settled yet: it waits on disk", admission.generation_id)
    else:
        logger.critical(
            "completion %s could not be settled or kept: its hold will expire",
            admission.generation_id,
        )
    return Receipt(
        generation_id=admission.generation_id,
        model=admission.model,
        upstream_id=outcome.upstream_id,
        usage=outcome.reading.usage,
        charged=_compute_cost(outcome),
        balance_after=None,
        created=int(time.time()),
    )


def _settle_once(outcome: Outcome, request: str) -> Receipt:
    admission = outcome.admission
    try:
        settled: Settled | None = _settlements.ask(request, user=admission.user or 0)
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        settled = None  # an earlier try has committed
    if settled is None:
        return _read_receipt(admission.generation_id)
    return Receipt(
        generation_id=admission.generation_id,
        model=admission.model,
        upstream_id=outcome.upstream_id,
        usage=outcome.reading.usage,
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


def _build_request(outcome: Outcome, answer: Any) -> SettlementRequest:
    """The columns of the completion, without counts and prices, and what is settled with it."""
    admission, usage = outcome.admission, outcome.reading.usage
    repeatable, first_byte = admission.repeatable, outcome.first_byte
    return {
        "generation_id": admission.generation_id,
        "user_id": admission.user,
        "credential": admission.credential,
        "credential_name": admission.credential_name,
        "hold_id": admission.hold,
        "provider": outcome.provider,
        "model": admission.model,
        "upstream_id": outcome.upstream_id,
        "trace_id": admission.trace_id,
        "request_id": admission.request_id,
        "route": admission.path,
        "is_stream": admission.request.stream,
        "status": outcome.status,
        "error": outcome.error,
        "finish_reason": outcome.finish_reason[:40],
        "usage_source": outcome.reading.source,
        "choices": admission.request.choices,
        "max_tokens": admission.max_tokens,
        "clamped_max_tokens": admission.max_tokens if admission.clamped else None,
        "extras": _collect_extras(admission, usage),
        "attempts": outcome.attempts,
        "dropped_parameters": admission.request.not_sent or None,
        **_find_provider_cost(outcome),
        "held": admission.held,
        "cost": _compute_cost(outcome),
        "first_byte_ms": milliseconds(admission.started, first_byte) if first_byte else None,
        "total_ms": milliseconds(admission.started, time.monotonic()),
        "most": ledger.MAX_AMOUNT,
        "least": settings.WEB_LLM_MIN_CREDITS,
        "metadata": {
            "generationId": admission.generation_id,
            "model": admission.model,
            "promptTokens": usage.prompt_tokens,
            "completionTokens": usage.completion_tokens,
            "usage": outcome.reading.source,
            "traceId": admission.trace_id,
            **({"counts": counts} if (counts := usage.extras) else {}),
            **_called_by(admission.credential),
        },
        "unused": _measure_unused(admission, usage.total_tokens),
        "key": repeatable.key if repeatable else None,
        "answer": idempotency.sealed(answer) if repeatable and answer is not None else "",
    }


def _compute_cost(outcome: Outcome) -> int:
    admission = outcome.admission
    return admission.prices.cost(outcome.reading.usage) if admission.hold else 0


def _find_provider_cost(outcome: Outcome) -> ProviderCost:
    """What the provider takes for the answer: as it reported, else computed from its prices."""
    usd: float | str | None = outcome.told_cost
    if usd is not None:
        return {"provider_cost": usd, "provider_cost_source": Completion.CostSource.TOLD}
    if outcome.provider_prices and outcome.reading.source != Completion.UsageSource.NONE:
        usd = operator_costs.compute_usd(outcome.provider_prices, outcome.reading.usage)
    source = None if usd is None else Completion.CostSource.COMPUTED
    return {"provider_cost": usd, "provider_cost_source": source}


def _collect_extras(admission: Admission, usage: Usage) -> dict[str, Any] | None:
    """The prices and counts that have no columns; None if there are none, as for most models."""
    extras, counts = admission.prices.extras, usage.extras
    if counts:
        extras["counts"] = counts
    return extras or None


def _called_by(credential: str) -> dict[str, Any]:
    """The device or API key, for the ledger.

    Its name is left out: people choose names, and a ledger row outlives their account.
    """
    kind, _, own_id = credential.partition(":")
    return {"calledBy": {"kind": kind, "id": own_id}} if kind else {}


def _measure_unused(admission: Admission, used: int) -> dict[str, UnusedRate]:
    """For each token rate, by credential: the seconds counted for tokens that were not used.

    Negative if more tokens were used than counted, down to a minute.
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
    """The milliseconds between two moments in seconds, rounded."""
    return round((end - start) * 1000)
