"""Adjusting the credits of users in the admin."""

import re
from datetime import UTC, datetime, time, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.access.administrators_log import Act
from credits import ledger
from credits.models import Grant, Transaction
from tests.accounts.conftest import change_in_admin
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db


def page(*users):
    return "/admin/accounts/user/adjust/?" + "&".join(f"user={user.pk}" for user in users)


def form(client, *users, **changes):
    """Return the fields that the page sends, with the key of the form."""
    key = re.search(r'name="key" value="([^"]+)"', client.get(page(*users)).content.decode())
    assert key
    return {
        "amount": "50",
        "type": "adjustment",
        "reason": "Goodwill",
        "key": key[1],
        "confirm": "1",
        **changes,
    }


def read_positions(answer):
    [positions] = re.findall(r'name="positions" value="([^"]+)"', answer.content.decode())
    return positions


def balance(user):
    user.refresh_from_db()
    return user.credits


def test_an_adjustment_is_written_with_who_and_why(client, operator, ann):
    assert client.post(page(ann), form(client, ann)).status_code == 302
    row = Transaction.objects.newest_first().get(user=ann, seq=2)
    assert (row.amount, row.balance_after, row.description, row.actor) == (
        50,
        150,
        "Goodwill",
        operator,
    )
    assert balance(ann) == 150


def test_the_preview_shows_the_balance_after_and_writes_nothing(client, operator, ann):
    sent = form(client, ann)
    del sent["confirm"]
    assert "150" in client.post(page(ann), sent).content.decode()
    assert balance(ann) == 100


def test_a_preview_that_cannot_be_done_offers_no_button(client, operator, ann):
    sent = form(client, ann, amount="-101")
    del sent["confirm"]
    page_text = client.post(page(ann), sent).content.decode()
    assert "not enough credits" in page_text
    assert 'name="confirm"' not in page_text


def test_a_form_sent_twice_adjusts_once(client, operator, ann):
    sent = form(client, ann)
    assert [client.post(page(ann), sent).status_code for _ in range(2)] == [302, 302]
    assert balance(ann) == 150


def test_a_form_that_was_used_does_not_adjust_by_another_amount(client, operator, ann):
    sent = form(client, ann)
    client.post(page(ann), sent)
    answer = client.post(page(ann), {**sent, "amount": "70"})
    assert "already been used" in answer.content.decode()
    assert balance(ann) == 150


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"amount": "1.5"},
        {"amount": "many"},
        {"amount": ""},
        {"amount": "1000000001"},
        {"amount": "9" * 30},
        {"amount": "-101"},
        {"reason": ""},
        {"reason": "   "},
        {"reason": "x" * 501},
        {"reason": "a\0b"},
        {"type": "purchase"},
        {"type": "bonus", "amount": "-5"},
        {"key": ""},
        {"key": "k" * 65},
        {"last_day": "yesterday"},
        {"last_day": "2020-01-01"},
        {"last_day": "9999-12-31"},
        {"last_day": "2030-01-01", "amount": "-5"},
    ],
)
def test_a_wrong_adjustment_is_an_error_on_the_form(client, operator, ann, wrong):
    answer = client.post(page(ann), form(client, ann, **wrong))
    assert answer.status_code == 200
    assert "text-red-" in answer.content.decode()
    assert Transaction.objects.filter(user=ann).count() == 1


def test_a_balance_that_another_administrator_has_changed_is_looked_at_again(
    client, operator, ann, make_user
):
    positions = read_positions(client.get(page(ann)))
    other = Client()
    other.force_login(make_user("other@example.com", is_staff=True, is_superuser=True))
    other.post(page(ann), form(other, ann, reason="Ticket 7"))
    sent = form(client, ann, reason="Ticket 7", positions=positions)
    answer = client.post(page(ann), sent)
    assert "other@example.com: ann@example.com +50 (Ticket 7)" in answer.content.decode()
    assert balance(ann) == 150
    positions = read_positions(answer)
    assert client.post(page(ann), {**sent, "positions": positions}).status_code == 302
    assert balance(ann) == 200


def test_own_adjustments_and_usage_make_no_page_old(client, operator, ann):
    positions = read_positions(client.get(page(ann)))
    ledger.capture(hold=ledger.hold(user=ann, amount=5, reference_id="x", seconds=60), cost=5)
    client.post(page(ann), form(client, ann))
    assert client.post(page(ann), form(client, ann, positions=positions)).status_code == 302
    assert balance(ann) == 195


@pytest.mark.parametrize("positions", ["", "x", "1:2:3 :", "9" * 30 + ":1", "\u0661:\u0661"])
def test_odd_positions_are_no_error(client, operator, ann, positions):
    assert client.post(page(ann), form(client, ann, positions=positions)).status_code == 302


def test_many_users_are_adjusted_together_or_not_at_all(client, operator, ann, make_user):
    poor = make_user("poor@example.com", credits=10)
    answer = client.post(page(ann, poor), form(client, ann, poor, amount="-20"))
    assert "Nothing was changed" in answer.content.decode()
    assert (balance(ann), balance(poor)) == (100, 10)
    client.post(page(ann, poor), form(client, ann, poor))
    assert (balance(ann), balance(poor)) == (150, 60)


def test_the_bulk_action_leads_to_the_form_of_the_chosen_users(client, operator, ann):
    chosen = {"action": "adjust_selected", "_selected_action": [ann.pk, operator.pk]}
    answer = client.post("/admin/accounts/user/", chosen)
    assert answer["Location"] == page(*sorted([ann, operator], key=lambda user: user.pk))


