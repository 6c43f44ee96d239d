"""A chart as Unfold's script wants it: JSON for Chart.js, and the same figures as a table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

Text = str | Promise
# They differ in both themes, and for most colour-blind readers too.
COLOURS = ("#0f8fc8", "#e0823d", "#2e9e6b", "#8b6fd6", "#c9a227", "#d5504a", "#7a8796")
GREY, RED = COLOURS[6], COLOURS[5]
BAR, LINE = "bar", "line"


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one colour, one for each label; None leaves a gap."""

    label: Text
    values: Sequence[float | int | None]
    colour: str
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The figures behind a chart as texts. The first column names the row."""

    headers: Sequence[Text]
    rows: Sequence[Sequence[str]]

    @property
    def html(self) -> SafeString:
        """The rows as HTML. A template takes ten times as long for hundreds of cells."""
        head = format_html_join("", '<th scope="col">{}</th>', ((one,) for one in self.headers))
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows
        )
        html = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return mark_safe(html)  # noqa: S308 – each cell is escaped


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its table. Without figures, `empty` says so in place of both.

    `data` and `options` are JSON for Chart.js.
    """

    slug: str
    title: Text
    table: Table
    kind: str = BAR
    data: str = ""
    options: str = ""
    note: str = ""
    empty: str = ""

    @property
    def canvas(self) -> SafeString:
        """The place of the chart, with its JSON in single quotes: `&quot;` is six times as long."""
        html = (
            f"<canvas class='chart' data-type='{self.kind}' data-options='{_quote(self.options)}'"
            f" data-value='{_quote(self.data)}'></canvas>"
        )
        return mark_safe(html)  # noqa: S308 – what ends an attribute or looks like HTML is escaped


@dataclass(frozen=True, slots=True)
class Axes:
    """How the values are drawn."""

    is_stacked: bool = False
    is_horizontal: bool = False
    unit: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def draw(
    slug: str,
    title: Text,
    labels: Sequence[str],
    series: Sequence[Series],
    table: Table,
    *,
    kind: str = BAR,
    axes: Axes | None = None,
    note: str = "",
    empty: str = "",
) -> Chart:
    """Return a chart of these values, or only its sentence if there is nothing to draw."""
    if not any(value for one in series for value in one.values):
        return Chart(slug, title, table, empty=empty or _("Nothing in this range."))
    return Chart(
        slug,
        title,
        table,
        kind,
        _write({"labels": labels, "datasets": [_describe(one, kind) for one in series]}),
        _write(_set_options(axes or Axes())),
        note,
    )


def _describe(series: Series, kind: str) -> dict[str, Any]:
    shared = {"label": str(series.label), "data": list(series.values)}
    if kind == BAR:
        return shared | {"backgroundColor": series.colour, "maxBarThickness": 28}
    dash = {"borderDash": [4, 4]} if series.is_dashed else {}
    line = {"borderColor": series.colour, "backgroundColor": series.colour, "borderWidth": 2}
    return shared | line | dash | {"pointRadius": 1.5, "spanGaps": True}


def _set_options(axes: Axes) -> dict[str, Any]:
    ticks = {"color": GREY, "maxRotation": 0, "autoSkipPadding": 8}
    names = {"stacked": axes.is_stacked, "ticks": ticks, "grid": {"display": False}}
    title = {"display": bool(axes.unit), "text": axes.unit, "color": GREY}
    numbers = {
        "stacked": axes.is_stacked,
        "beginAtZero": True,
        "ticks": ticks | {"maxTicksLimit": 6},
        "grid": {"lineWidth": 0.5},
        "title": title,
    }
    legend = {"boxWidth": 8, "boxHeight": 8, "usePointStyle": True, "color": GREY}
    return {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "locale": get_language() or "en",
        "indexAxis": "y" if axes.is_horizontal else "x",
        "interaction": {
            "mode": "index",
            "intersect": False,
            "axis": "y" if axes.is_horizontal else "x",
        },
        "plugins": {"legend": {"position": "bottom", "labels": legend}},
        "scales": {"y": names, "x": numbers} if axes.is_horizontal else {"x": names, "y": numbers},
    }


def _quote(text: str) -> str:
    """Escape a text for an attribute in single quotes."""
    for character, written in (("&", "&amp;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, written)
    return text


def _write(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
