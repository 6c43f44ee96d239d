"""`/readyz?full`, `/metrics` and the strip: who may read them, what they say, and for how long."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts import jobs
from accounts.models import User
from credits import ledger
from llmproxy.models import Provider
from smartspec.upkeep import areas, documents, status
from smartspec.upkeep.conditions import Condition, Level, Look

pytestmark = pytest.mark.django_db
TOKEN = "t" * 24
SAMPLE = re.compile(r'([a-z_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+')
PATHS = ("/metrics", "/readyz?full")


@pytest.fixture
def token(settings: Any) -> dict[str, str]:
    settings.METRICS_TOKEN = TOKEN
    return {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("path", PATHS)
def test_an_outsider_gets_the_404_of_an_address_that_does_not_exist(
    client: Client, settings: Any, make_user: Callable[..., User], path: str
) -> None:
    tries: list[dict[str, str]] = [{}, {"Authorization": "Bearer "}, {"x-api-key": ""}]
    tries += [{"Authorization": f"Bearer {'u' * 24}"}, {"Authorization": f"Bearer {TOKEN}é"}]
    for expected in ("", TOKEN):
        settings.METRICS_TOKEN = expected
        assert [client.get(path, headers=each).status_code for each in tries] == [404] * 5
    client.force_login(make_user("support@example.com", is_staff=True))
    assert client.get(path).status_code == 404
    assert client.get("/readyz").json() == {"status": "ok", "database": "ok"}


@pytest.mark.parametrize("path", PATHS)
def test_a_token_or_a_superuser_reads_everything_and_writes_nothing(
    client: Client, token: dict[str, str], make_user: Callable[..., User], path: str
) -> None:
    assert client.get(path, headers=token).status_code in (200, 503)
    assert client.post(path, headers=token).status_code == 405
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    assert client.get(path).status_code in (200, 503)
    assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 404


def test_the_full_answer_says_what_the_command_says(client: Client, token: Any) -> None:
    red = client.get("/readyz?full", headers=token)
    assert (red.status_code, red["Retry-After"], red.json()["fine"]) == (503, "5", False)
    assert red.json()["facts"]["tick"]["level"] == "red"
    assert set(red.json()["facts"]) == {
        row.name for part in status.collect() for row in part.conditions
    }


def test_metrics_are_gauges_of_the_same_conditions(
    client: Client, token: Any, make_user: Callable[..., User]
) -> None:
    Provider.objects.create(slug="one", name='O"ne', base_url="https://one.example/v1", failures=2)
    ledger.hold(user=make_user(credits=50), amount=10, reference_id="gen_1", seconds=60)
    jobs.note_run("send_mail", is_done=True)
    response = client.get("/metrics", headers=token)
    lines = response.content.decode().splitlines()
    assert response["Content-Type"] == documents.CONTENT_TYPE
    assert all(line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line) for line in lines)
    for line in (
        "smartspec_holds_open 1",
        "smartspec_credits_outstanding 50",
        "smartspec_credits_held 10",
        'smartspec_outbox_waiting{kind="mail"} 0',
        'smartspec_provider_failures{provider="one"} 2',
        'smartspec_status{area="clock",condition="tick"} 2',
        'smartspec_build_info{version="0.1.0"} 1',
    ):
        assert line in lines
    assert any(
        line.startswith('smartspec_tick_finished_timestamp_seconds{job="send_mail"} 1')
        for line in lines
    )
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


@pytest.fixture
def slow_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask one question that the database answers in a minute, and one that has a bug."""

    def sleep(look: Look) -> Iterator[Condition]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        yield Condition("sleep", Level.GREEN, "Slept.")

    def crash(look: Look) -> Iterator[Condition]:
        yield Condition("crash", Level.GREEN, str(1 / 0))

    monkeypatch.setattr(status, "QUESTION_SECONDS", 0.1)
    area = areas.Area("slow", "Slow", "credits.view_transaction", (sleep, crash))
    monkeypatch.setattr(areas, "AREAS", (area, *areas.AREAS))


def test_a_question_that_is_slow_or_fails_is_red_and_the_others_are_answered(
    client: Client, make_user: Callable[..., User], slow_question: None
) -> None:
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    began = time.monotonic()
    strip = client.get("/admin/").context["strip"]
    assert time.monotonic() - began < 10
    told = {line.condition.name: line.condition for line in strip.problems}
    assert told["sleep"].says.startswith("This cannot be told: canceling statement")
    assert told["crash"].says == "This cannot be told: ZeroDivisionError"
    assert len(strip.parts) == len(areas.AREAS)


def test_when_the_time_is_over_no_further_question_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "TOTAL_SECONDS", -1.0)
    rows = [row for part in status.collect() for row in part.conditions]
    assert {row.level for row in rows if row.name == "database"} == {Level.RED}
    assert "the database answers too slowly" in next(r.says for r in rows if r.name == "database")
