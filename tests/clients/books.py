"""Compare what each completion was charged with the usage that the provider reported for it."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from tests.clients.gateway import PRICES
from tests.clients.mock.provider import Record
from tests.clients.mock.usage import Usage


@dataclass(frozen=True)
class Charges:
    """The sums of some requests in credits, and the ids of answers that were charged otherwise."""

    requests: int
    due: int
    charged: int
    wrong: list[str]


def compare(records: list[Record], last_id: int) -> Charges:
    """Compare these records of the provider with the completions after `last_id`."""
    from llmproxy.models import Completion

    settled = list(Completion.objects.filter(pk__gt=last_id))
    rows = {row.upstream_id: row for row in settled}
    used = [record for record in records if record.usage]
    due = sum(compute_cost(record.usage) for record in used if record.usage)
    wrong = []
    for record in used:
        row = rows.get(record.id)
        if (
            record.id
            and record.usage
            and (row is None or row.charged != compute_cost(record.usage))
        ):
            told = f"{row.charged} ({row.usage_source})" if row else "no receipt"
            wrong.append(f"{record.asked.path}: {compute_cost(record.usage)} due, {told}")
    return Charges(len(records), due, sum(row.charged for row in settled), wrong)


def compute_cost(usage: Usage) -> int:
    """Return the credits for this usage, rounded up once."""
    plain = usage.prompt - usage.cached - usage.written
    counts = {
        "prompt": plain,
        "cached_prompt": usage.cached,
        "cache_write": usage.written,
        "completion": usage.completion,
    }
    exact = sum((Decimal(PRICES[name]) * count for name, count in counts.items()), Decimal(0))
    return int((exact / 1000).to_integral_value(ROUND_CEILING))


def find_last_id() -> int:
    from llmproxy.models import Completion

    return Completion.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
