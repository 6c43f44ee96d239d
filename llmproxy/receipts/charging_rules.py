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
        "answered",
        _("The answer is complete"),
        _("You pay for the tokens that the provider counted."),
    ),
    Case(
        "embedded",
        _("The embeddings are complete"),
        _(
            "You pay for the tokens of your texts, as the provider counted them. Embeddings "
            "have no other tokens."
        ),
    ),
    Case(
        "not-counted",
        _("The answer is complete, but the provider did not report its tokens"),
        _(
            "The tokens are estimated from the length of the texts: one token for every "
            "four bytes. The real number is usually higher."
        ),
    ),
    Case(
        "capped",
        _("The provider reported more tokens than the answer was allowed"),
        _("You pay for the tokens that were allowed, never for more."),
    ),
    Case(
        "refused",
        _("We refused the request"),
        _(
            "No provider received the request, and no credits are held or charged. There is "
            "no receipt."
        ),
    ),
    Case(
        "failed",
        _("The provider refused the request, or failed before the answer started"),
        _("Nothing is charged. We may have tried another provider of the model first."),
    ),
    Case(
        "broken",
        _("The answer stopped in the middle"),
        _(
            "You pay for your request and for the text that had arrived. If the provider "
            "did not report its tokens, they are estimated. If the provider reports with "
            "its failure what it used, as on /v1/responses, you pay for that."
        ),
    ),
    Case("left-early", _("You disconnected before the answer started"), _("Nothing is charged.")),
    Case(
        "left",
        _("You disconnected during the answer"),
        _(
            "You pay for your request and for the text that was written until then, as an "
            "estimate. With some providers we keep reading for a few seconds, and you pay "
            "for their exact count. On /v1/messages the answer starts as soon as the "
            "provider has counted your request."
        ),
    ),
    Case(
        "short",
        _("The answer cost more credits than you had"),
        _("You pay the credits that you had left. We bear the rest, and you do not owe it."),
    ),
    Case(
        "cancelled",
        _("An administrator released the held credits"),
        _("Nothing is charged, even if the answer was complete."),
    ),
    Case(
        "crashed",
        _("Our service failed before the charge was recorded"),
        _(
            "Nothing is charged. The held credits are available again within half an hour. "
            "There is no receipt."
        ),
    ),
    Case(
        "price",
        _("The price changed during the answer"),
        _("The price at the start of the answer applies. It is shown on the receipt."),
    ),
    Case(
        "repeated",
        _("The same request was sent again"),
        _(
            "With the same Idempotency-Key you receive the first answer again, without a "
            "charge. A stream cannot be repeated, and it is not charged twice either. "
            "Without this key it is a new request."
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
    after_fallback = _("Nothing is charged. We tried another provider of the model first.")
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
