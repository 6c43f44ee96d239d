"""Tests a provider by asking for its list of models (`GET /models`), and imports models from it."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
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
from llmproxy.upstream.listed_prices import read_listed_prices
from llmproxy.upstream.model_facts import read_facts
from llmproxy.upstream.targets import Target

PATH = "/models"
SECONDS = 10
SLOW_SECONDS = 3
MAX_BYTES = 8 * 1024 * 1024
MAX_OFFERS = 2000
NAME_FIELD = LanguageModel._meta.get_field("name")


class NoOffers(Exception):
    """There is no list of models. The text tells the operator what to check."""

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__(text)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Offers:
    """The names of a provider's models, in its own order, and the seconds that the call took.

    `facts` has what the list says about a model, by its name: columns of LanguageModel. `prices`
    has its prices in US dollars, by its name and then by the name of the kind.
    """

    names: list[str]
    seconds: float
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    prices: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    @property
    def is_slow(self) -> bool:
        return self.seconds > SLOW_SECONDS

    @property
    def summary(self) -> str:
        milliseconds, number = round(self.seconds * 1000), len(self.names)
        text = ngettext(
            "The provider responds in %(ms)d ms and offers %(models)d model.",
            "The provider responds in %(ms)d ms and offers %(models)d models.",
            number,
        ) % {"ms": milliseconds, "models": number}
        return _("The provider is slow. %(says)s") % {"says": text} if self.is_slow else text


def test_provider(provider: Provider) -> Offers:
    """List the models, and store the outcome in the provider's row. Raises NoOffers."""
    try:
        offers = list_models(provider)
    except NoOffers as failure:
        _store_outcome(provider, failure.problem)
        raise
    _store_outcome(provider, "")
    return offers


def _store_outcome(provider: Provider, problem: str) -> None:
    Provider.objects.filter(pk=provider.pk).update(tested_at=Now(), test_problem=problem)


def list_models(provider: Provider) -> Offers:
    """Ask the provider for its models, SECONDS at most. Raises NoOffers."""
    target, started = Target.from_provider(provider), time.monotonic()
    if not target.url:
        raise NoOffers(Problem.NO_ADDRESS, _("The provider has no URL. Enter one."))
    if target.key_problem is not None:
        raise NoOffers(Problem.KEY_UNREADABLE, _("The key cannot be used. Enter it again."))
    try:
        status, raw = provider_api.get(target, PATH, seconds=SECONDS, most=MAX_BYTES)
    except UpstreamFailure as failure:
        raise _explain_failure(failure) from failure
    if problem := _explain_status(status, target.url):
        raise problem
    rows = _parse_rows(lenient_json.decode(raw), target.url)
    facts = {name: read_facts(row) for name, row in rows.items()}
    listed = {name: read_listed_prices(row) for name, row in rows.items()}
    prices = {name: own for name, own in listed.items() if own}
    return Offers(list(rows), time.monotonic() - started, facts, prices)


def describe_outcome(provider: Provider, outcome: str) -> str:
    """A message for the operator: the provider, the address that was asked, and the outcome."""
    if not provider.url:
        return f"{provider}: {outcome}"
    base, _sign, _query = provider.url.partition("?")
    address = base.rstrip("/") + PATH
    return _("%(provider)s (%(address)s): %(says)s") % {
        "provider": provider,
        "address": address,
        "says": outcome,
    }


def _explain_failure(failure: UpstreamFailure) -> NoOffers:
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


def _explain_status(status: int, url: str) -> NoOffers | None:
    """The problem that this status means; None for 2xx."""
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
            + _advise_base_url(url),
        )
    elif 300 <= status < 400:
        text = _(
            "The URL redirects elsewhere (status %(status)d). Enter the URL that it redirects to."
        )
        problem = Problem.ELSEWHERE
    else:
        problem, text = Problem.ERROR, _("The provider responds with an error (status %(status)d).")
    return NoOffers(problem, text % {"status": status})


def _advise_base_url(url: str) -> str:
    """Advice about the most frequent mistake, a wrong base URL."""
    if url.partition("?")[0].endswith("/v1"):
        return " " + _("Check the base URL.")
    return " " + _("Most base URLs end in /v1, but this one does not. Try it with /v1.")


def _parse_rows(body: Any, url: str) -> dict[str, Any]:
    """The rows of OpenAI's list by name, or of one without its envelope. Raises NoOffers."""
    rows = body.get("data", body.get("models")) if isinstance(body, dict) else body
    if not isinstance(rows, list):
        text = _("The server responds, but it is not an OpenAI-compatible API.") + _advise_base_url(
            url
        )
        raise NoOffers(Problem.OTHER_API, text)
    named: dict[str, Any] = {}
    for row in rows:
        name = (row.get("id") or row.get("name")) if isinstance(row, dict) else None
        if isinstance(name, str) and name and len(named) < MAX_OFFERS:
            named.setdefault(name, row)
    return named


def can_be_named(name: str) -> bool:
    """Whether a LanguageModel can have this name."""
    try:
        NAME_FIELD.run_validators(name)
    except ValidationError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Imported:
    """The models that are new, and the existing ones that have got this provider."""

    added: list[LanguageModel]
    joined: list[LanguageModel]


def import_models(
    provider: Provider,
    names: Collection[str],
    *,
    prices: dict[str, Decimal | None],
    is_active: bool,
    facts: Mapping[str, dict[str, Any]] | None = None,
    costs: Mapping[str, dict[str, Any]] | None = None,
) -> Imported:
    """Let this provider serve these models. Does nothing for models that it serves already.

    New models get `prices`, `is_active` and the `facts` of their name, of which the last count
    most. Existing models keep theirs, and their other providers are asked first. `costs` are
    columns of the new deployments by the name of the model.
    """
    imported = Imported([], [])
    with atomic():
        for name in names:
            own = (facts or {}).get(name, {})
            model, is_new = LanguageModel.objects.get_or_create(
                name=name, defaults={**prices, "is_active": is_active, **own}
            )
            last = model.deployments.aggregate(last=Max("order"))["last"]
            _row, is_added = Deployment.objects.get_or_create(
                model=model,
                provider=provider,
                upstream_name=name,
                defaults={
                    "order": 0 if last is None else min(last + 1, 32767),
                    **(costs or {}).get(name, {}),
                },
            )
            if is_new or is_added:
                (imported.added if is_new else imported.joined).append(model)
    return imported


def list_served_names(provider: Provider) -> set[str]:
    """The provider's own names of the models that it serves."""
    rows = provider.deployments.values_list("upstream_name", "model__name")
    return {upstream_name or name for upstream_name, name in rows}
