"""Lists of the ledger in the admin: pages by key, and filters and search that use an index."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import administrators_log
from accounts.toolbox.keyset import find_first_key
from credits import ledger
from credits.models import Transaction
from llmproxy.models import Completion

pytestmark = pytest.mark.django_db
LIST = "/admin/credits/transaction/"


@pytest.fixture(autouse=True)
def short_pages(monkeypatch):
    monkeypatch.setattr("credits.admin.transactions.TransactionAdmin.list_per_page", 10)


def listed(client, **query):
    return client.get(LIST, query).context["cl"]


def shown(client, **query):
    return [row.pk for row in listed(client, **query).result_list]


def everything(client, **query):
    """Return all rows, page by page, by following the links."""
    changes = listed(client, **query)
    rows = list(changes.result_list)
    while changes.older and len(rows) < 1000:
        changes = client.get(f"{LIST}{changes.older}").context["cl"]
        rows += changes.result_list
    return [row.pk for row in rows]


@pytest.fixture
def history(ann, spend, make_user):
    bob = make_user("bob@example.com", credits=50)
    for number in range(12):
        spend(ann, 1, f"gen_a{number}")
        spend(bob, 1, f"gen_b{number}")
    return bob


@pytest.mark.parametrize("query", [{}, {"type__exact": "usage"}, {"q": "ann@example.com"}])
def test_pages_join_without_gap_or_repeat(client, operator, ann, history, query):
    expected = Transaction.objects.order_by("-pk")
    expected = expected.filter(type="usage") if "type__exact" in query else expected
    expected = expected.filter(user=ann) if "q" in query else expected
    assert everything(client, **query) == [row.pk for row in expected]


def test_a_link_leads_back_to_the_previous_page(client, operator, history):
    first = listed(client)
    second = client.get(f"{LIST}{first.older}").context["cl"]
    back = client.get(f"{LIST}{second.newer}").context["cl"]
    assert [row.pk for row in back.result_list] == [row.pk for row in first.result_list]
    assert (back.newer, first.newer, bool(second.newest)) == ("", "", True)


def test_a_page_is_neither_counted_nor_skipped_to(client, operator, ann, history):
    with CaptureQueriesContext(connection) as queries:
        client.get(
            LIST,
            {"before": 20, "user": ann.pk, "type__exact": "usage", "created_at_from": "2020-01-01"},
        )
    statements = [query["sql"] for query in queries if "credit_transactions" in query["sql"]]
    assert statements
    assert not [
        sql for sql in statements if "COUNT(" in sql or "OFFSET" in sql or "LIMIT" not in sql
    ]


def test_another_filter_starts_at_the_newest(client, operator, ann, history):
    page = client.get(LIST, {"before": 12, "user": ann.pk}).content.decode()
    assert "Newest" in page
    assert 'name="before"' not in page
    assert f'name="user" value="{ann.pk}"' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "BOB@example.com"}, {13}),
        ({"q": "nobody@example.com"}, {0}),
        ({"q": "bob"}, {0}),
        ({"type__exact": "adjustment"}, {2}),
        ({"q": "bob@example.com", "type__exact": "adjustment"}, {1}),
        ({"created_at_from": "2020-01-01", "created_at_to": "2020-12-31"}, {0}),
        ({"created_at_from": "2020-01-01"}, {26}),
    ],
)
def test_filters_find_what_they_say(client, operator, ann, history, query, found):
    assert {len(everything(client, **query))} == found


def test_a_transaction_is_found_by_number_payment_and_public_id(
    client, operator, ann, buy, history
):
    bought = buy(ann, 500, "pi_77")
    assert shown(client, q=str(bought.pk)) == shown(client, q="pi_77") == [bought.pk]
    assert shown(client, q=ann.public_id) == shown(client, user=ann.pk)


def test_an_answer_is_found_by_its_receipt(client, operator, ann, spend):
    charged = spend(ann, 3)
    facts = dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "total_ms"), 1)
    prices = dict.fromkeys(("prompt_price", "cached_prompt_price", "completion_price"), 1)
    money = {"held": 3, "cost": 3, "charged": 3, "uncollected": 0, "is_stream": False}
    receipt = Completion.objects.create(
        generation_id="gen_1", user=ann, hold=charged.hold, **facts, **prices, **money
    )
    assert shown(client, q=receipt.generation_id) == [charged.pk]
    found = (
        client.get("/admin/credits/hold/", {"q": receipt.generation_id}).context["cl"].result_list
    )
    assert found == [charged.hold]


def test_what_an_administrator_did_is_listed(client, operator, ann, history):
    done = ledger.adjust(user=ann, amount=5, reason="Goodwill", actor=operator)
    assert shown(client, actor=operator.pk) == [done.pk]


def test_the_days_of_a_filter_are_both_included(client, operator, ann):
    today = timezone.now().date()
    assert len(shown(client, created_at_from=str(today), created_at_to=str(today))) == 1
    assert not shown(client, created_at_from=str(today + timedelta(days=1)))
    assert not shown(client, created_at_to=str(today - timedelta(days=1)))


def test_the_first_key_since_a_moment_is_found_over_gaps(operator, ann):
    now = timezone.now()
    for day in range(1, 30):
        LogEntry.objects.create(
            id=10**6 + day + day // 5 * 1000,
            user=operator,
            action_flag=administrators_log.Act.ADJUSTED,
            action_time=now + timedelta(days=day),
        )
    for day in range(31):
        moment = now + timedelta(days=day)
        key = find_first_key(LogEntry.objects.all(), "id", "action_time", moment)
        since = LogEntry.objects.filter(action_time__gte=moment).order_by("pk")
        assert list(LogEntry.objects.filter(pk__gte=key).order_by("pk")) == list(since)
        assert key > 10**6  # not before the first row, because samples are spread from it on


@pytest.mark.parametrize(
    "query",
    [
        "before=abc",
        "before=-1",
        f"before={10**30}",
        "after=1.5",
        "user=abc",
        f"user={10**30}",
        "actor=x",
        f"q={10**30}",
        "q=%27%22%3B--",
        "created_at_from=never",
        "created_at_from=0001-01-01",
        "created_at_to=9999-12-31",
        "created_at_to=2026-02-31",
        "before=5&after=5",
        "user=999999999",
    ],
)
@pytest.mark.parametrize(
    "name", ["credits/transaction", "credits/hold", "credits/grant", "admin/logentry"]
)
def test_an_odd_address_leads_to_a_list(client, operator, ann, name, query):
    assert client.get(f"/admin/{name}/?{query}", follow=True).status_code == 200


@pytest.mark.parametrize("query", ["q=a%00b", "before=%00", "user=%ff"])
def test_an_address_that_is_not_text_is_refused(client, operator, query):
    assert client.get(f"{LIST}?{query}").status_code == 400


def test_users_in_debt_are_found_and_summed(client, operator, ann, buy, make_user):
    bought = buy(ann, 500)
    ledger.adjust(user=ann, amount=-550, reason="Spent", actor=None)
    ledger.claw_back(transaction=bought, amount=None, reason="Dispute lost", idempotency_key="dp_1")
    found = client.get("/admin/accounts/user/", {"debt": "yes"}).context["cl"].result_list
    assert [(user.pk, user.credits_debt) for user in found] == [(ann.pk, 450)]
    problems = {
        line.condition.name: line for line in client.get("/admin/").context["strip"].problems
    }
    assert problems["debts"].condition.says.startswith("1 user owes 450 credits")
    assert problems["debts"].url == "/admin/accounts/user/?debt=yes"


def test_a_users_rows_are_asked_for_only_in_the_way_that_an_index_answers(client, operator, ann):
    assert client.get(f"/admin/credits/transaction/?user={ann.pk}").status_code == 200
    assert client.get(f"/admin/credits/transaction/?user__id__exact={ann.pk}").status_code == 400
