"""The pages /account and /account/transactions."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.access import api_keys
from accounts.toolbox.request_source import Source
from credits import ledger
from tests.pages import extract_text

pytestmark = pytest.mark.django_db


@pytest.fixture
def spend():
    def charge(user, times):
        for number in range(times):
            hold = ledger.hold(user=user, amount=1, reference_id=f"answer-{number}", seconds=60)
            ledger.capture(hold=hold, cost=1, description=f"answer {number}")

    return charge


@pytest.mark.parametrize("path", ["/account", "/account/transactions"])
def test_the_account_asks_for_log_in_and_leads_back(client, path):
    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("path", ["/account", "/account/transactions"])
def test_the_account_is_only_looked_at(client, make_user, path):
    client.force_login(make_user())
    assert client.post(path).status_code == 405


def test_the_account_shows_balance_held_and_available(client, make_user):
    user = make_user(credits=1500)
    ledger.hold(user=user, amount=20, reference_id="running", seconds=60)
    client.force_login(user)
    page = client.get("/account").content.decode()
    assert all(f">{figure}<" in page for figure in ("1,500", "20", "1,480", "Free"))


def test_held_is_not_shown_while_nothing_is_held(client, make_user):
    client.force_login(make_user(credits=1500))
    assert "Held" not in client.get("/account").content.decode()


def test_a_new_account_lists_its_first_steps(client, make_user):
    user = make_user()
    client.force_login(user)
    assert [step.is_done for step in client.get("/account").context["steps"]] == [1, 0, 0, 0]
    api_keys.create(user=user, name="CI", source=Source())
    page = client.get("/account")
    assert [step.is_done for step in page.context["steps"]] == [1, 1, 0, 0]
    assert "Get your first answer" in extract_text(page)


def test_what_expires_soon_is_one_line_that_opens(client, make_user):
    user, now = make_user(), timezone.now()
    for number, days in enumerate((5, 10, 300)):
        ledger.add(
            user=user,
            amount=100 + number,
            type="bonus",
            description="",
            idempotency_key=f"k{number}",
            expires_at=now + timedelta(days=days),
        )
    client.force_login(user)
    page = client.get("/account")
    assert page.context["expiring"]["credits"] == 201
    assert page.content.decode().count("credits expire") == 1 + 3


def test_an_account_without_transactions_says_what_to_do(client, make_user):
    client.force_login(make_user())
    page = client.get("/account").content.decode()
    assert "Latest transactions" not in page
    assert "You have no credits available." in page
    assert "running low" not in page


def test_a_user_with_few_credits_is_warned(client, make_user):
    client.force_login(make_user(credits=3))
    page = client.get("/account").content.decode()
    assert "running low" in page
    assert "You have no credits" not in page


OWED = {
    100: ("100 more credits are owed", "You owe 100 credits from a disputed payment"),
    1: ("1 more credit is owed", "You owe 1 credit from a disputed payment"),
}


@pytest.mark.parametrize("amount", OWED)
def test_the_account_says_what_is_owed_and_what_expires(client, make_user, amount):
    user = make_user(credits=3)
    purchase = ledger.add(
        user=user, amount=amount, type="purchase", description="", idempotency_key="p"
    )
    spend_all = ledger.hold(user=user, amount=3 + amount, reference_id="gen_1", seconds=60)
    ledger.capture(hold=spend_all, cost=3 + amount)
    ledger.claw_back(transaction=purchase, amount=None, reason="Disputed", idempotency_key="c")
    later = datetime(2090, 5, 1, tzinfo=UTC)
    ledger.add(
        user=user, amount=9, type="bonus", description="", idempotency_key="b", expires_at=later
    )
    client.force_login(user)
    page = client.get("/account").content.decode()
    assert all(text in page for text in OWED[amount])
    assert re.search("9 credits expire by <time[^>]*>1 May 2090</time>", page)
    assert "Payment taken back" in page


def test_nobody_with_enough_credits_is_warned(client, make_user):
    client.force_login(make_user(credits=500))
    page = client.get("/account").content.decode()
    assert "running low" not in page
    assert "You have no credits" not in page


def test_transactions_of_others_are_not_shown(client, make_user):
    make_user("bob@example.com", credits=777)
    client.force_login(make_user(credits=500))
    assert "777" not in client.get("/account").content.decode()


def test_the_account_shows_the_newest_and_leads_to_the_rest(client, make_user, spend):
    user = make_user(credits=100)
    spend(user, 25)
    client.force_login(user)
    page = client.get("/account").content.decode()
    assert page.count("<tr>") == 1 + 10
    assert "/account/transactions" in page


def test_pages_of_transactions_join_without_gap_or_repeat(client, make_user, spend):
    user = make_user(credits=200)
    spend(user, 119)
    client.force_login(user)
    page = client.get("/account/transactions").context["page"]
    seen = [row.seq for row in page.rows]
    while page.before and len(seen) <= 120:
        page = client.get("/account/transactions", {"before": page.before}).context["page"]
        seen += [row.seq for row in page.rows]
    assert seen == list(range(120, 0, -1))


def test_the_links_between_pages_keep_the_type(client, make_user, spend):
    user = make_user(credits=200)
    spend(user, 60)
    client.force_login(user)
    page, there = client.get("/account/transactions", {"type": "usage"}), "?type=usage"
    assert f'href="{there}">Newest' not in page.content.decode()
    older = f"{there}&before={page.context['page'].before}"
    assert f'href="{older.replace("&", "&amp;")}" rel="next"' in page.content.decode()
    page = client.get(f"/account/transactions{older}")
    assert {row.type for row in page.context["page"].rows} == {"usage"}
    assert f'href="{there}">Newest' in page.content.decode()


def test_transactions_are_filtered_by_type(client, make_user, spend):
    user = make_user(credits=100)
    spend(user, 3)
    client.force_login(user)
    rows = client.get("/account/transactions", {"type": "adjustment"}).context["page"].rows
    assert [row.type for row in rows] == ["adjustment"]


@pytest.mark.parametrize(
    "query", ["before=abc", "before=0", "before=-1", f"before={10**30}", "type=gift", "before=1.5"]
)
def test_an_odd_address_is_a_clean_400(client, make_user, query):
    client.force_login(make_user())
    answer = client.get(f"/account/transactions?{query}")
    assert answer.status_code == 400
    assert "Show the newest" in answer.content.decode()


@pytest.mark.parametrize("query", ["before=%00", "type=%ff"])
def test_an_address_that_is_not_text_is_refused(client, make_user, query):
    client.force_login(make_user())
    assert client.get(f"/account/transactions?{query}").status_code == 400


def test_a_description_cannot_bring_markup_into_the_page(client, make_user):
    user = make_user()
    ledger.adjust(user=user, amount=1, reason="<b>bold</b>", actor=None)
    client.force_login(user)
    assert "&lt;b&gt;" in client.get("/account").content.decode()
