"""The charts of requests, of credits by model, and of latencies by provider."""

from collections.abc import Callable, Iterable, Sequence

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

from llmproxy.models import LatencyHour
from llmproxy.usage.whole_site import figures
from llmproxy.usage.whole_site.figures import Percentiles, Span, Sums
from smartspec.admin.charts.chart import (
    COLOURS,
    GREY,
    LINE,
    RED,
    Axes,
    Chart,
    Series,
    Table,
    draw,
)

MOST_MODELS = 6  # with a colour of their own; the table has all
MOST_PROVIDERS = 4


def build_requests(labels: Sequence[str], sums: Iterable[Sums]) -> Chart:
    answers, failures = [0] * len(labels), [0] * len(labels)
    for row in sums:
        answers[row.period] += row.answers
        failures[row.period] += row.failures
    rows = [
        (label, intcomma(good + bad), intcomma(bad), _format_share(bad, good + bad))
        for label, good, bad in zip(labels, answers, failures, strict=True)
    ]
    return draw(
        "requests",
        _("Requests and failures"),
        labels,
        [
            Series(_("Answered"), answers, COLOURS[0]),
            Series(_("Failed"), failures, RED),
        ],
        Table((_("Period"), _("Requests"), _("Failed"), _("Share")), rows),
        axes=Axes(is_stacked=True),
        empty=_("No requests in this range."),
    )


def build_credits_by_model(labels: Sequence[str], sums: Sequence[Sums]) -> Chart:
    by_model: dict[str, list[int]] = {}
    for row in sums:
        by_model.setdefault(row.model, [0] * len(labels))[row.period] += row.charged
    ranked = sorted(by_model, key=lambda model: (-sum(by_model[model]), model))
    shown, rest = ranked[:MOST_MODELS], ranked[MOST_MODELS:]
    series = [
        Series(model, by_model[model], colour)
        for model, colour in zip(shown, COLOURS, strict=False)
    ]
    if rest:
        others = [sum(column) for column in zip(*(by_model[model] for model in rest), strict=True)]
        series.append(Series(_("Other models"), others, GREY))
    rows = [
        (label, *(intcomma(one.values[number]) for one in series))
        for number, label in enumerate(labels)
    ]
    return draw(
        "credits-by-model",
        _("Credits used by model"),
        labels,
        series,
        Table((_("Period"), *(one.label for one in series)), rows),
        axes=Axes(is_stacked=True),
        empty=_("No credits were used in this range."),
    )


def build_latencies(labels: Sequence[str], span: Span, name: Callable[[str], str]) -> list[Chart]:
    """Return the charts of the first byte and of whole answers. `name` names a provider."""
    read = figures.read_percentiles(span)
    titles = {
        LatencyHour.Measure.FIRST: _("Time to the first byte, by provider"),
        LatencyHour.Measure.WHOLE: _("Time of whole answers, by provider"),
    }
    return [
        _build_latency(
            f"latency-{measure.value}",
            title,
            labels,
            {
                name(provider): found
                for (found_measure, provider), found in read.items()
                if found_measure == measure.value
            },
        )
        for measure, title in titles.items()
    ]


def _build_latency(
    slug: str,
    title: str,
    labels: Sequence[str],
    providers: dict[str, tuple[Percentiles, dict[int, Percentiles]]],
) -> Chart:
    ranked = sorted(providers, key=lambda provider: (-providers[provider][0].answers, provider))
    series = []
    for provider, colour in zip(ranked[:MOST_PROVIDERS], COLOURS, strict=False):
        periods = providers[provider][1]
        found = [periods.get(number) for number in range(len(labels))]
        halves = [_to_seconds(one.p50) if one else None for one in found]
        most = [_to_seconds(one.p95) if one else None for one in found]
        series += [
            Series(_("%(provider)s, median") % {"provider": provider}, halves, colour),
            Series(_("%(provider)s, 95 %%") % {"provider": provider}, most, colour, is_dashed=True),
        ]
    rows = [
        (
            provider,
            _format_seconds(providers[provider][0].p50),
            _format_seconds(providers[provider][0].p95),
            intcomma(providers[provider][0].answers),
        )
        for provider in ranked
    ]
    return draw(
        slug,
        title,
        labels,
        series,
        Table((_("Provider"), _("Median"), _("95 %"), _("Answers")), rows),
        kind=LINE,
        axes=Axes(unit=_("seconds")),
        note=_("Half of the answers are faster than the median, 95 % faster than the dashed line."),
        empty=_("No answers in this range."),
    )


def _to_seconds(milliseconds: float) -> float:
    return float(f"{milliseconds / 1000:.3g}")


def _format_seconds(milliseconds: float) -> str:
    return _("%(number)s s") % {"number": f"{milliseconds / 1000:,.2f}"}


def _format_share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"
