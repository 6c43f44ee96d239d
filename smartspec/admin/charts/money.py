"""The charts of money in, of credits in and out, and of the margin."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import groupby

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

from credits.currencies import format_amount, format_fraction, to_decimal
from credits.exchange_rates import convert, get_main_currency
from credits.operators.income import CreditsIn, CreditValue, Money
from llmproxy.usage.whole_site.figures import Sums
from smartspec.admin.charts.chart import COLOURS, RED, Axes, Chart, Series, Table, draw

MOST_PAIRS = 8  # of a model and a provider; the table has all


def build_money(labels: Sequence[str], money: Sequence[Money]) -> list[Chart]:
    """Return one chart in the operator's currency; one for each currency without rates."""
    main = get_main_currency()
    table = _list_money(labels, money)
    if all(convert(Decimal(1), row.currency, main) is not None for row in money):
        note = ""
        if {row.currency for row in money} - {main}:
            note = _("Converted to %(currency)s with USD_RATES; the table has each currency.") % {
                "currency": main.upper()
            }
        return [_draw_money("money", _("Money in"), labels, money, main, table, note)]
    by_currency = sorted(money, key=lambda row: row.currency)
    return [
        _draw_money(
            f"money-{currency}",
            _("Money in, %(currency)s") % {"currency": currency.upper()},
            labels,
            rows := list(group),
            currency,
            _list_money(labels, rows),
            _("Set USD_RATES to see all currencies in one chart."),
        )
        for currency, group in groupby(by_currency, key=lambda row: row.currency)
    ]


def _draw_money(
    slug: str,
    title: str,
    labels: Sequence[str],
    money: Iterable[Money],
    currency: str,
    table: Table,
    note: str,
) -> Chart:
    received, sent_back = [Decimal(0)] * len(labels), [Decimal(0)] * len(labels)
    for row in money:
        for sums, amount in ((received, row.received), (sent_back, row.sent_back)):
            worth = convert(to_decimal(amount, row.currency), row.currency, currency)
            sums[row.period] += worth or 0
    return draw(
        slug,
        title,
        labels,
        [
            Series(_("Received"), [float(round(one, 2)) for one in received], COLOURS[2]),
            Series(_("Sent back"), [float(round(one, 2)) for one in sent_back], RED),
        ],
        table,
        axes=Axes(unit=currency.upper()),
        note=note,
        empty=_("Nothing was paid in this range."),
    )


def _list_money(labels: Sequence[str], money: Iterable[Money]) -> Table:
    rows = [
        (
            labels[row.period],
            format_amount(row.received, row.currency),
            format_amount(row.sent_back, row.currency),
        )
        for row in money
    ]
    return Table((_("Period"), _("Received"), _("Sent back")), rows)


def build_credits(
    labels: Sequence[str], credits_in: Iterable[CreditsIn], sums: Iterable[Sums]
) -> Chart:
    sold, granted, given_back, used = ([0] * len(labels) for _number in range(4))
    for row in credits_in:
        sold[row.period], granted[row.period] = row.sold, row.granted
        given_back[row.period] = row.given_back
    for usage in sums:
        used[usage.period] += usage.charged
    series = [
        Series(_("Sold"), sold, COLOURS[2]),
        Series(_("Given"), granted, COLOURS[4]),
        Series(_("Refunded usage"), given_back, COLOURS[3]),
        Series(_("Used"), used, COLOURS[0]),
    ]
    rows = [
        (label, *(intcomma(one.values[number]) for one in series))
        for number, label in enumerate(labels)
    ]
    return draw(
        "credits",
        _("Credits in and out"),
        labels,
        series,
        Table((_("Period"), *(one.label for one in series)), rows),
        empty=_("No credits moved in this range."),
    )


def build_margin(
    sums: Iterable[Sums], value: CreditValue | None, name: Callable[[str], str]
) -> Chart:
    """Return what was charged against the costs at providers, where these are known."""
    slug, title = "margin", _("Margin by model and provider")
    pairs = _sum_pairs(sums)
    known = sorted(
        (pair for pair in pairs.items() if pair[1].costed),
        key=lambda pair: (-pair[1].costed_charged, pair[0]),
    )
    nothing = Table((), ())
    if not known:
        text = _("No cost at a provider is known in this range. Import prices of the providers.")
        return draw(slug, title, [], [], nothing, empty=text)
    rate = None if value is None else convert(Decimal(1), "usd", value.currency)
    if value is None or rate is None:
        text = _("Set USD_RATES, or sell something, to compare charges with costs in dollars.")
        return draw(slug, title, [], [], nothing, empty=text)
    names = [f"{model} · {name(provider)}" for (model, provider), _pair in known]
    charged = [pair.costed_charged * value.amount for _key, pair in known]
    costs = [pair.cost * rate for _key, pair in known]
    return draw(
        slug,
        title,
        names[:MOST_PAIRS],
        [
            Series(_("Charged"), _round(charged[:MOST_PAIRS]), COLOURS[0]),
            Series(_("Cost"), _round(costs[:MOST_PAIRS]), COLOURS[1]),
        ],
        _list_margins(names, [pair for _key, pair in known], charged, costs, value),
        axes=Axes(is_horizontal=True, unit=value.currency.upper()),
        note=_describe_value(value, list(pairs.values())),
    )


def _sum_pairs(sums: Iterable[Sums]) -> dict[tuple[str, str], Sums]:
    pairs: dict[tuple[str, str], Sums] = {}
    for row in sums:
        known = pairs.get((row.model, row.provider))
        pairs[row.model, row.provider] = row if known is None else _add(known, row)
    return pairs


def _add(one: Sums, other: Sums) -> Sums:
    return Sums(
        one.period,
        one.provider,
        one.model,
        one.answers + other.answers,
        one.failures + other.failures,
        one.charged + other.charged,
        one.cost + other.cost,
        one.costed + other.costed,
        one.costed_charged + other.costed_charged,
    )


def _list_margins(
    names: Sequence[str],
    pairs: Sequence[Sums],
    charged: Sequence[Decimal],
    costs: Sequence[Decimal],
    value: CreditValue,
) -> Table:
    rows = [
        (
            name,
            intcomma(pair.costed_charged),
            _format(worth, value.currency),
            _format(cost, value.currency),
            _format(worth - cost, value.currency),
            f"{100 * (worth - cost) / worth:.1f} %" if worth else "–",
        )
        for name, pair, worth, cost in zip(names, pairs, charged, costs, strict=True)
    ]
    headers = _("Model and provider"), _("Credits"), _("Charged"), _("Cost"), _("Margin"), "%"
    return Table(headers, rows)


def _describe_value(value: CreditValue, pairs: Sequence[Sums]) -> str:
    price = format_fraction(value.amount, value.currency)
    text = (
        _("A credit counts as %(price)s, the average price paid without tax.")
        if value.is_paid
        else _("A credit counts as %(price)s, as CREDITS_PER_USD says: nothing is sold yet.")
    ) % {"price": price}
    all_charged = sum(pair.charged for pair in pairs)
    unknown = all_charged - sum(pair.costed_charged for pair in pairs)
    if unknown > 0:
        share = _("%(percent)s %% of the credits are left out: their cost is not known.")
        text = f"{text} {share % {'percent': f'{100 * unknown / all_charged:.1f}'}}"
    return text


def _format(amount: Decimal, currency: str) -> str:
    return ("-" if amount < 0 else "") + format_fraction(abs(amount), currency)


def _round(amounts: Iterable[Decimal]) -> list[float]:
    return [float(f"{amount:.6g}") for amount in amounts]
