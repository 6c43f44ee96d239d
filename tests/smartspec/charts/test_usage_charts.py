"""Charts of usage: each figure equals plain SQL over the completions."""

import gzip
import json
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN
from llmproxy.models import Completion, Provider
from smartspec.admin.charts.chart import Chart
from smartspec.admin.charts.page import ChartPage, build_charts
from tests.llmproxy.usage.conftest import answer
from tests.smartspec.charts.conftest import NOW, read_page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now", "operator")]
HOSTILE = """</canvas><script>alert("'&quot;")</script> {{ 1 }} โมเดล"""
SECONDS = {"24h": 3600, "7d": 86400, "30d": 86400, "90d": 7 * 86400}


def find_chart(page: ChartPage, slug: str) -> Chart:
    return next(chart for chart in page.charts if chart.slug == slug)


def read_series(chart: Chart) -> dict[str, list[Any]]:
    return {one["label"]: one["data"] for one in json.loads(chart.data)["datasets"]}


def sum_periods(begin: Any, seconds: int, periods: int, expression: str) -> list[int]:
    """Sum up an expression over the completions of each period, in plain SQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT floor(extract(epoch FROM created_at - %s) / %s)::int, "
            f"sum({expression})::bigint FROM completions WHERE created_at >= %s GROUP BY 1",
            [begin, seconds, begin],
        )
        found = dict(cursor.fetchall())
    return [int(found.get(number, 0)) for number in range(periods)]


@pytest.fixture
def used(make_user: Any, fold: Any) -> User:
    """Completions at and beside each border of the ranges, of several models and providers."""
    user: User = make_user("ann@example.com")
    hour = NOW.replace(minute=0, second=0)
    borders = [hour - timedelta(hours=hours) for hours in (24, 23, 22, 1, 0)]
    midnight = hour.replace(hour=0)
    borders += [midnight - timedelta(days=days) for days in (90, 89, 83, 30, 29, 7, 6, 5, 0)]
    for number, border in enumerate(sorted(borders)):
        for seconds in (-1, 0):
            answer(
                user,
                border + timedelta(seconds=seconds),
                model=f"model-{number % 9}",
                status="failed" if number % 4 == 3 else "completed",
                charged=number + 1 - seconds,
                total_ms=100 * number,
            )
    answer(user, NOW - timedelta(seconds=60), charged=1000)
    fold()
    return user


@pytest.mark.parametrize(("name", "periods"), [("24h", 24), ("7d", 7), ("30d", 30), ("90d", 13)])
def test_requests_and_credits_equal_the_completions(
    client: Client, used: User, name: str, periods: int
) -> None:
    page = read_page(client, name)
    hour = NOW.replace(minute=0, second=0)
    end = hour + timedelta(hours=1) if name == "24h" else hour.replace(hour=0) + timedelta(days=1)
    seconds = SECONDS[name]
    begin = end - timedelta(seconds=seconds * periods)
    series = read_series(find_chart(page, "requests"))
    expected = sum_periods(begin, seconds, periods, "(status <> 'failed')::int")
    failed = sum_periods(begin, seconds, periods, "(status = 'failed')::int")
    by_model = read_series(find_chart(page, "credits-by-model"))
    charged = sum_periods(begin, seconds, periods, "charged")
    if name == "90d":  # The first period has a day less, which 90 days do not have.
        first = begin + timedelta(days=1)
        rows = Completion.objects.filter(
            created_at__gte=first, created_at__lt=begin + timedelta(days=7)
        )
        expected[0] = rows.exclude(status="failed").count()
        failed[0] = rows.filter(status="failed").count()
        charged[0] = sum(rows.values_list("charged", flat=True))
    assert (series["Answered"], series["Failed"]) == (expected, failed)
    assert [sum(column) for column in zip(*by_model.values(), strict=True)] == charged
    assert len(by_model) <= 7, "the others share a colour"
    table = find_chart(page, "requests").table
    assert [row[1] for row in table.rows] == [
        f"{good + bad:,}" for good, bad in zip(expected, failed, strict=True)
    ]


def test_percentiles_are_near_those_of_the_completions(
    client: Client, make_user: Any, fold: Any
) -> None:
    Provider.objects.create(slug="local", name="This machine", base_url="https://m.example/v1")
    user = make_user("ann@example.com")
    for number in reversed(range(60)):  # in the order of time
        took = int(150 * 1.07**number)
        answer(user, NOW - timedelta(hours=number), first_byte_ms=took, total_ms=took * 9)
    answer(user, NOW, status="failed", first_byte_ms=900_000, total_ms=900_000)
    fold()
    chart = find_chart(read_page(client, "7d"), "latency-first")
    [(provider, half, most, answers)] = chart.table.rows
    assert (provider, answers) == ("This machine", "60")
    assert float(half.split()[0]) == pytest.approx(150 * 1.07**29.5 / 1000, rel=0.1)
    assert float(most.split()[0]) == pytest.approx(150 * 1.07**56 / 1000, rel=0.1)
    assert set(read_series(chart)) == {"This machine, median", "This machine, 95 %"}
    assert read_series(chart)["This machine, median"][:3] == [None] * 3


def test_days_are_those_of_the_operators_zone(
    client: Client, make_user: Any, fold: Any, settings: Any
) -> None:
    settings.SELLER_TIME_ZONE = "Asia/Kathmandu"  # 5:45 ahead of UTC
    midnight = NOW.replace(hour=18, minute=15, second=0) - timedelta(days=1)
    answer(make_user("ann@example.com"), midnight - timedelta(seconds=1), charged=3)
    answer(None, midnight, charged=4)
    fold()
    page = read_page(client, "7d")
    assert page.zone == "Asia/Kathmandu"
    assert read_series(find_chart(page, "credits"))["Used"][-2:] == [3, 4]
    assert [row[1] for row in find_chart(page, "users").table.rows][-2:] == ["1", "0"]


def test_a_hostile_name_of_a_model_is_only_text(client: Client, make_user: Any, fold: Any) -> None:
    answer(make_user("ann@example.com"), NOW, model=HOSTILE)
    fold()
    response = client.get("/admin/?range=24h")
    assert b"<script>alert" not in response.content
    chart = find_chart(response.context["charts"], "credits-by-model")
    assert HOSTILE in read_series(chart)
    [written] = re.findall("data-value='([^']*)'", chart.canvas)
    assert unescape(written) == chart.data


def test_who_and_what_used_most_is_listed_with_links(
    client: Client, make_user: Any, fold: Any
) -> None:
    ann, bob = make_user("ann@example.com"), make_user("bob@example.com")
    key = api_keys.create(user=ann, name="Build server", source=UNKNOWN).key
    answer(ann, NOW - timedelta(days=2), credential=key.credential, charged=1234)
    answer(bob, NOW - timedelta(days=2), credential="", charged=9, model="large")
    fold()
    users, models, credentials = read_page(client, "7d").lists
    assert [(one.name, one.charged) for one in users.places] == [
        ("ann@example.com", 1234),
        ("bob@example.com", 9),
    ]
    assert users.places[0].link == f"/admin/accounts/user/{ann.pk}/change/"
    assert [one.name for one in models.places] == ["small", "large"]
    assert [(one.name, one.owner) for one in credentials.places] == [
        ("Build server", "ann@example.com"),
        ("Browser", "bob@example.com"),
    ]
    assert read_page(client, "24h").lists[0].places == []


def test_a_new_installation_says_so_in_sentences(client: Client, operator: User) -> None:
    User.objects.filter(pk=operator.pk).update(date_joined=NOW - timedelta(days=99))
    response = client.get("/admin/?range=90d")
    page, html = response.context["charts"], response.content.decode()
    assert page.until is None
    assert all(chart.empty for chart in page.charts)
    assert "<canvas" not in html
    assert "No requests in this range." in html
    assert "It has not run yet." in html


@pytest.mark.parametrize("name", ["", "1d", "90D", "7d&range=x" * 3, "9" * 10_000, "é"])
def test_an_unknown_range_is_seven_days(client: Client, name: str) -> None:
    assert read_page(client, name).chosen.name == "7d"


def test_only_what_may_be_seen_is_read(client: Client, make_user: Any) -> None:
    viewer = make_user("viewer@example.com", is_staff=True)
    client.force_login(viewer)
    assert client.get("/admin/").context["charts"] is None
    names = "view_completion", "view_transaction"
    viewer.user_permissions.set(Permission.objects.filter(codename__in=names))
    slugs = {chart.slug for chart in read_page(client, "7d").charts}
    assert slugs == {"requests", "credits-by-model", "latency-first", "latency-whole"}
    viewer.user_permissions.set(
        Permission.objects.filter(codename__in=["view_purchase", "view_transaction"])
    )
    assert {chart.slug for chart in read_page(client, "7d").charts} == {"money", "credits"}


def test_charts_of_a_day_and_of_90_days_take_equally_many_statements(
    used: User, operator: User, rf: RequestFactory
) -> None:
    counts = []
    for name in ("24h", "90d"):
        request = rf.get("/admin/", {"range": name})
        request.user = User.objects.get(pk=operator.pk)
        with CaptureQueriesContext(connection) as queries:
            assert build_charts(request) is not None
        counts.append(len(queries))
        assert not [one for one in queries if ' FROM "completions"' in one["sql"]]
    assert counts[0] == counts[1]


def test_90_days_of_many_models_are_light(client: Client, make_user: Any, fold: Any) -> None:
    user = make_user("ann@example.com")
    for number in reversed(range(89)):
        answer(user, NOW - timedelta(days=number), model=f"model-{number % 9}", charged=10**6)
    fold()
    html = client.get("/admin/?range=90d").content
    assert len(html) < 100_000
    assert len(gzip.compress(html, 6)) < 20_000
    assert b"&quot;labels" not in html
