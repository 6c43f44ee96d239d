"""The public page that says in words how each provider has answered within the last day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import TextChoices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from llmproxy.models import Provider
from llmproxy.receipts.quarters import QUARTER, SLOW_MS, Day, Figures, read_day

# A single failure may be bad luck, and the failures of one user may be the fault of their requests.
LEAST_FAILURES = 3
SOME, MOST = 0.05, 0.5


class State(TextChoices):
    """How a provider has answered, the best first."""

    FINE = "fine", _("No problems known")
    SLOW = "slow", _("Answers began slowly")
    SOME_FAILED = "some", _("Some requests failed")
    MOST_FAILED = "most", _("Most requests failed")

    @property
    def pill(self) -> str:
        return {"fine": "answered", "most": "failed"}.get(self.value, "waiting")


@dataclass(frozen=True, slots=True)
class Run:
    """Quarters in a row with the same state; `at` and `length` are in quarters, for the chart."""

    begin: datetime
    end: datetime
    state: State
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """`now` is the worse one of the last two quarters, or of a pause that lasts.

    `name` is what users read on receipts, `public_name` what the operator publishes. Strangers see
    the `number` of a provider that has no public name.
    """

    name: str
    public_name: str
    number: int
    now: State
    runs: list[Run]

    @property
    def problems(self) -> list[Run]:
        """The runs with a problem, newest first."""
        return [run for run in reversed(self.runs) if run.state is not State.FINE]


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """`/status`: the same figures for everybody."""
    now = timezone.now()
    day = read_day(now)
    providers = [
        _describe(provider, number, day, now) for number, provider in enumerate(_list_serving(), 1)
    ]
    ill = [row for row in providers if row.now in (State.SOME_FAILED, State.MOST_FAILED)]
    context = {
        "at": day.at,
        "providers": providers,
        "ill": ill,
        "slow_seconds": SLOW_MS // 1000,
    }
    return render(request, "llmproxy/status.html", context)


def _list_serving() -> list[Provider]:
    """Return the active providers. Their order says nothing about names that are not published."""
    serving = Provider.objects.filter(
        is_active=True, deployments__is_active=True, deployments__model__is_active=True
    ).distinct()
    return sorted(serving, key=lambda row: (not row.public_name, row.public_name, row.pk))


def _describe(provider: Provider, number: int, day: Day, now: datetime) -> ProviderStatus:
    states = [(begin, judge(figures.get(provider.slug))) for begin, figures in day.quarters]
    is_paused = provider.cooling_until is not None and provider.cooling_until > now
    latest = State.MOST_FAILED if is_paused else _find_worst(state for _begin, state in states[-2:])
    runs = list(_join(states))
    return ProviderStatus(provider.name, provider.public_name, number, latest, runs)


def judge(figures: Figures | None) -> State:
    """Say how a provider answered within a quarter. Without a request there is no problem."""
    if figures is None:
        return State.FINE
    failed = figures.failures / figures.calls
    is_of_all = figures.failing_callers > 1 or figures.failures == figures.calls
    if figures.failures >= LEAST_FAILURES and is_of_all and failed >= SOME:
        return State.MOST_FAILED if failed > MOST else State.SOME_FAILED
    return State.SLOW if figures.slow > figures.calls / 2 else State.FINE


def _find_worst(states: Iterable[State]) -> State:
    return max(states, key=list(State).index, default=State.FINE)


def _join(states: Sequence[tuple[datetime, State]]) -> Iterable[Run]:
    """Join quarters in a row that have the same state."""
    at = 0
    for place, (_begin, state) in enumerate(states):
        if place + 1 == len(states) or states[place + 1][1] is not state:
            length = place + 1 - at
            begin: datetime = states[at][0]
            end = begin + timedelta(seconds=QUARTER.total_seconds() * length)
            yield Run(begin, end, state, at, length)
            at = place + 1
