"""The list of all requests, free and failed ones included, with links to the receipts."""

import csv
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.transaction import atomic, set_rollback
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Browser

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Transaction
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy.models import Completion
from llmproxy.pages.activity import rows
from tests.deviceauth.conftest import Device
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
ACTIVITY, EXPORT = "/account/activity", "/account/activity/export"


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
    return [row.completion.generation_id for row in answer.context["page"].rows]


def find(person: Client, **filters: Any) -> list[str]:
    return shown(person.get(ACTIVITY, filters))


def read_csv(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def move(ids: list[str], *moments: datetime) -> None:
    """Give the completions these times."""
    for generation_id, moment in zip(ids, moments, strict=True):
        Completion.objects.filter(generation_id=generation_id).update(created_at=moment)


def test_all_are_listed_newest_first_with_what_they_used(
    person: Client, sent_ids: list[str]
) -> None:
    answer = person.get(ACTIVITY)
    assert shown(answer) == sent_ids[::-1]
    for one in sent_ids:
        assert person.get(f"/account/completions/{one}").status_code == 200
        assert f'href="/account/completions/{one}"' in answer.content.decode()
    text = extract_text(answer)
    for words in ("1,500 2 Answered", "The provider failed", "0 Failed", "Stopped"):
        assert words in text


def test_the_filters_are_in_the_address(person: Client, sent_ids: list[str], user: User) -> None:
    answered, failed, left = sent_ids
    key = api_keys.create(user=user, name="CI", source=Source()).key
    Completion.objects.filter(generation_id=failed).update(model="rare", credential=key.credential)
    assert find(person, state="answered") == [answered]
    assert find(person, state="failed") == [failed]
    assert find(person, state="left") == [left]
    assert find(person, state="refunded") == []
    assert find(person, model="rare") == find(person, credential=key.credential) == [failed]
    assert find(person, model="rare", state="answered") == []
    assert find(person, model="never sold") == find(person, credential="key:99") == []
    assert find(person, credential="browser") == [left, answered]


@pytest.mark.parametrize("state", ["", "failed"])
def test_pages_go_back_to_the_first(
    person: Client, sent_ids: list[str], monkeypatch: Any, state: str
) -> None:
    monkeypatch.setattr(rows, "PAGE", 1)
    Completion.objects.filter(generation_id=sent_ids[2]).update(status="failed")
    wanted = (sent_ids[1:] if state else sent_ids)[::-1]
    seen: list[str] = []
    address = f"{ACTIVITY}?state={state}"
    while address and len(seen) <= len(wanted):
        answer = person.get(address)
        seen += shown(answer)
        older = re.search(r'href="(\?[^"]*)" rel="next"', answer.content.decode())
        address = f"{ACTIVITY}{older[1].replace('&amp;', '&')}" if older else ""
    assert seen == wanted
    assert f'href="?state={state}">Newest' in answer.content.decode()


def test_a_search_for_what_has_no_index_goes_on_page_by_page(
    person: Client, sent_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "WINDOW", 2)
    Completion.objects.filter(generation_id=sent_ids[0]).update(model="rare")
    first = person.get(ACTIVITY, {"model": "rare"})
    assert shown(first) == []
    assert "Nothing matches among the newer requests." in extract_text(first)
    older = re.search(r'href="\?([^"]*)" rel="next"', first.content.decode())
    assert older
    second = person.get(f"{ACTIVITY}?{older[1].replace('&amp;', '&')}")
    assert shown(second) == sent_ids[:1]
    assert 'rel="next"' not in second.content.decode()
    assert [row["model"] for row in read_csv(person.get(EXPORT, {"model": "rare"}))] == ["rare"]


def test_a_request_is_found_by_each_of_its_ids(
    person: Client, sent_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Completion.objects.get(generation_id=sent_ids[0])
    spellings = [
        sent_ids[0],
        sent_ids[0].removeprefix("gen_"),
        f"https://example.com/account/completions/{sent_ids[0]}/",
        f"  {row.request_id} ",
        str(row.request_id).removeprefix("req_"),
        row.trace_id,
    ]
    Completion.objects.exclude(pk=row.pk).update(trace_id="other")
    for typed in spellings:
        assert find(person, q=typed) == sent_ids[:1], typed
    assert find(person, q="nothing") == find(person, q="%") == []
    # However many requests came later: a receipt has an index.
    monkeypatch.setattr(rows, "WINDOW", 1)
    assert find(person, q=sent_ids[0]) == sent_ids[:1]


def test_days_are_those_of_the_reader(person: Client, sent_ids: list[str], user: User) -> None:
    User.objects.filter(pk=user.pk).update(time_zone="Asia/Bangkok")
    midnight = datetime(2026, 3, 10, 17, tzinfo=UTC)  # of Bangkok's 11 March
    move(sent_ids, midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=24))
    assert find(person, day="2026-03-10") == sent_ids[:1]
    assert find(person, day="2026-03-11") == sent_ids[1:2]
    assert find(person, first="2026-03-10", last="2026-03-11") == sent_ids[1::-1]
    assert find(person, first="2026-03-12") == sent_ids[2:]
    text = extract_text(person.get(ACTIVITY))
    assert re.search("Thursday, 12 March 2026.*Wednesday, 11 March 2026.*10 March 2026", text)


def test_a_day_has_one_heading_if_two_were_written_at_the_same_moment(
    person: Client, sent_ids: list[str]
) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    move(sent_ids, midnight, midnight - timedelta(milliseconds=1), midnight)
    page = person.get(ACTIVITY).content.decode()
    assert page.count('class="day"') == 2


@pytest.mark.parametrize("amount", [1, 2])
def test_a_refund_is_on_its_row(
    person: Client, sent_ids: list[str], user: User, amount: int
) -> None:
    usage = Transaction.objects.get(user=user, type="usage", amount=-2)
    ledger.refund(transaction=usage, amount=amount, reason="Sorry", actor=None, idempotency_key="r")
    state = "Refunded" if amount == 2 else "Answered"
    assert f"1,500 2 +{amount} refunded {state}" in extract_text(person.get(ACTIVITY))
    assert find(person, state="refunded") == sent_ids[:1]
    assert [row["refunded"] for row in read_csv(person.get(EXPORT))] == ["0", "0", str(amount)]


def test_a_device_has_its_present_name_and_says_when_it_is_gone(
    person: Client, sent_ids: list[str], user: User
) -> None:
    Device().start().approved_by(user).redeem()
    device = DeviceSession.objects.get()
    Completion.objects.update(credential=device.credential, credential_name="Old name")
    device_sessions.rename(session=device, name="Desk")
    assert "Desk 1,500" in extract_text(person.get(ACTIVITY))
    device_sessions.revoke(session=device)
    assert "Desk (disconnected)" in extract_text(person.get(ACTIVITY))
    Completion.objects.update(credential=f"device:{'0' * 32}")
    assert "Old name (disconnected)" in extract_text(person.get(ACTIVITY))


def test_the_export_has_the_rows_of_the_list_with_times_of_the_reader(
    person: Client, sent_ids: list[str], user: User
) -> None:
    User.objects.filter(pk=user.pk).update(time_zone="Asia/Kathmandu")
    move(sent_ids, *(datetime(2026, 3, day, 12, tzinfo=UTC) for day in (1, 2, 3)))
    Completion.objects.update(credential="key:1", credential_name="=1+1")
    answer = person.get(EXPORT, {"first": "2026-03-02"})
    assert answer["Content-Disposition"].startswith('attachment; filename="requests-')
    read = read_csv(answer)
    assert [row["receipt"] for row in read] == sent_ids[:0:-1]
    assert read[0]["time"] == "2026-03-03T17:45:00.000+05:45"
    assert (read[0]["caller"], read[0]["state"], read[0]["ended"]) == (
        "'=1+1",
        "left",
        "caller_left",
    )


def test_the_export_says_where_it_was_cut(
    person: Client, sent_ids: list[str], settings: Any
) -> None:
    settings.EXPORT_MAX_ROWS = 2
    answer: Any = person.get(EXPORT)
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert len(lines) == 4
    assert f"before={sent_ids[1]}" in lines[-1]
    rest = read_csv(person.get(EXPORT, {"before": sent_ids[1]}))
    assert [row["receipt"] for row in rest] == sent_ids[:1]


def test_exports_are_counted(person: Client, sent_ids: list[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("llmproxy.pages.activity.views.EXPORTS_PER_HOUR", 1)
    assert person.get(EXPORT).status_code == 200
    refused = person.get(EXPORT)
    assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)


def test_they_are_their_owners_only(client: Client, sent_ids: list[str], make_user: Any) -> None:
    client.force_login(make_user("other@example.com"))
    assert shown(client.get(ACTIVITY)) == find(client, q=sent_ids[0]) == []
    assert read_csv(client.get(EXPORT)) == []
    for address in (ACTIVITY, EXPORT):
        assert client.get(address, {"before": sent_ids[0]}).status_code == 400
    client.logout()
    assert [client.get(address).status_code for address in (ACTIVITY, EXPORT)] == [302, 302]


ODD = [
    {"state": "all"},
    {"before": "gen_none"},
    {"before": "1"},
    {"before": "x" * 100},
    {"q": "x" * 201},
    {"model": "\x07"},
    {"model": "x" * 5000},
    {"credential": "key:" + "9" * 30},
    {"credential": "device:none"},
    {"first": "2026-02-30"},
    {"first": "0001-01-01"},
    {"last": "9999-12-31"},
    {"day": "yesterday"},
    {"first": "2026-03-02", "last": "2026-03-01"},
]


@pytest.mark.parametrize("address", [ACTIVITY, EXPORT])
def test_an_address_that_no_link_leads_to_is_400(person: Client, address: str) -> None:
    for odd in ODD:
        answer = person.get(address, odd)
        assert answer.status_code == 400, odd
        assert "There are no requests for this link." in extract_text(answer)


def test_the_old_address_leads_here(person: Client) -> None:
    answer = person.get("/account/requests?before=gen_1")
    assert (answer.status_code, answer["Location"]) == (301, f"{ACTIVITY}?before=gen_1")


@pytest.fixture
def many_requests(sent_ids: list[str], make_user: Callable[..., User]) -> Iterator[None]:
    """Requests of somebody else around those of the reader, and the statistics of all of them.

    On a small table the plan would depend on the statistics that other tests have left.
    """
    copied = [field.column for field in Completion._meta.concrete_fields if field.column != "id"]
    changed = {"user_id": "%(user)s", "generation_id": "'gen_copy' || n", "hold_id": "NULL"}
    with atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO completions ({', '.join(copied)})"
                f" SELECT {', '.join(changed.get(name, name) for name in copied)}"
                " FROM completions, generate_series(1, 3000) AS n WHERE generation_id = %(id)s",
                {"user": make_user("many@example.com").pk, "id": sent_ids[1]},
            )
            cursor.execute("ANALYZE completions")
        yield
        set_rollback(True)


def test_each_filter_reads_an_index_and_a_bounded_number_of_rows(
    person: Client, sent_ids: list[str], many_requests: None
) -> None:
    indexes = {
        "": "completions_by_user",
        "state=failed": "completions_not_completed",
        "model=rare": "completions_by_user",
        "q=trace": "completions_by_user",
        "day=2026-03-01": "completions_by_user",
        f"q={sent_ids[0]}": "completions_",
    }
    for filters, index in indexes.items():
        with CaptureQueriesContext(connection) as queries:
            person.get(f"{ACTIVITY}?{filters}")
        read = [q["sql"] for q in queries if 'FROM "completions"' in q["sql"]]
        for sql in (sql for sql in read if "prompt_tokens" in sql):
            plan = _explain(sql)
            assert index in plan, (filters, plan)
            assert "Sort" not in plan, (filters, plan)
        assert all("LIMIT" in sql for sql in read)


def _explain(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan; RESET enable_bitmapscan")
    return plan


def test_the_number_of_statements_does_not_grow_with_the_rows(
    person: Client, sent_ids: list[str], chat: Chat, user: User, upstream: Upstream
) -> None:
    counts: list[int] = []
    person.get(ACTIVITY)
    for _time in range(2):
        with CaptureQueriesContext(connection) as queries:
            person.get(ACTIVITY)
        counts.append(len(queries))
        upstream.script = script.answer()
        for _more in range(3):
            chat(user)
    assert counts[0] == counts[1]


def test_the_pages_of_the_account_lead_there(person: Client, sent_ids: list[str]) -> None:
    assert f'href="{ACTIVITY}"' in person.get("/account").content.decode()
    assert (
        f'href="{ACTIVITY}"' in person.get(f"/account/completions/{sent_ids[0]}").content.decode()
    )


@pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_activity_in_a_browser(
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
        page.goto(ACTIVITY)
        check_page(page, f"activity-{theme}")
        page.get_by_role("combobox", name=re.compile("State|สถานะ")).select_option("failed")
        follow(page.locator(".filter button"))
        assert page.locator("tbody .row-link").count() == 1
        with page.expect_navigation():  # The link of the row lies over its last cell.
            page.locator("tbody tr:not(.day) td").last.click(force=True)
        assert "/account/completions/gen_" in page.url
    context.close()
