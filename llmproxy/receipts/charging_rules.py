"""The cases of charging in plain words, for receipts and for the page that lists all cases.

docs/billing.md has each case in full, with the test that proves it.
"""

from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext_lazy as _

from credits.models import Hold
from llmproxy.models import Completion

Status, Source = Completion.Status, Completion.UsageSource


@dataclass(frozen=True, slots=True)
class Case:
    """What happened, and what is charged then. `slug` is its anchor on the page."""

    slug: str
    happened: Any
    charged: Any


CASES = (
    Case(
        "answered", _("The answer arrived"), _("You pay for the tokens that the provider counted.")
    ),
    Case(
        "embedded",
        _("The embeddings arrived"),
        _(
            "You pay for the tokens of your texts, as the provider counted them. There are no others."
        ),
    ),
    Case(
        "not-counted",
        _("The answer arrived, but the provider did not count it"),
        _(
            "The tokens are estimated from the length of the texts: one for every four bytes, which is on the low side."
        ),
    ),
    Case(
        "capped",
        _("The provider counted more than the answer was allowed"),
        _("You pay for what was allowed, never for more."),
    ),
    Case(
        "refused",
        _("We refused the request"),
        _("Nothing was asked of a provider, and nothing is held or charged. There is no receipt."),
    ),
    Case(
        "failed",
        _("The provider refused the request, or failed before it said anything"),
        _("Nothing is charged. Another provider of the model may have been asked first."),
    ),
    Case(
        "broken",
        _("The answer broke off"),
        _(
            "You pay for your request and for what had arrived. Without the provider's own count it is estimated. If "
            "the provider tells with its failure what it used, as on /v1/responses, you pay for that."
        ),
    ),
    Case("left-early", _("You left before the answer began"), _("Nothing is charged.")),
    Case(
        "left",
        _("You left during the answer"),
        _(
            "You pay for your request and for what had been written by then, estimated. Some providers are listened to "
            "for a few seconds more, and then it is their exact count. On /v1/messages the answer begins as soon as "
            "the provider has counted your request."
        ),
    ),
    Case(
        "short",
        _("The answer cost more than you had"),
        _("What was left is charged. The rest is our loss: you do not owe it."),
    ),
    Case(
        "cancelled",
        _("An administrator freed the held credits meanwhile"),
        _("Nothing is charged, whatever the answer cost."),
    ),
    Case(
        "crashed",
        _("We failed before the charge was written"),
        _(
            "Nothing is charged. What was held is yours again within half an hour. There is no receipt."
        ),
    ),
    Case(
        "price",
        _("A price was changed during the answer"),
        _("The price from when the answer began counts, and is on its receipt."),
    ),
    Case(
        "repeated",
        _("The same request came again"),
        _(
            "With the same Idempotency-Key it gets the first answer, without a charge; a stream cannot be given twice, "
            "and is not charged twice either. Without one it is a new request."
        ),
    ),
)
_BY_SLUG = {case.slug: case for case in CASES}


def find_cases(completion: Completion) -> list[Case]:
    """The cases of this completion: one, and a second if its cost was not collected in full."""
    slugs = [_choose_slug(completion)]
    if completion.uncollected:
        cancelled = completion.hold is not None and completion.hold.state == Hold.State.RELEASED
        slugs.append("cancelled" if cancelled else "short")
    return [_make_specific(_BY_SLUG[slug], completion) for slug in slugs]


def _make_specific(case: Case, completion: Completion) -> Case:
    """The case as a receipt states it, which knows whether another provider was asked."""
    if case.slug != "failed":
        return case
    fell_back = len({attempt["provider"] for attempt in completion.attempts}) > 1
    after_fallback = _("Nothing is charged. Another provider of the model was asked first.")
    return replace(case, charged=after_fallback if fell_back else _("Nothing is charged."))


def _choose_slug(completion: Completion) -> str:
    used = completion.usage.total_tokens > 0
    if completion.status == Status.INTERRUPTED:
        return "left" if used else "left-early"
    if completion.status == Status.FAILED:
        return "broken" if used else "failed"
    whole = "answered" if completion.is_written else "embedded"
    return {Source.ESTIMATED: "not-counted", Source.CAPPED: "capped"}.get(
        Source(completion.usage_source), whole
    )
