"""The public page of the status: words from bounded samples, and names only as published."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from llmproxy.pages.status_page import State, judge
from llmproxy.receipts import quarters
from llmproxy.receipts.quarters import Figures, read_day
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def provider() -> Provider:
    row = Provider.objects.create(slug="acme-eu-2", name="Acme contract 7", public_name="Acme")
    model = LanguageModel.objects.create(name="bright")
    Deployment.objects.create(model=model, provider=row)
    return row


def record(
    ago: timedelta, count: int = 10, *, error: str = "", users: Any = (None,), ms: int = 500
) -> None:
    """Write completions that were asked of the provider so long ago."""
    written = Completion.objects.count()
    Completion.objects.bulk_create(
        Completion(
            generation_id=f"gen_{written + number}",
            user=users[number % len(users)],
            provider="acme-eu-2",
            model="bright",
            trace_id="t",
            route="/v1/chat/completions",
            is_stream=True,
            status="failed" if error else "completed",
            error=error,
            usage_source="none",
            prompt_tokens=1,
            cached_tokens=0,
            completion_tokens=1,
            held=0,
            cost=0,
            charged=0,
            uncollected=0,
            total_ms=ms,
            prompt_price=1,
            completion_price=1,
            first_byte_ms=None if error else ms,
            created_at=NOW - ago,
            attempts=[{"provider": "acme-eu-2", "error": error, "ms": ms}],
        )
        for number in range(count)
    )


def read(client: Client) -> str:
    return extract_text(client.get("/status"))


def test_a_stranger_reads_how_providers_answered(
    client: Client, provider: Provider, make_user: Callable[..., Any]
) -> None:
    two = make_user("a@example.com"), make_user("b@example.com")
    record(timedelta(hours=23), error="upstream_error", users=two)
    record(timedelta(hours=5), ms=20_000)
    record(timedelta(hours=2), 30)
    record(timedelta(hours=2), 5, error="upstream_timeout", users=two)
    record(timedelta(minutes=1))
    page = read(client)
    assert "No problems are known." in page
    for words in ("Most requests failed", "Answers began slowly", "Some requests failed"):
        assert words in page
    assert "Acme" in page
    assert "contract" not in page
    assert "acme-eu-2" not in client.get("/status").content.decode()


def test_a_provider_that_fails_now_is_named_first(
    client: Client, provider: Provider, make_user: Callable[..., Any]
) -> None:
    record(timedelta(0), error="upstream_unavailable", users=(make_user(), None))
    assert "All providers have problems" in read(client)


def test_a_pause_counts_as_a_problem(client: Client, provider: Provider) -> None:
    provider.cooling_until = timezone.now() + timedelta(minutes=1)
    provider.save()
    assert "Most requests failed" in read(client)


def test_names_are_shown_as_the_operator_publishes_them(
    client: Client, provider: Provider, make_user: Callable[..., Any]
) -> None:
    Provider.objects.update(public_name="")
    assert "Provider 1" in read(client)
    client.force_login(make_user())
    assert "Acme contract 7" in read(client)  # as on receipts


@pytest.mark.parametrize(
    ("figures", "state"),
    [
        (None, State.FINE),
        (Figures(100, 2, 0, 2), State.FINE),  # bad luck
        (Figures(100, 50, 0, 1), State.FINE),  # one user's requests may be at fault
        (Figures(9, 9, 0, 1), State.MOST_FAILED),
        (Figures(100, 5, 0, 2), State.SOME_FAILED),
        (Figures(100, 51, 0, 2), State.MOST_FAILED),
        (Figures(100, 4, 60, 2), State.SLOW),
    ],
)
def test_a_quarter_is_judged(figures: Figures | None, state: State) -> None:
    assert judge(figures) is state


def test_visitors_cause_no_reading_of_completions_for_some_seconds(
    client: Client, provider: Provider
) -> None:
    record(timedelta(hours=1))
    read(client)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        read(client)
    assert not [query for query in asked if "completions" in query["sql"]]


def test_a_quarter_that_is_over_is_read_once(provider: Provider) -> None:
    begin = quarters.floor_to_quarter(NOW) - quarters.QUARTER * 8
    record(NOW - begin - timedelta(minutes=1))
    first = dict(read_day(NOW).quarters)
    assert first[begin]["acme-eu-2"].calls == 10
    Completion.objects.all().delete()
    later = read_day(NOW + timedelta(minutes=1))
    assert dict(later.quarters)[begin]["acme-eu-2"].calls == 10
    assert len(later.quarters) == quarters.DAY_QUARTERS


def test_a_day_without_requests_is_one_without_problems(client: Client, provider: Provider) -> None:
    record(timedelta(hours=26))
    assert "No problems are known." in read(client)
    assert not any(row for _begin, row in read_day(NOW).quarters)


def test_of_many_completions_a_sample_is_read(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarters, "SAMPLE", 1)
    record(timedelta(hours=1), 200)
    counted = [row["acme-eu-2"].calls for _begin, row in read_day(NOW).quarters if row]
    assert 0 < sum(counted) <= quarters.DAY_QUARTERS + 1


def test_while_one_counts_the_others_do_not_wait(client: Client, provider: Provider) -> None:
    cache.add(quarters.LOCK, "1", 30)
    assert "Reload this page" in read(client)
    cache.delete(quarters.LOCK)
    day = read_day(NOW)
    cache.add(quarters.LOCK, "1", 30)
    assert read_day(NOW + timedelta(hours=1)) == day


def test_a_quarter_begins_on_the_quarter() -> None:
    moment = datetime.fromisoformat("2026-11-30T10:44:59.9+05:45")
    assert quarters.floor_to_quarter(moment).isoformat() == "2026-11-30T10:30:00+05:45"
