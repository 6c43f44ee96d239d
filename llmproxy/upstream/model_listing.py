"""What a provider offers, as it says itself (`GET /models`): whether it answers at all, and models to take over."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Max
from django.db.models.functions import Now
from django.db.transaction import atomic
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from llmproxy import lenient_json
from llmproxy.exceptions import UpstreamFailure, UpstreamTimeout, UpstreamUnavailable
from llmproxy.models import Deployment, LanguageModel, Problem, Provider
from llmproxy.upstream import provider_api
from llmproxy.upstream.targets import Target

PATH = "/models"
SECONDS = 10
SLOW_SECONDS = 3
MAX_BYTES = 8 * 1024 * 1024
MAX_OFFERS = 2000
NAME_FIELD = LanguageModel._meta.get_field("name")


class NoOffers(Exception):
    """The provider does not say what it offers; the text is for the operator, and says what to look at."""

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__(text)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Offers:
    """The names of a provider's models, in its own order, and how long it took to say them."""

    names: list[str]
    seconds: float

    @property
    def is_slow(self) -> bool:
        return self.seconds > SLOW_SECONDS

    @property
    def says(self) -> str:
        milliseconds, number = round(self.seconds * 1000), len(self.names)
        text = ngettext(
            "The provider responds in %(ms)d ms and offers %(models)d model.",
            "The provider responds in %(ms)d ms and offers %(models)d models.",
            number,
        ) % {"ms": milliseconds, "models": number}
        return _("The provider is slow. %(says)s") % {"says": text} if self.is_slow else text


def test(provider: Provider) -> Offers:
    """As `of`, and written down for the provider's health. Raises NoOffers."""
    try:
        found = of(provider)
    except NoOffers as failure:
        _note(provider, failure.problem)
        raise
    _note(provider, "")
    return found


def _note(provider: Provider, problem: str) -> None:
    Provider.objects.filter(pk=provider.pk).update(tested_at=Now(), test_problem=problem)


def of(provider: Provider) -> Offers:
    """Ask, for SECONDS at most. Raises NoOffers."""
    target, started = Target.of(provider), time.monotonic()
    if not target.url:
        raise NoOffers(Problem.NO_ADDRESS, _("The provider has no URL. Enter one."))
    if target.problem is not None:
        raise NoOffers(Problem.KEY_UNREADABLE, _("The key cannot be used. Enter it again."))
    try:
        status, raw = provider_api.get(target, PATH, seconds=SECONDS, most=MAX_BYTES)
    except UpstreamFailure as failure:
        raise _unanswered(failure) from failure
    if refused := _refused(status, target.url):
        raise refused
    return Offers(_names(lenient_json.decode(raw), target.url), time.monotonic() - started)


def told(provider: Provider, says: str) -> str:
    """For the operator: who was asked, at which address, and what came of it."""
    if not provider.url:
        return f"{provider}: {says}"
    address = provider.url + PATH
    return _("%(provider)s (%(address)s): %(says)s") % {
        "provider": provider,
        "address": address,
        "says": says,
    }


def _unanswered(failure: UpstreamFailure) -> NoOffers:
    if isinstance(failure, UpstreamTimeout):
        return NoOffers(
            Problem.SILENT,
            _("The provider did not respond within %(seconds)d seconds.") % {"seconds": SECONDS},
        )
    if isinstance(failure, UpstreamUnavailable):
        text = _(
            "The provider cannot be reached at this URL. Check the URL, and that the "
            "provider is running."
        )
        return NoOffers(Problem.UNREACHABLE, text)
    text = _(
        "The connection was lost. Check whether the URL starts with http or https, and "
        "check the certificate."
    )
    return NoOffers(Problem.BROKEN, text)


def _refused(status: int, url: str) -> NoOffers | None:
    """What an answer of this status means; None for a good one."""
    if 200 <= status < 300:
        return None
    if status in (401, 403):
        problem, text = (
            Problem.KEY_REFUSED,
            _("The provider responds, but refuses the key (status %(status)d)."),
        )
    elif status in (404, 405):
        problem, text = (
            Problem.NO_LIST,
            _("The provider responds, but does not list its models (status %(status)d).")
            + _hint(url),
        )
    elif 300 <= status < 400:
        text = _(
            "The URL redirects elsewhere (status %(status)d). Enter the URL that it redirects to."
        )
        problem = Problem.ELSEWHERE
    else:
        problem, text = Problem.ERROR, _("The provider responds with an error (status %(status)d).")
    return NoOffers(problem, text % {"status": status})


def _hint(url: str) -> str:
    """What is wrong more often than all else."""
    if url.endswith("/v1"):
        return " " + _("Check the base URL.")
    return " " + _("Most base URLs end in /v1, but this one does not. Try it with /v1.")


def _names(said: Any, url: str) -> list[str]:
    """Of OpenAI's list, or one without its envelope. Raises NoOffers."""
    rows = said.get("data", said.get("models")) if isinstance(said, dict) else said
    if not isinstance(rows, list):
        text = _("The server responds, but it is not an OpenAI-compatible API.") + _hint(url)
        raise NoOffers(Problem.OTHER_API, text)
    names = (row.get("id") or row.get("name") for row in rows if isinstance(row, dict))
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and name))[
        :MAX_OFFERS
    ]


def can_be_named(name: str) -> bool:
    """Whether a model of ours can have this name."""
    try:
        NAME_FIELD.run_validators(name)
    except ValidationError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Taken:
    """The models that are new, and those that were there and have one provider more."""

    added: list[LanguageModel]
    joined: list[LanguageModel]


def take(
    provider: Provider,
    names: Collection[str],
    *,
    prices: dict[str, Decimal | None],
    is_active: bool,
) -> Taken:
    """Have these models served by this provider; again: nothing.

    New ones get `prices` and `is_active`. Those that are there keep theirs, and their other providers are asked first.
    """
    taken = Taken([], [])
    with atomic():
        for name in names:
            model, is_new = LanguageModel.objects.get_or_create(
                name=name, defaults={**prices, "is_active": is_active}
            )
            last = model.deployments.aggregate(last=Max("order"))["last"]
            _row, is_more = Deployment.objects.get_or_create(
                model=model,
                provider=provider,
                upstream_name=name,
                defaults={"order": 0 if last is None else min(last + 1, 32767)},
            )
            if is_new or is_more:
                (taken.added if is_new else taken.joined).append(model)
    return taken


def served(provider: Provider) -> set[str]:
    """The provider's own names of the models that it serves already."""
    rows = provider.deployments.values_list("upstream_name", "model__name")
    return {upstream_name or name for upstream_name, name in rows}
