"""The list of all requests, free and failed ones included, with links to the receipts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser

from accounts.models import User
from llmproxy.models import Completion
from llmproxy.pages import request_pages
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream
from tests.pages import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    check_page,
    extract_text,
    follow,
    log_in,
    open_strict_page,
)

pytestmark = pytest.mark.django_db(transaction=True)
Chat = Callable[..., Any]
REQUESTS = "/account/requests"


@pytest.fixture
def sent_ids(chat: Chat, user: User, upstream: Upstream) -> list[str]:
    """The ids of three requests: one was answered, one failed, and the caller left one."""
    upstream.script = script.answer(usage=(1200, 300))
    answered = chat(user)["x-generation-id"]
    upstream.script = script.error(500)
    failed = chat(user)["x-generation-id"]
    upstream.script = script.until_hung_up(script.chunk("word " * 50))
    left = chat(user, stream=True)
    left.close()
    return [answered, failed, left["x-generation-id"]]


def shown(answer: Any) -> list[str]:
    return [row.generation_id for row, _ended in answer.context["page"].rows]


def test_all_are_listed_newest_first_with_what_they_used(
    person: Client, sent_ids: list[str]
) -> None:
    answer = person.get(REQUESTS)
    assert shown(answer) == sent_ids[::-1]
    for one in sent_ids:
        assert person.get(f"/account/completions/{one}").status_code == 200
        assert f'href="/account/completions/{one}"' in answer.content.decode()
    text = extract_text(answer)
    assert "1,500 2 " in text
    assert "Failed: The provider failed" in text
    assert "Caller disconnected" in text


def test_what_was_not_completed_alone(person: Client, sent_ids: list[str]) -> None:
    answer = person.get(REQUESTS, {"show": "not_completed"})
    assert shown(answer) == sent_ids[:0:-1]
    Completion.objects.all().delete()
    assert "All your requests were completed." in extract_text(
        person.get(REQUESTS, {"show": "not_completed"})
    )
    assert "have not sent any requests yet" in extract_text(person.get(REQUESTS))


@pytest.mark.parametrize("show", ["", "not_completed"])
def test_pages_go_back_to_the_first(
    person: Client, sent_ids: list[str], monkeypatch: Any, show: str
) -> None:
    monkeypatch.setattr(request_pages, "PAGE", 1)
    wanted, address = (sent_ids[1:] if show else sent_ids)[::-1], f"{REQUESTS}?show={show}"
    seen: list[str] = []
    while address and len(seen) <= len(wanted):
        answer = person.get(address)
        seen += shown(answer)
        older = re.search(r'href="(\?[^"]*)" rel="next"', answer.content.decode())
        address = f"{REQUESTS}{older[1].replace('&amp;', '&')}" if older else ""
    assert seen == wanted
    assert f'href="?show={show}">Newest' in answer.content.decode()


def test_they_are_their_owners_only(client: Client, sent_ids: list[str], make_user: Any) -> None:
    client.force_login(make_user("other@example.com"))
    assert shown(client.get(REQUESTS)) == []
    assert client.get(REQUESTS, {"before": sent_ids[0]}).status_code == 400
    client.logout()
    assert client.get(REQUESTS).status_code == 302


@pytest.mark.parametrize(
    "odd", [{"show": "all"}, {"before": "gen_none"}, {"before": "1"}, {"before": "x" * 100}]
)
def test_an_address_that_no_link_leads_to_is_400(person: Client, odd: dict[str, str]) -> None:
    answer = person.get(REQUESTS, odd)
    assert answer.status_code == 400
    assert "This page of requests does not exist." in extract_text(answer)


def test_what_was_not_completed_has_an_index_of_its_own(
    person: Client, sent_ids: list[str]
) -> None:
    page = person.get(REQUESTS, {"show": "not_completed"})
    assert len(shown(page)) == 2
    wanted = Completion.objects.filter(user_id=1).exclude(status="completed").order_by("-pk")[:51]
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        sql, given = wanted.query.sql_with_params()
        cursor.execute(f"EXPLAIN {sql}", given)
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "completions_not_completed" in plan
    assert "Sort" not in plan


def test_the_pages_of_the_account_lead_there(person: Client, sent_ids: list[str]) -> None:
    assert f'href="{REQUESTS}"' in person.get("/account").content.decode()
    assert (
        f'href="{REQUESTS}"' in person.get(f"/account/completions/{sent_ids[0]}").content.decode()
    )


@pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_requests_in_a_browser(
    kind: dict[str, Any],
    theme: str,
    browser: Browser,
    live_server: Any,
    user: User,
    sent_ids: list[str],
) -> None:
    context = browser.new_context(**{**kind, "color_scheme": theme}, base_url=live_server.url)
    log_in(context, user, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto(REQUESTS)
        check_page(page, f"requests-{theme}")
        page.get_by_role("combobox", name=re.compile("Show|แสดง")).select_option("not_completed")
        follow(page.locator(".filter button"))
        assert page.locator("tbody tr").count() == 2
        follow(page.locator("tbody a").first)
        assert "/account/completions/gen_" in page.url
    context.close()