@pytest.mark.parametrize("odd", ["abc", "9" * 30, "", "a\0"])
@pytest.mark.parametrize(
    "action", [("accounts/user", "adjust_selected"), ("credits/package", "delete_selected")]
)
def test_a_bulk_action_with_odd_ids_is_refused(client, operator, action, odd):
    name, verb = action
    assert (
        client.post(f"/admin/{name}/", {"action": verb, "_selected_action": [odd]}).status_code
        == 400
    )


@pytest.mark.parametrize("path", ["adjust", "transactions"])
def test_links_on_the_users_page_change_nothing(client, operator, ann, path):
    assert client.get(f"/admin/accounts/user/{ann.pk}/{path}/").status_code == 302
    assert (
        client.get(page(ann) + "&amount=50&type=adjustment&reason=x&key=k&confirm=1").status_code
        == 200
    )
    assert balance(ann) == 100


@pytest.mark.parametrize(
    "query", ["", "user=abc", "user=0", "user=-1", f"user={10**30}", "user=%D9%A1", "user=1&" * 101]
)
def test_odd_users_lead_back_to_the_list(client, operator, query):
    answer = client.get(f"/admin/accounts/user/adjust/?{query}")
    assert answer["Location"] == "/admin/accounts/user/"


def test_an_operator_without_the_permission_is_refused(client, ann, make_user):
    viewer = make_user("viewer@example.com", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(viewer)
    assert client.get(page(ann)).status_code == 403
    assert client.post(page(ann), {"confirm": "1"}).status_code == 403
    assert client.get(f"/admin/accounts/user/{ann.pk}/adjust/").status_code == 403


def test_the_permission_alone_is_enough(client, ann, make_user):
    support = make_user("support@example.com", is_staff=True)
    support.user_permissions.add(Permission.objects.get(codename="add_transaction"))
    client.force_login(support)
    client.post(page(ann), form(client, ann))
    assert balance(ann) == 150


@pytest.mark.django_db(transaction=True)
def test_two_administrators_at_once_both_count(make_user):
    ann = make_user(credits=100)
    admins = [
        make_user(f"admin{n}@example.com", is_staff=True, is_superuser=True) for n in range(2)
    ]
    clients = [Client() for _ in admins]
    for client, admin in zip(clients, admins, strict=True):
        client.force_login(admin)
    forms = [form(client, ann) for client in clients]
    # Each administrator also clicks twice.
    concurrently(lambda n: clients[n % 2].post(page(ann), forms[n % 2]), threads=4)
    assert balance(ann) == 200


def test_a_stale_user_form_does_not_bring_the_old_balance_back(client, operator, ann):
    client.post(page(ann), form(client, ann))
    assert change_in_admin(client, ann, is_active="on", credits="1", name="Ann").status_code == 302
    assert balance(ann) == 150
    assert ann.name == "Ann"


def test_given_credits_expire_after_the_last_day(client, operator, ann):
    tomorrow = timezone.now().date() + timedelta(days=1)
    client.post(page(ann), form(client, ann, last_day=str(tomorrow)))
    grant = Grant.objects.get(user=ann, amount=50)
    assert grant.expires_at == datetime.combine(tomorrow + timedelta(days=1), time(), tzinfo=UTC)


def test_a_form_sent_twice_is_logged_once_on_the_users_history(client, operator, ann):
    sent = form(client, ann)
    for _ in range(2):
        client.post(page(ann), sent)
    entry = LogEntry.objects.get(content_type__model="user", object_id=str(ann.pk))
    assert (entry.user, entry.action_flag, entry.change_message) == (
        operator,
        Act.ADJUSTED,
        "+50 credits: Goodwill",
    )
    assert "Goodwill" in client.get(f"/admin/accounts/user/{ann.pk}/history/").content.decode()


def test_what_the_ledger_refuses_is_not_logged(client, operator, ann, make_user):
    client.post(page(ann, make_user("poor@example.com")), form(client, ann, amount="-20"))
    assert not LogEntry.objects.exists()


def test_a_form_used_before_does_not_adjust_as_another_type(client, operator, ann):
    sent = form(client, ann)
    client.post(page(ann), sent)
    assert "already been used" in client.post(page(ann), {**sent, "type": "bonus"}).content.decode()
    assert balance(ann) == 150


def test_support_adjusts_up_to_its_limit(client, support, ann, settings):
    settings.SUPPORT_ADJUST_CREDITS = 200
    client.force_login(support)
    for amount in ("201", "-201"):
        assert (
            "up to 200" in client.post(page(ann), form(client, ann, amount=amount)).content.decode()
        )
    assert balance(ann) == 100
    client.post(page(ann), form(client, ann, amount="200"))
    assert balance(ann) == 300


def test_a_superuser_is_not_bound_by_the_support_limit(client, operator, ann, settings):
    settings.SUPPORT_ADJUST_CREDITS = 0
    client.post(page(ann), form(client, ann, amount="5000"))
    assert balance(ann) == 5100


def test_support_does_not_adjust_the_own_account(client, support, ann):
    client.force_login(support)
    for users in ((support,), (ann, support)):
        assert (
            "your own account" in client.post(page(*users), form(client, *users)).content.decode()
        )
    assert (balance(support), balance(ann)) == (0, 100)
