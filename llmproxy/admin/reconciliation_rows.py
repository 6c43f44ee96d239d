"""The rows of the pages of reconciliation, as they are shown."""

from decimal import Decimal
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.template.defaultfilters import floatformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llmproxy.reconciliation import explanation
from llmproxy.reconciliation.days import Ours, ProviderDay
from llmproxy.reconciliation.imports import Sums

STATES = {
    "differs": (gettext_lazy("Differs"), "pill-bad"),
    "agrees": (gettext_lazy("Agrees"), "pill-good"),
    "open": (gettext_lazy("Day not over"), ""),
    "partial": (gettext_lazy("Partly known"), "pill-waiting"),
    "no_file": (gettext_lazy("No file"), ""),
}
KINDS = {
    "only_theirs": gettext_lazy("The provider lists it, and we have no completion of this ID"),
    "only_ours": gettext_lazy("We have a completion, and the provider does not list it"),
    "tokens": gettext_lazy("Other tokens"),
    "cost": gettext_lazy("Other cost"),
    "other_day": gettext_lazy("Counted on another day, because it went on past midnight"),
    "failed": gettext_lazy("Failed: the provider may have counted it"),
    "interrupted": gettext_lazy("Cut off: the caller disconnected"),
    "estimated": gettext_lazy("Usage estimated, because the provider reported none"),
    "capped": gettext_lazy("Reported usage not believed in full"),
    "no_upstream_id": gettext_lazy("The provider sent no ID"),
    "no_cost": gettext_lazy("Cost not known"),
    "fell_back": gettext_lazy("Tried here first, answered by another provider"),
}


def describe_day(row: ProviderDay) -> dict[str, Any]:
    label, pill = STATES[row.state]
    shown = _describe_sums(row.ours, row.theirs, row.token_drift, row.cost_drift)
    if row.cost_drift is None and row.theirs.cost is not None and row.ours.costed:
        shown["cost_drift"] = _("%(known)s of %(all)s known") % {
            "known": intcomma(row.ours.costed),
            "all": intcomma(row.ours.answers),
        }
    day = row.day.isoformat()
    url = f"{row.provider}/{day}/explain/"  # relative to the page
    return {"day": row, "date": day, "url": url, "label": label, "pill": pill, **shown}


def describe_model(row: explanation.ModelRow) -> dict[str, Any]:
    ours, theirs = row.ours, row.theirs
    drift = None if theirs.tokens is None else theirs.tokens - ours.tokens
    cost = None
    if theirs.cost is not None and ours.is_cost_known:
        cost = theirs.cost - (ours.cost or 0)
    return {
        "key": row.key,
        "name": ", ".join(row.names) or row.key,
        "requests": _show_count(theirs.requests),
        "answers": _show_count(ours.answers),
        **_describe_sums(ours, theirs, drift, cost),
    }


def _describe_sums(
    ours: Ours, theirs: Sums, token_drift: int | None, cost_drift: Decimal | None
) -> dict[str, str]:
    return {
        "their_tokens": _show_count(theirs.tokens),
        "our_tokens": _show_count(ours.tokens),
        "token_drift": _show_count(token_drift) + _show_percent(token_drift, ours.tokens),
        "their_cost": _show_usd(theirs.cost),
        "our_cost": _show_usd(ours.cost),
        "cost_drift": _show_usd(cost_drift) + _show_percent(cost_drift, ours.cost or 0),
    }


def describe_reason(reason: explanation.Reason) -> dict[str, Any]:
    return {
        "label": KINDS[reason.kind],
        "completions": _show_count(reason.completions),
        "tokens": _show_count(reason.tokens),
        "cost": _show_usd(reason.cost),
    }


def describe_line(line: explanation.Difference) -> dict[str, Any]:
    return {
        "line": line,
        "label": KINDS[line.kind],
        "their_tokens": _show_parts(line.their_prompt, line.their_completion),
        "our_tokens": _show_parts(line.our_prompt, line.our_completion),
        "their_cost": _show_usd(line.their_cost, 6),
        "our_cost": _show_usd(line.our_cost, 6),
    }


def _show_count(number: int | None) -> str:
    return "–" if number is None else str(intcomma(number))


def _show_parts(prompt: int | None, completion: int | None) -> str:
    return "–" if prompt is None else f"{intcomma(prompt)} + {intcomma(completion or 0)}"


def _show_usd(usd: Decimal | None, digits: int = 4) -> str:
    return "–" if usd is None else str(floatformat(usd, f"{digits}g"))


def _show_percent(difference: Decimal | int | None, ours: Decimal | int) -> str:
    """The difference in percent of ours, to be put behind it; empty without either."""
    if not difference or not ours:
        return ""
    return f" ({floatformat(100 * Decimal(difference) / Decimal(ours), 1)} %)"
