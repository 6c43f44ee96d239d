"""The page of a completion's receipt, and the page of all cases of charging."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from llmproxy.exceptions import UpstreamTimeout
from llmproxy.metering.price_kinds import PARTS, TOKEN
from llmproxy.metering.pricing import Line
from llmproxy.models import Completion, Provider
from llmproxy.pages.activity.query import BROWSER
from llmproxy.receipts import explain, finish_reasons, states
from llmproxy.receipts.callers import DEVICE, KEY, Caller, find_caller
from llmproxy.receipts.charging_rules import CASES, find_cases

FAILURES = {
    "": _("answered"),
    "upstream_error": _("failed"),
    "upstream_unavailable": _("was not available"),
    "upstream_timeout": _("did not answer in time"),
    "server_restarting": _("was stopped because the server was restarted"),
    "caller_left": _("was stopped because the caller disconnected"),
}
ESTIMATED = _("Estimated from the length of the texts")
REFUSED = _("refused the request")
PAGES = {KEY: "account_key", DEVICE: "account_device"}  # of a caller that is live


@require_safe
@never_cache
@login_required
def completion(request: HttpRequest, generation_id: str) -> HttpResponse:
    """`/account/completions/gen_…`: the receipt of one of the user's own completions."""
    own = Completion.objects.filter(user=require_user(request)).select_related("hold", "user")
    row = get_object_or_404(own, generation_id=generation_id)
    context = build_context(row)
    return render(request, "llmproxy/completion.html", context | _find_pages(context["caller"]))


def _find_pages(caller: Caller) -> dict[str, str]:
    """Return the addresses of a device or key: its page, empty if it has none, and its requests."""
    credential = caller.credential or BROWSER
    return {
        "caller_page": reverse(PAGES[caller.kind], args=[caller.pk]) if caller.is_live else "",
        "caller_requests": f"{reverse('activity')}?{urlencode({'credential': credential})}",
    }


@require_safe
def billing(request: HttpRequest) -> HttpResponse:
    """`/account/billing`: public, like a price list."""
    return render(request, "llmproxy/billing.html", {"cases": CASES})


def build_context(row: Completion) -> dict[str, Any]:
    """The context of the template llmproxy/receipt.html."""
    refunds, prices = explain.list_refunds(row), row.prices
    refunded = sum(refund.amount for refund in refunds)
    state = states.find_state(row, refunded)
    lines = [line for line in prices.lines(row.usage) if _is_shown(line, row)]
    return {
        "completion": row,
        "cases": find_cases(row),
        "ended": finish_reasons.describe_ending(row),
        "lines": list(map(_describe_line, lines)),
        "has_things": any(line.kind.unit is not TOKEN for line in lines),
        "long_from": prices.long_from,
        "is_long": prices.is_long(row.usage),
        "source": ESTIMATED
        if row.usage_source == row.UsageSource.ESTIMATED
        else row.get_usage_source_display(),
        "sum": explain.format_decimal(prices.exact(row.usage)),
        "attempts": _describe_attempts(row),
        "refunds": refunds,
        "refunded": refunded,
        "state": state,
        "state_word": states.describe_state(row, state),
        "caller": find_caller(row.user, row.credential, row.credential_name),
    }


def _is_shown(line: Line, row: Completion) -> bool:
    """Whether a line has tokens, or is one that every such completion has."""
    name = line.kind.name
    return bool(line.count) or not (name in PARTS or (name == "completion" and not row.is_written))


def build_operator_context(row: Completion) -> dict[str, Any]:
    """As `build_context`, with what only the operator should see of each attempt."""
    context = build_context(row)
    for shown, stored in zip(context["attempts"], row.attempts, strict=True):
        shown["status"] = stored.get("status")
        shown["is_cut_off"] = stored["error"] == UpstreamTimeout.code
        shown["respelled"] = stored.get("respelled", ())
    return context


def _describe_line(line: Line) -> dict[str, Any]:
    price, amount = explain.format_decimal(line.price), explain.format_decimal(line.amount)
    return {
        "label": line.kind.label_on_receipts,
        "count": line.count,
        "price": price,
        "unit": line.kind.unit.label,
        "amount": amount,
    }


def _describe_attempts(row: Completion) -> list[dict[str, Any]]:
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
