"""The exports of providers that can be imported: their columns, and what a line of each means.

docs/reconciliation.md has the sources of the columns. Names of columns are compared without case
and punctuation, and their order does not matter.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _

from llmproxy.reconciliation.cells import Cells, FileRefused

TOKENS, EMBEDDINGS, COST = "tokens", "embeddings", "cost"
DATES = ("created_at", "date", "start_time", "timestamp", "usage_date_utc")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says. Numbers that it does not have are None; `cost` is in US dollars.

    `upstream_id` and `at` are those of a single request, for a format that lists them. An empty
    line says only that there was nothing on its day.
    """

    day: date
    model: str = ""
    requests: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    cost: Decimal | None = None
    upstream_id: str = ""
    at: datetime | None = None
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of export. `vendor` finds the provider: a part of its URL."""

    name: str
    label: str
    vendor: str
    scopes: tuple[str, ...]
    columns: frozenset[str]
    read: Callable[[Cells], Line]
    lacks: frozenset[str] = frozenset()

    def fits(self, names: Iterable[str]) -> bool:
        """Whether a file with these columns is of this format."""
        found = set(names)
        return self.columns <= found and not self.lacks & found


def _add(*amounts: Decimal | None) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _read_openrouter_request(cells: Cells) -> Line:
    at = cells.get_moment("created_at")
    upstream_id = cells.get_name("generation_id")
    if not upstream_id:
        raise cells.refuse("generation_id", _("is empty"))
    return Line(
        day=at.date(),
        model=cells.get_name("model_permaslug"),
        requests=1,
        prompt_tokens=cells.require_count("tokens_prompt"),
        cached_tokens=cells.get_count("tokens_cached"),
        completion_tokens=cells.require_count("tokens_completion"),
        cost=_add(cells.require_usd("cost_total"), cells.get_usd("byok_usage_inference")),
        upstream_id=upstream_id,
        at=at,
    )


def _read_openrouter_day(cells: Cells) -> Line:
    return Line(
        day=cells.get_day("date"),
        model=cells.get_name("model_permaslug", "slug", "model"),
        requests=cells.require_count("requests"),
        prompt_tokens=cells.require_count("prompt_tokens"),
        completion_tokens=cells.require_count("completion_tokens"),
        cost=_add(
            cells.require_usd("usage"),
            cells.get_usd("byok_usage_inference"),
            cells.get_usd("byok_usage"),
        ),
    )


def _get_bucket_day(cells: Cells) -> date:
    """The day of a bucket of OpenAI, which must not be longer than a day of UTC."""
    start = cells.get_moment("start_time" if "start_time" in cells else "start_time_iso")
    end_column = "end_time" if "end_time" in cells else "end_time_iso"
    if end_column in cells:
        end = cells.get_moment(end_column)
        midnight = datetime.combine(start.date(), datetime.min.time(), start.tzinfo)
        if not start < end <= midnight + DAY:
            raise cells.refuse(end_column, _("is the end of more than one day of UTC"))
    return start.date()


def _read_openai_usage(cells: Cells) -> Line:
    day = _get_bucket_day(cells)
    if "input_tokens" not in cells and "num_model_requests" not in cells:
        return Line(day, is_empty=True)
    return Line(
        day=day,
        model=cells.get_name("model"),
        requests=cells.require_count("num_model_requests"),
        prompt_tokens=cells.require_count("input_tokens"),
        cached_tokens=cells.get_count("input_cached_tokens"),
        completion_tokens=cells.get_count("output_tokens") or 0,
    )


def _read_openai_cost(cells: Cells) -> Line:
    day = _get_bucket_day(cells)
    if "amount_value" not in cells:
        return Line(day, is_empty=True)
    currency = cells.get_name("amount_currency")
    if currency.lower() != "usd":
        raise cells.refuse("amount_currency", _("is not usd, and only US dollars can be compared"))
    model, _comma, _kind = cells.get_name("line_item").partition(",")
    return Line(day=day, model=model.strip(), cost=cells.require_usd("amount_value"))


def _read_openai_activity(cells: Cells) -> Line:
    return Line(
        day=cells.get_day("timestamp"),
        model=cells.get_name("model"),
        requests=cells.require_count("n_requests"),
        prompt_tokens=cells.require_count("n_context_tokens_total"),
        completion_tokens=cells.require_count("n_generated_tokens_total"),
    )


CACHE_COLUMNS = (
    "usage_input_tokens_cache_write",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
)


def _read_anthropic_usage(cells: Cells) -> Line:
    """Their tokens without a cache, written to one and read from one are parts of our prompt."""
    cached = cells.require_count("usage_input_tokens_cache_read")
    written = sum(cells.get_count(name) or 0 for name in CACHE_COLUMNS)
    return Line(
        day=cells.get_day("usage_date_utc"),
        model=cells.get_name("model_version"),
        prompt_tokens=cells.require_count("usage_input_tokens_no_cache") + written + cached,
        cached_tokens=cached,
        completion_tokens=cells.require_count("usage_output_tokens"),
    )


def _read_anthropic_cost(cells: Cells) -> Line:
    return Line(
        day=cells.get_day("usage_date_utc"),
        model=cells.get_name("model"),
        cost=cells.require_usd("cost_usd"),
    )


FORMATS = (
    Format(
        "openrouter_requests",
        "OpenRouter, activity by request",
        "openrouter.ai",
        (TOKENS, COST),
        frozenset(
            [
                "generation_id",
                "created_at",
                "cost_total",
                "tokens_prompt",
                "tokens_completion",
                "model_permaslug",
            ]
        ),
        _read_openrouter_request,
    ),
    Format(
        "openrouter_days",
        "OpenRouter, activity by day",
        "openrouter.ai",
        (TOKENS, COST),
        frozenset({"date", "usage", "requests", "prompt_tokens", "completion_tokens"}),
        _read_openrouter_day,
    ),
    Format(
        "openai_usage",
        "OpenAI, usage of completions",
        "api.openai.com",
        (TOKENS,),
        frozenset({"start_time", "num_model_requests", "input_tokens", "output_tokens"}),
        _read_openai_usage,
    ),
    Format(
        "openai_embeddings",
        "OpenAI, usage of embeddings",
        "api.openai.com",
        (EMBEDDINGS,),
        frozenset({"start_time", "num_model_requests", "input_tokens"}),
        _read_openai_usage,
        lacks=frozenset({"output_tokens"}),
    ),
    Format(
        "openai_costs",
        "OpenAI, costs",
        "api.openai.com",
        (COST,),
        frozenset({"start_time", "amount_value", "amount_currency"}),
        _read_openai_cost,
    ),
    Format(
        "openai_activity",
        "OpenAI, activity (until 2024)",
        "api.openai.com",
        (TOKENS,),
        frozenset(
            [
                "timestamp",
                "model",
                "n_requests",
                "n_context_tokens_total",
                "n_generated_tokens_total",
            ]
        ),
        _read_openai_activity,
    ),
    Format(
        "anthropic_usage",
        "Anthropic, usage",
        "api.anthropic.com",
        (TOKENS,),
        frozenset(
            [
                "usage_date_utc",
                "model_version",
                "usage_input_tokens_no_cache",
                "usage_input_tokens_cache_read",
                "usage_output_tokens",
            ]
        ),
        _read_anthropic_usage,
    ),
    Format(
        "anthropic_cost",
        "Anthropic, cost",
        "api.anthropic.com",
        (COST,),
        frozenset({"usage_date_utc", "model", "cost_usd"}),
        _read_anthropic_cost,
        lacks=frozenset({"usage_input_tokens_no_cache"}),
    ),
)
BY_NAME = {one.name: one for one in FORMATS}


def find_format(names: list[str]) -> Format:
    """The format of a file with these columns. Raises FileRefused."""
    for one in FORMATS:
        if one.fits(names):
            return one
    if set(names) == {"start_time", "end_time", "start_time_iso", "end_time_iso"}:
        raise FileRefused(_("This export of OpenAI has no usage: choose other days, and group it."))
    nearest = max(FORMATS, key=lambda one: len(one.columns & set(names)) / len(one.columns))
    missing = sorted(nearest.columns - set(names))
    if len(missing) <= len(nearest.columns) / 2:
        raise FileRefused(
            _("This looks like “%(format)s”, but these columns are missing: %(columns)s.")
            % {"format": nearest.label, "columns": ", ".join(missing)}
        )
    raise FileRefused(
        _(
            "This is no usage export of OpenAI, Anthropic or OpenRouter that is known here. "
            "Its columns are: %(columns)s."
        )
        % {"columns": ", ".join(names[:12])[:300]}
    )
