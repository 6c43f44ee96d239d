"""The page of usage, its queries, and its export."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client

from accounts.access import api_keys
from accounts.models import ApiKey, User
from accounts.toolbox.request_source import Source
from credits import ledger
from llmproxy.pages import usage_pages
from llmproxy.usage import folding
from tests.llmproxy.usage.conftest import answer
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
USAGE, EXPORT = "/account/usage", "/account/usage/export"


@pytest.fixture
def key(user: User) -> ApiKey:
    return ApiKey.objects.create(user=user, name="เครื่องใหม่", last_characters="abcd", checksum="c")


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def read_csv(response: Any) -> list[list[str]]:
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


def test_the_page_has_sums_bars_and_the_same_as_a_table(
    person: Client, user: User, key: ApiKey
) -> None:
    for days, charged in ((40, 1000), (3, 20), (3, 30), (1, 7)):
        answer(user, ago(days), credential=key.credential, charged=charged)
    folding.fold()
    response = person.get(USAGE)
    html, text = response.content.decode(), extract_text(response)
    assert "Charged 57 credits" in text
    assert html.count("<rect") == 30
    assert html.count("<title>") == 1 + 30
    assert "style=" not in html
    assert "Day Answers Failed" in text
    assert "เครื่องใหม่" in text
    assert f'href="/account/keys/{key.pk}"' in html
    assert "Browser" not in text
    weekly = person.get(USAGE, {"first": str(ago(120).date()), "last": str(ago(0).date())})
    assert weekly.content.decode().count("<rect") in (18, 19)
    assert "By week" in extract_text(weekly)


def test_a_model_or_key_alone_and_back(person: Client, user: User, key: ApiKey) -> None:
    answer(user, ago(1), model="large", credential="", credential_name="")
    answer(user, ago(1), credential=key.credential, charged=3)
    answer(user, ago(1), credential="device:" + "a" * 32, credential_name="Old laptop")
    page = extract_text(person.get(USAGE))
    assert "Browser" in page
    assert "Old laptop disconnected" in page
    assert "Charged 3 " in extract_text(person.get(USAGE, {"credential": key.credential}))
    only = person.get(USAGE, {"credential": "browser", "range": "7"})
    assert "large" in extract_text(only)
    assert 'href="?range=7"' in only.content.decode()
    none = person.get(USAGE, {"model": "unknown"})
    assert (
        none.status_code,
        "With these filters, nothing was used on these days" in extract_text(none),
    ) == (
        200,
        True,
    )


def test_a_revoked_key_keeps_its_name(person: Client, user: User, key: ApiKey) -> None:
    answer(user, ago(1), credential=key.credential)
    api_keys.revoke(key=key, source=Source())
    response = person.get(USAGE)
    assert "เครื่องใหม่ disconnected" in extract_text(response)
    assert f"/account/keys/{key.pk}" not in response.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "first=0000-01-01",
        "first=0001-01-01&last=0001-01-02",
        "first=9999-12-31&last=9999-12-31",
        "last=9999-12-31",
        "last=0001-01-01",
        "first=2026-02-30",
        "first=2026-03-05&last=2026-03-04",
        "first=2020-01-01&last=2026-01-01",
        "range=8",
        "range=own&first=%00",
        "show=money",
        "model=" + "m" * 10_000,
        "model=%00",
        "credential=" + "c" * 10_000,
        "first=" + "9" * 10_000,
    ],
)
def test_a_query_that_cannot_be_is_told_in_words(person: Client, query: str) -> None:
    for address in (USAGE, EXPORT):
        response = person.get(f"{address}?{query}")
        assert response.status_code == 400
        assert "%00" in query or "Show the last 30 days" in extract_text(response)


@pytest.mark.parametrize(
    "query",
    [
        "range=own",
        "range=month",
        "first=",
        "model=%F0%9F%92%A9",
        "credential=key:99999999999999999999",
        "credential=device:x",
        "credential=key:%C2%B2",
        "x=1&range=7&range=30",
        "last=2026-01-01",
        "range=90&show=tokens",
    ],
)
def test_an_odd_query_is_answered(person: Client, query: str) -> None:
    assert person.get(f"{USAGE}?{query}").status_code == 200


def test_days_are_those_of_the_reader_and_the_page_says_so(person: Client, user: User) -> None:
    assert "in UTC, which begin" not in extract_text(person.get(USAGE))
    user.time_zone = "Asia/Kathmandu"
    user.save()
    text = extract_text(person.get(USAGE))
    assert "the time zone Asia/Kathmandu" in text
    assert "Budgets and monthly credits count calendar months in UTC" in text


def test_only_the_first_rows_are_listed(
    person: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_pages, "MOST_ROWS", 2)
    for number in range(4):
        answer(user, ago(1), credential=f"key:{number}", charged=number + 1)
    rows = person.get(USAGE).context["callers"]
    assert [row.used.charged for row in rows] == [4, 3, 3]
    assert "All others" in extract_text(person.get(USAGE))


def test_the_export_has_a_row_for_each_day_model_and_key(
    person: Client, user: User, settings: Any
) -> None:
    user.time_zone = "Asia/Kathmandu"
    user.save()
    answer(user, ago(2), credential="", credential_name="")
    answer(user, ago(2), credential_name="=1+1")
    answer(user, ago(1), credential_name="=1+1", model="large")
    header, *rows = read_csv(person.get(EXPORT, {"range": "7"}))
    assert header[:5] == ["day", "begins", "model", "caller kind", "caller"]
    assert [row[2:8] for row in rows] == [
        ["small", "browser", "", "1", "0", "100"],
        ["small", "key", "'=1+1", "1", "0", "100"],
        ["large", "key", "'=1+1", "1", "0", "100"],
    ]
    assert rows[0][1].endswith("T00:00:00+05:45")
    assert rows[0][-3:] == ["5", "0", "0"]
    settings.EXPORT_MAX_ROWS = 1
    cut = read_csv(person.get(EXPORT, {"range": "7"}))
    assert len(cut) == 3
    assert f"first={rows[0][0]}" in cut[-1][0]


def test_exports_are_limited(person: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_pages, "EXPORTS_PER_HOUR", 1)
    assert read_csv(person.get(EXPORT))
    refused = person.get(EXPORT)
    assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)


def test_strangers_log_in_and_nobody_posts(client: Client, person: Client) -> None:
    for address in (USAGE, EXPORT):
        assert Client().get(address)["Location"].startswith("/accounts/login/")
        assert person.post(address).status_code == 405


def test_the_overview_tags_share_a_statement_and_say_how_long_credits_last(
    user: User, django_assert_num_queries: Callable[..., Any]
) -> None:
    User.objects.filter(pk=user.pk).update(date_joined=ago(20))
    user.refresh_from_db()
    for days in range(1, 15):
        answer(user, ago(days), charged=5)
    template = Template(
        "{% load usage %}{% usage_sparkline %}{% used_recently %}<p>{% days_left %}</p>"
    )
    with django_assert_num_queries(2):
        html = template.render(Context({"user": user}))
    assert html.count("<rect") == 30
    assert "<p>8 to 12 days</p>" in html
    assert "Used in 7 days" in html
    assert (
        Template("{% load usage %}{% days_left %}{% used_recently %}").render(Context()).strip()
        == ""
    )


def test_nothing_is_foretold_to_a_new_account(user: User) -> None:
    user.date_joined = ago(2)
    for days in range(6):
        answer(user, ago(days), charged=5)
    html = Template("{% load usage %}<{% days_left %}>").render(Context({"user": user}))
    assert html == "<>"
    assert ledger.balance(user).available == 50
