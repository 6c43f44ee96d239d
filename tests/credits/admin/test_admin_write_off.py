"""Write-offs in the admin: from the user's page, with a preview, a reason and a permission."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.utils import translation

from accounts.access.administrators_log import Act
from credits import balances, ledger
from credits.models import Approval, Transaction
from credits.operators import approvals

pytestmark = pytest.mark.django_db


@pytest.fixture
def debtor(ann, buy):
    """A user who owes 150 credits and has none."""
    bought = buy(ann, 150)
    ledger.adjust(user=ann, amount=-250, reason="Spent", actor=None)
    ledger.claw_back(transaction=bought, amount=None, reason="Dispute", idempotency_key="dp_1")
    return ann


def page(user):
    return f"/admin/accounts/user/{user.pk}/write-off/"


def get_debt(user):
    return ledger.balance(user).debt


def test_a_debt_is_written_off_with_who_and_why(client, operator, debtor, filled):
    answer = client.post(page(debtor), filled(client, page(debtor), amount="100"))
    assert answer["Location"] == f"/admin/accounts/user/{debtor.pk}/change/"
    row = Transaction.objects.latest("seq")
    assert (row.amount, row.debt, row.actor, row.description) == (0, -100, operator, "Goodwill")
    entry = LogEntry.objects.get()
    assert (entry.action_flag, entry.change_message) == (
        Act.WROTE_OFF,
        "100 credits of debt: Goodwill",
    )
    listed = client.get(f"/admin/credits/transaction/?user={debtor.pk}").content.decode()
    assert "debt −100" in listed


def test_the_form_proposes_all_and_the_preview_says_what_is_left(client, operator, debtor, filled):
    assert 'value="150"' in client.get(page(debtor)).content.decode()
    sent = filled(client, page(debtor), amount="149")
    del sent["confirm"]
    preview = client.post(page(debtor), sent).content.decode()
    assert "Afterwards, the user owes 1 credit." in preview
    assert (get_debt(debtor), LogEntry.objects.count()) == (150, 0)


def test_a_form_sent_twice_writes_off_and_logs_once(client, operator, debtor, filled):
    sent = filled(client, page(debtor), amount="150")
    assert [client.post(page(debtor), sent).status_code for _ in range(2)] == [302, 302]
    assert (get_debt(debtor), LogEntry.objects.count()) == (0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "151"},
        {"amount": "1.5"},
        {"amount": "9" * 30},
        {"amount": ""},
        {"reason": " "},
        {"reason": "a\0b"},
        {"key": ""},
    ],
)
def test_a_wrong_write_off_is_an_error_on_the_form(client, operator, debtor, filled, wrong):
    answer = client.post(page(debtor), filled(client, page(debtor), **{"amount": "150", **wrong}))
    assert answer.status_code == 200
    assert "text-red-" in answer.content.decode()
    assert (get_debt(debtor), LogEntry.objects.count()) == (150, 0)


def test_only_a_debtor_has_the_button(client, operator, debtor, second):
    assert page(debtor) in client.get(f"/admin/accounts/user/{debtor.pk}/change/").content.decode()
    assert (
        page(second) not in client.get(f"/admin/accounts/user/{second.pk}/change/").content.decode()
    )
    assert "owes nothing" in client.get(page(second), follow=True).content.decode()


@pytest.mark.parametrize("pk", ["0", "abc", "9" * 30])
def test_an_unknown_user_leads_to_the_list_and_says_so(client, operator, pk):
    answer = client.get(f"/admin/accounts/user/{pk}/write-off/", follow=True)
    assert "no record with this number" in answer.content.decode()


def test_support_writes_off_nothing_without_the_permission(client, support, debtor, filled):
    client.force_login(support)
    assert client.get(page(debtor)).status_code == 403
    form = {"amount": "1", "reason": "x", "key": "k", "confirm": "1"}
    assert client.post(page(debtor), form).status_code == 403
    support.user_permissions.add(Permission.objects.get(codename="write_off_debt"))
    client.post(page(debtor), filled(client, page(debtor), amount="1"))
    assert get_debt(debtor) == 149


def test_nobody_without_the_permission_to_approve_forgives_their_own_debt(
    client, support, buy, filled
):
    client.force_login(support)
    support.user_permissions.add(Permission.objects.get(codename="write_off_debt"))
    bought = buy(support, 50, key="pi_2")
    ledger.adjust(user=support, amount=-50, reason="Spent", actor=None)
    ledger.claw_back(transaction=bought, amount=None, reason="Dispute", idempotency_key="dp_2")
    answer = client.post(page(support), filled(client, page(support), amount="50"))
    assert "Another administrator must adjust your own account." in answer.content.decode()
    assert get_debt(support) == 50


def test_a_large_write_off_waits_for_a_second_administrator(
    client, operator, second, debtor, settings, filled
):
    settings.ADJUST_APPROVAL_CREDITS = 99
    answer = client.post(page(debtor), filled(client, page(debtor), amount="100"), follow=True)
    assert "Another administrator must approve" in answer.content.decode()
    approval = Approval.objects.get()
    assert (approval.kind, approval.amount, get_debt(debtor)) == ("write_off", 100, 150)
    client.force_login(second)
    address = f"/admin/credits/approval/{approval.pk}/approve/"
    shown = client.get(address).content.decode()
    assert "Write-off of a debt −100" in shown
    client.post(address, filled(client, address, reason=""))
    row = Transaction.objects.latest("seq")
    assert (get_debt(debtor), row.debt, row.actor) == (50, -100, operator)
    assert list(Approval.objects.get().transactions.all()) == [row]


def test_a_request_for_more_than_is_owed_by_now_stays_pending(
    client, operator, second, debtor, settings, filled, buy
):
    settings.ADJUST_APPROVAL_CREDITS = 99
    approval = approvals.write_off_or_ask(debtor, 100, "Goodwill", actor=operator, key="k1")
    assert approval
    buy(debtor, 60, key="pi_3")
    client.force_login(second)
    address = f"/admin/credits/approval/{approval.pk}/approve/"
    answer = client.post(address, filled(client, address, reason=""))
    assert "The user owes less than that by now." in answer.content.decode()
    assert (Approval.objects.get().state, get_debt(debtor)) == ("pending", 90)


def test_the_user_reads_what_happened_to_the_debt(client, debtor):
    ledger.write_off(
        user=debtor, amount=150, reason="Our mistake", actor=None, idempotency_key="w1"
    )
    client.force_login(debtor)
    listed = client.get("/account/transactions").content.decode()
    assert "Debt written off" in listed
    assert "Our mistake" in listed
    with translation.override("th"):
        assert (
            "ตัดยอดค้างชำระแล้ว"
            in client.get(
                "/account/transactions", headers={"Accept-Language": "th"}
            ).content.decode()
        )


def test_a_paid_subscription_is_refunded_with_the_permission_for_payments(
    client, support, ann, filled
):
    row = ledger.add(
        user=ann,
        amount=100,
        type="subscription",
        description="Pro",
        idempotency_key="inv:in_1",
        reference_id="in_1",
    )
    address = f"/admin/credits/transaction/{row.pk}/refund/"
    client.force_login(support)
    assert client.get(address).status_code == 403
    support.user_permissions.add(Permission.objects.get(codename="refund_purchase"))
    client.post(address, filled(client, address, amount="40"))
    assert (ledger.balance(ann).credits, balances.refundable(row)) == (160, 60)


def test_an_allowance_is_not_refunded(client, operator, ann):
    row = ledger.add(
        user=ann, amount=5, type="subscription", description="Free", idempotency_key="allowance:1"
    )
    answer = client.get(f"/admin/credits/transaction/{row.pk}/refund/", follow=True)
    assert "Only usage, purchases and paid subscriptions" in answer.content.decode()
