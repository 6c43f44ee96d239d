"""An act on many rows: its preview, its bound, its chunks, and what became of each row."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from accounts.admin.acts import runs
from accounts.admin.acts.links import locate, locate_list
from accounts.admin.acts.page import By
from accounts.models import BulkAct, BulkActRow, OutgoingMail, User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Transaction
from llmproxy.admin.acts import RefundCompletion
from llmproxy.models import Completion
from tests.concurrently import concurrently
from tests.pages import extract_text
from tests.smartspec.acts.conftest import complete, make_event, make_mail

pytestmark = pytest.mark.django_db
COMPLETIONS = "/admin/llmproxy/completion/"
MAILS = "/admin/accounts/outgoingmail/"


def choose(client, path, act, rows, **sent) -> Any:
    """Select rows of a list and an act, as the list sends them."""
    chosen = {"action": act, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(path, {**chosen, **sent})


def confirm(client, path, act, rows) -> Any:
    """Confirm the preview as it is, and return the response, which leads to the run."""
    text = choose(client, path, act, rows).content.decode()
    form = text[text.index('name="action"') - 100 : text.index('name="confirm"')]
    sent: dict[str, Any] = {}
    for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form):
        sent.setdefault(name, []).append(value)
    return client.post(path, {**sent, "confirm": "1", "reason": "Outage"})


def make_by(actor) -> By:
    return By(actor, "Outage", "k", Source(is_administrator=True))


@pytest.fixture
def outage(ann, make_user):
    """Completions of two users at a provider that was down; one of them was refunded before."""
    bob = make_user("bob@example.com", credits=100)
    rows = [complete(ann, 10), complete(ann, 20), complete(bob, 30)]
    usage = Transaction.objects.get(hold=rows[0].hold, type="usage")
    ledger.refund(
        transaction=usage, amount=10, reason="Before", actor=None, idempotency_key="before"
    )
    return [*rows, complete(bob, 5)]


def test_an_outage_is_refunded_with_a_sum_and_a_result_per_row(client, operator, ann, outage):
    preview = choose(client, COMPLETIONS, "refund", outage[:3])
    text = extract_text(preview)
    assert "Credits together 50" in text
    assert "Left out: There is nothing left to refund." in text
    assert (Transaction.objects.filter(type="refund").count(), BulkAct.objects.count()) == (1, 0)
    page = confirm(client, COMPLETIONS, "refund", outage[:3])
    shown = extract_text(client.get(page["Location"]))
    assert "2 of 2 rows: 2 done, 0 left out." in shown
    assert "20 credits refunded" in shown
    bob = User.objects.get(email="bob@example.com")
    assert (ledger.balance(ann).credits, ledger.balance(bob).credits) == (100, 95)
    done = Transaction.objects.filter(type="refund", actor=operator)
    assert {row.description for row in done} == {"Outage"}
    assert LogEntry.objects.count() == 2


def test_a_sum_that_needs_an_approval_is_refused_in_words(client, operator, outage, settings):
    settings.ADJUST_APPROVAL_CREDITS = 49
    preview = choose(client, COMPLETIONS, "refund", outage[:3])
    assert "More than 49 need the approval" in extract_text(preview)
    sent = {"confirm": "1", "reason": "x", "key": "k"}
    assert choose(client, COMPLETIONS, "refund", outage[:3], **sent).status_code == 200
    assert not BulkAct.objects.exists()
    assert "Credits together 20" in extract_text(choose(client, COMPLETIONS, "refund", outage[1:2]))


def test_a_form_sent_twice_begins_one_act_and_needs_its_reason(client, operator, outage):
    sent = {"confirm": "1", "reason": "Outage", "key": "k1"}
    for wrong in ({"reason": ""}, {"key": ""}):
        choose(client, COMPLETIONS, "refund", outage, **sent | wrong)
    assert not BulkAct.objects.exists()
    first, again = (choose(client, COMPLETIONS, "refund", outage, **sent) for _number in range(2))
    assert first["Location"] == again["Location"]
    assert (BulkAct.objects.count(), LogEntry.objects.count()) == (1, 3)


def test_all_rows_of_a_list_are_taken_up_to_the_bound(client, operator, monkeypatch):
    monkeypatch.setattr("accounts.admin.acts.bulk.MOST", 3)
    mails = [make_mail() for _number in range(5)]
    one = choose(client, MAILS, "resend", mails[:1])
    assert "Take all rows of this list, at most 3" in extract_text(one)
    every = choose(client, MAILS, "resend", mails[:1], select_across="1")
    assert "These are the first 3 rows of the list" in extract_text(every)
    assert every.content.decode().count('name="_selected_action"') == 3


@pytest.fixture
def long_run(client, operator, monkeypatch):
    """A run over five mails, of which a request does two."""
    monkeypatch.setattr("accounts.admin.acts.runs.CHUNK_ROWS", 2)
    mails = [make_mail() for _number in range(5)]
    return confirm(client, MAILS, "resend", mails)["Location"]


def test_a_closed_browser_leaves_a_state_from_which_the_act_goes_on(client, long_run):
    shown = client.get(long_run)
    assert "2 of 5 rows: 2 done, 0 left out. " in extract_text(shown)
    assert "3 rows wait." in extract_text(shown)
    assert "bulk_act.js" not in shown.content.decode()
    assert OutgoingMail.objects.filter(tries=0).count() == 2
    going = client.post(long_run, {"continue": "1"})
    assert "bulk_act.js" in going.content.decode()
    client.post(long_run, {"continue": "1"})
    assert "5 of 5 rows: 5 done" in extract_text(client.get(long_run))
    assert BulkAct.objects.get().finished_at is not None
    assert "Resend" not in extract_text(client.post(long_run, {"continue": "1"}, follow=True))
    assert LogEntry.objects.count() == 5


def test_the_rest_of_an_act_can_be_left_out(client, long_run):
    client.post(long_run, {"stop": "1"})
    assert "5 of 5 rows: 2 done, 3 left out." in extract_text(client.get(long_run))
    assert OutgoingMail.objects.filter(tries=0).count() == 2


def test_only_who_began_an_act_goes_on_and_only_with_the_permission(
    client, long_run, make_administrator, operator
):
    other = make_administrator("accounts.view_bulkact", "accounts.resend_outgoingmail")
    client.force_login(other)
    assert "operator@example.com can go on" in extract_text(client.get(long_run))
    assert client.post(long_run, {"continue": "1"}).status_code == 403
    BulkAct.objects.update(actor=other)
    other.user_permissions.remove(Permission.objects.get(codename="resend_outgoingmail"))
    refused = client.post(long_run, {"continue": "1"})
    assert (refused.status_code, "Nothing was done." in extract_text(refused)) == (403, True)
    assert OutgoingMail.objects.filter(tries=0).count() == 2


def test_what_vanished_or_was_left_under_way_is_told_and_done(client, long_run):
    OutgoingMail.objects.get(pk=BulkActRow.objects.order_by("pk")[2].object_id).delete()
    old = BulkActRow.objects.order_by("pk")[3]
    past = BulkAct.objects.get().created_at - 2 * runs.ABANDONED
    BulkActRow.objects.filter(pk=old.pk).update(state="running", claimed_at=past)
    for _number in range(2):
        client.post(long_run, {"continue": "1"})
    text = extract_text(client.get(long_run))
    assert "5 of 5 rows: 4 done, 1 left out." in text
    assert "This row does not exist any more." in text


@pytest.mark.django_db(transaction=True)
def test_two_tabs_do_each_row_once(client, operator, outage):
    bulk = runs.start("llmproxy.completion.refund", RefundCompletion, outage, make_by(operator))
    rows = Completion.objects.all()
    concurrently(
        lambda _number: runs.run_chunk(bulk, RefundCompletion, rows, actor=operator), threads=2
    )
    assert runs.count(bulk) == runs.Counts(every=4, done=3, skipped=1)
    assert Transaction.objects.filter(type="refund", actor=operator).count() == 3


@pytest.mark.parametrize(
    ("path", "act", "make", "is_done"),
    [
        ("/admin/credits/paymentevent/", "replay", make_event, {"state": "ignored"}),
        ("/admin/accounts/user/", "disable", None, {"is_active": False}),
    ],
)
def test_other_rows_are_chosen_in_their_lists(client, operator, ann, path, act, make, is_done):
    row = make() if make else ann
    confirm(client, path, act, [row, operator] if make is None else [row])
    row.refresh_from_db()
    operator.refresh_from_db()
    assert {name: getattr(row, name) for name in is_done} == is_done
    assert operator.is_active


@pytest.mark.parametrize("number", ["x", "9" * 40])
def test_selected_rows_that_have_no_number_are_refused_in_each_list(client, operator, number):
    for row_admin in admin.site._registry.values():
        for act in getattr(row_admin, "bulk_acts", ()):
            path = locate_list(row_admin.opts)
            sent = {"action": act.name, "_selected_action": [number]}
            assert client.post(path, sent).status_code == 400, path


def test_who_may_not_view_the_rows_any_more_does_not_go_on(client, outage, make_administrator):
    names = ("llmproxy.view_completion", "credits.refund_usage")
    support = make_administrator(*names)
    bulk = runs.start("llmproxy.completion.refund", RefundCompletion, outage, make_by(support))
    support.user_permissions.remove(Permission.objects.get(codename="view_completion"))
    client.force_login(support)
    assert client.post(locate(bulk), {"continue": "1"}).status_code == 403
    assert runs.count(bulk).ended == 0
