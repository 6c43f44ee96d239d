"""Large amounts need two administrators: one asks, another one decides once."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.access.administrators_log import Act
from credits import ledger
from credits.exceptions import IdempotencyConflict, InsufficientCredits
from credits.models import Approval, Transaction
from credits.operators import approvals
from credits.operators.actions import Adjustment
from credits.operators.approvals import NotPending, OwnRequest
from tests.concurrently import concurrently
from tests.pages import extract_text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit(settings):
    settings.ADJUST_APPROVAL_CREDITS = 1000


def ask(actor, *users, amount=600, key="k1", reason="Launch partners"):
    adjustment = Adjustment(amount, "adjustment", reason)
    return approvals.adjust_or_ask(users, adjustment, actor=actor, key=key)


@pytest.fixture
def approval(operator, ann, make_user):
    """A pending request of the operator for 600 credits for each of two users."""
    return ask(operator, ann, make_user("bob@example.com"))


PRESSED = {"approve": "1", "reject": "0", "withdraw": "1"}  # the buttons of the pages


def page(approval, verb):
    """Return the address of the page with the button of this verb."""
    name = "withdraw" if verb == "withdraw" else "approve"
    return f"/admin/credits/approval/{approval.pk}/{name}/"


def balance(user):
    return ledger.balance(user).credits


def state(approval):
    return Approval.objects.get(pk=approval.pk).state


def test_up_to_the_limit_one_is_enough(operator, ann, make_user):
    bob = make_user("bob@example.com")
    assert ask(operator, ann, bob, amount=500) is None
    assert (balance(ann), balance(bob)) == (600, 500)
    assert not Approval.objects.exists()


@pytest.mark.parametrize(
    ("setting", "amount", "waits"), [(0, 1, True), (None, 10**9, False), (5, -6, True)]
)
def test_the_limit_is_a_setting(settings, operator, ann, setting, amount, waits):
    settings.ADJUST_APPROVAL_CREDITS = setting
    assert bool(ask(operator, ann, amount=amount)) is waits


def test_the_form_asks_and_the_second_administrator_does_it(client, operator, second, ann, filled):
    path = f"/admin/accounts/user/adjust/?user={ann.pk}"
    sent = filled(client, path, amount="1001", type="bonus", last_day="")
    preview = client.post(
        path, {name: value for name, value in sent.items() if name != "confirm"}
    ).content.decode()
    assert "another administrator must approve" in preview
    assert "Request approval" in preview
    assert "must approve" in client.post(path, sent, follow=True).content.decode()
    assert balance(ann) == 100
    approval = Approval.objects.get()
    client.force_login(second)
    client.post(page(approval, "approve"), filled(client, page(approval, "approve"), reason=""))
    row = Transaction.objects.get(user=ann, seq=2)
    assert (row.amount, row.type, row.actor) == (1001, "bonus", operator)
    assert list(row.approvals.all()) == [approval]
    assert Approval.objects.get().decided_by == second


def test_the_preview_of_an_approval_shows_balances_as_they_are_now(client, approval, second, ann):
    ledger.adjust(user=ann, amount=7, reason="Meanwhile", actor=None)
    client.force_login(second)
    text = client.get(page(approval, "approve")).content.decode()
    assert "<strong>707</strong>" in text
    assert "Launch partners" in text
    assert state(approval) == "pending"


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_nobody_decides_what_they_ask_for(client, approval, ann, verb):
    sent = {"confirm": PRESSED[verb], "reason": "Mine", "key": "k"}
    answer = client.post(page(approval, verb), sent, follow=True)
    assert "Another administrator must decide" in answer.content.decode()
    assert (balance(ann), state(approval)) == (100, "pending")
    with pytest.raises(OwnRequest):
        getattr(approvals, verb)(approval, actor=approval.requester, note="")


def test_only_who_asked_withdraws(client, approval, second, ann, filled):
    with pytest.raises(OwnRequest):
        approvals.withdraw(approval, actor=second, note="")
    client.post(page(approval, "withdraw"), filled(client, page(approval, "withdraw")))
    assert (balance(ann), state(approval)) == (100, "withdrawn")


def test_a_rejection_changes_nothing_and_needs_a_reason(client, approval, second, ann, filled):
    client.force_login(second)
    sent = filled(client, page(approval, "reject"), confirm=PRESSED["reject"])
    assert (
        "text-red-"
        in client.post(page(approval, "reject"), {**sent, "reason": ""}).content.decode()
    )
    client.post(page(approval, "reject"), sent)
    assert (balance(ann), state(approval)) == (100, "rejected")


@pytest.mark.parametrize("before", ["approve", "reject"])
@pytest.mark.parametrize("then", ["approve", "reject"])
def test_what_was_decided_is_not_decided_again(client, approval, second, ann, before, then):
    getattr(approvals, before)(approval, actor=second, note="First")
    left = balance(ann)
    with pytest.raises(NotPending):
        getattr(approvals, then)(approval, actor=second, note="Again")
    client.force_login(second)
    answer = client.post(
        page(approval, then), {"confirm": PRESSED[then], "reason": "x", "key": "k"}, follow=True
    )
    assert "Nothing was changed" in answer.content.decode()
    assert balance(ann) == left


def test_an_expired_request_is_only_looked_at(client, approval, second, ann):
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotPending):
        approvals.approve(approval, actor=second, note="")
    client.force_login(second)
    assert (
        "Nothing was changed" in client.get(page(approval, "approve"), follow=True).content.decode()
    )
    assert (balance(ann), Transaction.objects.count()) == (100, 1)


def test_a_request_expires_after_seven_days(approval):
    assert (
        timedelta(days=7) - timedelta(minutes=1)
        < approval.expires_at - timezone.now()
        <= timedelta(days=7)
    )


def test_what_the_ledger_refuses_stays_pending(operator, second, ann):
    taken = ask(operator, ann, amount=-1001)
    with pytest.raises(InsufficientCredits):
        approvals.approve(taken, actor=second, note="")
    assert state(taken) == "pending"
    ledger.adjust(user=ann, amount=1000, reason="Now there is enough", actor=None)
    approvals.approve(taken, actor=second, note="")
    assert (balance(ann), state(taken)) == (99, "approved")


def test_a_refusal_is_said_on_the_page(client, operator, second, ann, filled):
    taken = ask(operator, ann, amount=-1001)
    client.force_login(second)
    shown = client.get(page(taken, "approve")).content.decode()
    assert 'name="confirm" value="1"' not in shown  # only the rejection is possible
    assert 'name="confirm" value="0"' in shown
    answer = client.post(page(taken, "approve"), filled(client, page(taken, "approve")))
    assert "there are not enough credits available" in answer.content.decode()


def test_a_large_refund_is_done_by_the_second(operator, second, ann, buy):
    bought = buy(ann, 5000)
    waiting = approvals.refund_or_ask(bought, 2000, "Wrong package", actor=operator, key="k")
    assert waiting is not None
    (row,) = approvals.approve(waiting, actor=second, note="Seen the invoice")
    assert (row.amount, row.reverses, row.actor, balance(ann)) == (-2000, bought, operator, 3100)


def test_a_form_sent_twice_asks_once_and_for_nothing_else(operator, ann):
    first = ask(operator, ann, amount=2000)
    assert ask(operator, ann, amount=2000) == first
    with pytest.raises(IdempotencyConflict):
        ask(operator, ann, amount=3000)
    with pytest.raises(IdempotencyConflict):
        ask(operator, ann, amount=5)
    assert (Approval.objects.count(), balance(ann)) == (1, 100)


def test_a_form_that_adjusted_does_not_ask(operator, ann):
    ask(operator, ann, amount=5)
    with pytest.raises(IdempotencyConflict):
        ask(operator, ann, amount=2000)
    assert not Approval.objects.exists()


def test_each_step_is_logged_with_both_names(approval, operator, second, ann):
    approvals.approve(approval, actor=second, note="Checked with sales")
    entries = [(entry.user, entry.action_flag) for entry in LogEntry.objects.order_by("pk")]
    assert entries == [
        (operator, Act.ASKED),
        (second, Act.ADJUSTED),
        (second, Act.ADJUSTED),
        (second, Act.APPROVED),
    ]
    done = LogEntry.objects.get(action_flag=Act.ADJUSTED, object_id=str(ann.pk))
    assert done.change_message == "+600 credits, requested by operator@example.com: Launch partners"
    assert "Checked with sales" in LogEntry.objects.get(action_flag=Act.APPROVED).change_message


@pytest.mark.parametrize(("verb", "act"), [("reject", Act.REJECTED), ("withdraw", Act.WITHDREW)])
def test_a_refusal_is_logged_with_its_reason(approval, operator, second, verb, act):
    getattr(approvals, verb)(
        approval, actor=second if verb == "reject" else operator, note="Not agreed"
    )
    assert "Not agreed" in LogEntry.objects.get(action_flag=act).change_message


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_support_asks_but_does_not_decide(client, support, approval, ann, verb):
    client.force_login(support)
    sent = {"confirm": "1", "reason": "x", "key": "k"}
    assert client.get(page(approval, verb)).status_code == 403
    assert client.post(page(approval, verb), sent).status_code == 403
    assert (balance(ann), state(approval)) == (100, "pending")


def test_the_permission_to_approve_is_enough(client, approval, make_user, ann, filled):
    lead = make_user("lead@example.com", is_staff=True)
    lead.user_permissions.set(
        Permission.objects.filter(codename__in=["approve_adjustment", "view_approval"])
    )
    client.force_login(lead)
    client.post(page(approval, "approve"), filled(client, page(approval, "approve")))
    assert balance(ann) == 700


@pytest.mark.parametrize("verb", ["approve", "reject", "withdraw"])
def test_a_get_decides_nothing(client, approval, second, ann, verb):
    client.force_login(second)
    client.get(page(approval, verb), {"confirm": PRESSED[verb], "reason": "x", "key": "k"})
    assert (balance(ann), state(approval)) == (100, "pending")


@pytest.mark.parametrize("pk", ["0", "abc", "9" * 30])
def test_an_unknown_request_leads_to_the_list(client, operator, pk):
    answer = client.post(f"/admin/credits/approval/{pk}/approve/", {"confirm": "1"}, follow=True)
    assert "no record with this number" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_approvers_at_once_do_it_once(make_user, filled):
    ann = make_user(credits=100)
    boss, *others = [
        make_user(f"a{n}@example.com", is_staff=True, is_superuser=True) for n in range(4)
    ]
    approval = ask(boss, ann, amount=2000)
    clients = [Client() for _ in others]
    for client, other in zip(clients, others, strict=True):
        client.force_login(other)
    forms = [filled(client, page(approval, "approve")) for client in clients]
    concurrently(lambda n: clients[n].post(page(approval, "approve"), forms[n]), threads=3)
    assert (balance(ann), LogEntry.objects.filter(action_flag=Act.APPROVED).count()) == (2100, 1)


def test_the_list_says_for_whom_what_and_how_much(client, operator, ann, make_user):
    others = [make_user(f"user{number}@example.com") for number in range(4)]
    ask(operator, ann, *others)
    row = extract_text(client.get("/admin/credits/approval/"))
    assert "ann@example.com" in row
    assert "user1@example.com and 2 more" in row
    assert "+600" in row
