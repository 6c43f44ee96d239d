"""A completion's receipt for its user, and what is charged in which case."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from llmproxy.metering.pricing import PARTS, PRICE_KINDS, Line
from llmproxy.models import Completion, Provider
from llmproxy.receipts import explain, finish_reasons
from llmproxy.receipts.charging_rules import CASES, cases_of

LABELS = {kind.name: kind.label_on_receipts for kind in PRICE_KINDS}
FAILURES = {
    "": _("answered"),
    "upstream_error": _("failed"),
    "upstream_unavailable": _("was not available"),
    "upstream_timeout": _("did not answer in time"),
    "caller_left": _("was stopped when the caller left"),
}
ESTIMATED = _("Estimated from the length of the texts")
REFUSED = _("refused the request")


@require_safe
@never_cache
@login_required
def completion(request: HttpRequest, generation_id: str) -> HttpResponse:
    """`/account/completions/gen_…`: one's own only."""
    own = Completion.objects.filter(user=require_user(request)).select_related("hold")
    found = get_object_or_404(own, generation_id=generation_id)
    return render(request, "llmproxy/completion.html", shown(found))


@require_safe
def billing(request: HttpRequest) -> HttpResponse:
    """`/account/billing`: public, as a price list is."""
    return render(request, "llmproxy/billing.html", {"cases": CASES})


def shown(row: Completion) -> dict[str, Any]:
    """What llmproxy/receipt.html needs."""
    back = explain.refunds(row)
    return {
        "completion": row,
        "cases": cases_of(row),
        "ended": finish_reasons.words(row),
        "lines": [
            _line(line) for line in row.prices.lines(row.usage) if _says_something(line, row)
        ],
        "source": ESTIMATED
        if row.usage_source == row.UsageSource.ESTIMATED
        else row.get_usage_source_display(),
        "sum": explain.plain(row.prices.exact(row.usage)),
        "attempts": _attempts(row),
        "refunds": back,
        "refunded": sum(refund.amount for refund in back),
    }


def _says_something(line: Line, row: Completion) -> bool:
    """Most completions have nothing of the parts, such as what is cached."""
    return bool(line.tokens) or not (
        line.kind in PARTS or (line.kind == "completion" and not row.is_written)
    )


def shown_to_operator(row: Completion) -> dict[str, Any]:
    """The same, and with which status a provider refused."""
    page = shown(row)
    for attempt, asked in zip(page["attempts"], row.attempts, strict=True):
        attempt["status"] = asked.get("status")
    return page


def _line(line: Line) -> dict[str, Any]:
    price, amount = explain.plain(line.price), explain.plain(line.amount)
    return {"label": LABELS[line.kind], "tokens": line.tokens, "price": price, "amount": amount}


def _attempts(row: Completion) -> list[dict[str, Any]]:
    names = dict(
        Provider.objects.filter(slug__in=[a["provider"] for a in row.attempts]).values_list(
            "slug", "name"
        )
    )
    return [
        {
            "provider": names.get(attempt["provider"], attempt["provider"]),
            "words": FAILURES.get(attempt["error"], REFUSED),
            "ms": attempt["ms"],
        }
        for attempt in row.attempts
    ]
