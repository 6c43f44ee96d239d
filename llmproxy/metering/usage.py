"""What a provider's counts mean: from `spellings.Counts` to the usage of a completion.

Unknown is not zero: a count that is missing follows from the total, or is estimated.
"""

from dataclasses import dataclass

from llmproxy.metering.price_kinds import EXTRA_COUNTS
from llmproxy.metering.pricing import Usage
from llmproxy.metering.spellings import Counts

LONGEST_TOKEN = 128  # bytes; only runs of spaces are as long
# A provider that reports no completion is believed for no more text than a token can be.
ZERO_BYTES = LONGEST_TOKEN
# The counts of `Usage` that are taken as they are reported.
OTHERS = frozenset(EXTRA_COUNTS)


@dataclass(slots=True)
class Estimates:
    """What an answer used as far as its bytes tell, in tokens.

    `prompt` and `completion` are low (docs/decisions/0006). `most_prompt` is the most tokens that
    the bytes of the prompt can be. `text_bytes` is the size of the generated text.
    """

    prompt: int
    completion: int
    most_prompt: int
    text_bytes: int


@dataclass(slots=True)
class Report:
    """A provider's report, in tokens. None is unknown. The prompt includes its caches."""

    prompt: int | None
    completion: int | None = None
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    total: int | None = None

    @property
    def is_zero(self) -> bool:
        """Whether the provider says that nothing was used."""
        return self.prompt == 0 and self.completion == 0 and self.total is None


def interpret(counts: Counts) -> Report:
    """The report in these counts, with what the total tells about the others.

    Some providers leave thinking out of the completion, or caches out of the prompt, but all of
    them are in the total.
    """
    total, completion = counts.get("total_tokens") or None, counts.get("completion_tokens")
    thoughts, reasoning = counts.get("thought_tokens", 0), counts.get("reasoning_tokens", 0)
    if completion is None and thoughts and total is None:
        completion = 0  # Google leaves out a count that is zero
    ends = {(completion or 0) + more for more in (0, thoughts, reasoning)}
    report = _read_prompt(counts, {total - end for end in ends} if total else set())
    report.total, report.reasoning = total, max(reasoning, thoughts)
    if completion is not None:
        # More reasoning than completion is no part of it.
        report.completion = completion + (reasoning if reasoning > completion else thoughts)
        if total and report.prompt and total >= report.prompt + completion:
            report.completion = total - report.prompt
            report.reasoning = max(report.reasoning, report.completion - completion)
    _doubt_zeros(report)
    _use_total(report)
    return report


def _read_prompt(counts: Counts, sums: set[int]) -> Report:
    """The prompt and its caches. `sums` are the sizes of the prompt that agree with the total."""
    read, by_time = counts.get("read_tokens", 0), _sum_written(counts)
    cached = max(counts.get("cached_tokens", 0), read)
    written = max(counts.get("cache_write_tokens", 0), by_time)
    inclusive, exclusive = counts.get("prompt_tokens"), counts.get("input_tokens")
    prompt = inclusive or (inclusive if exclusive is None else exclusive)
    missed = counts.get("missed_tokens")
    if missed is not None and prompt is None:
        prompt = missed + cached
    elif missed is not None and prompt is not None and "cached_tokens" not in counts:
        cached = max(prompt - missed, 0)
    if prompt is not None:
        prompt += counts.get("apart_tokens", 0) + counts.get("precached_tokens", 0)
        if prompt in sums and read + by_time <= prompt:
            pass  # the total says that the caches are included
        elif prompt + cached + written in sums:
            prompt += cached + written
        elif not inclusive or read + by_time > prompt:
            prompt += read + by_time
    return Report(prompt, cached=cached + counts.get("precached_tokens", 0), written=written)


def _sum_written(counts: Counts) -> int:
    """The tokens written to a cache, which Anthropic also reports by their time to live."""
    by_time = counts.get("written_5m_tokens", 0) + counts.get("written_1h_tokens", 0)
    return max(counts.get("written_tokens", 0), by_time)


def _doubt_zeros(report: Report) -> None:
    """Take a zero beside a number as unknown, unless the total confirms it.

    Some providers send a zero for a count that they do not know yet, and never correct it.
    """
    used = report.completion or 0
    if report.prompt == 0 and (used or report.total) and report.total != used:
        report.prompt = None
    if report.completion == 0 and report.total and report.total != report.prompt:
        report.completion = None


def _use_total(report: Report) -> None:
    """Compute an unknown count as the total without the known one."""
    if report.total is None:
        return
    if report.prompt and report.completion is None and report.total >= report.prompt:
        report.completion = report.total - report.prompt
    elif report.prompt is None and report.completion and report.total > report.completion:
        report.prompt = report.total - report.completion


def complete(
    report: Report, counts: Counts, estimates: Estimates, *, is_final: bool
) -> tuple[Usage, bool]:
    """The usage, with an estimate for each count that is unknown; and whether there is one.

    If the report is not `is_final`, text may have been generated after it. Then the larger of
    the reported completion and the estimate counts.
    """
    is_estimated = False
    if report.completion == 0 and report.prompt and estimates.text_bytes > ZERO_BYTES:
        report.completion = None
    if report.prompt is None and report.completion is None and report.total is not None:
        _split_total(report, report.total, estimates)
        is_estimated = True
    if report.completion is None:
        report.prompt = report.prompt or None  # a zero beside an unknown count says nothing
        report.completion = estimates.completion
        is_estimated = is_estimated or estimates.completion > 0
    elif not is_final and estimates.completion > report.completion:
        report.completion, is_estimated = estimates.completion, True
    if report.prompt is None:
        report.prompt, is_estimated = max(estimates.prompt, report.cached + report.written), True
    return _build_usage(report, counts), is_estimated


def _split_total(report: Report, total: int, estimates: Estimates) -> None:
    """Divide a total in favour of the user: what can be prompt is no completion."""
    report.prompt = min(max(total - estimates.completion, 0), max(estimates.most_prompt, 1))
    report.completion = total - report.prompt


def _build_usage(report: Report, counts: Counts) -> Usage:
    """The usage. Parts that are more than their whole are cut."""
    prompt, completion = report.prompt or 0, report.completion or 0
    others = {count: counts[count] for count in OTHERS & counts.keys()}
    if kept := counts.get("written_1h_tokens"):
        others["cache_write_1h_tokens"] = kept
    if not (report.cached or report.written or report.reasoning or others):
        return Usage(prompt, completion)
    usage = Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=report.cached,
        reasoning_tokens=report.reasoning,
        cache_write_tokens=report.written,
        **others,
    )
    return usage.bounded(prompt=prompt, completion=completion)
