"""The management commands of the ledger."""

from io import StringIO
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Plan, User
from credits import ledger
from credits.models import Hold, Package, Transaction

pytestmark = pytest.mark.django_db


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=out, **options)
    return out.getvalue()


def test_create_user_with_credits_has_exactly_those() -> None:
    output = run(
        "create_user", "Ann@Example.com", "--password", "a long password", "--credits", "70"
    )
    user = User.objects.get(email="ann@example.com")
    assert (user.credits, user.plan_id, user.is_staff) == (70, "free", False)
    assert user.check_password("a long password")
    assert EmailAddress.objects.get(user=user).verified
    assert "70 credits" in output
    assert "a long password" not in output


def test_create_user_without_credits_has_the_bonus_and_a_printed_password(settings: Any) -> None:
    settings.SIGNUP_BONUS_CREDITS = 30
    output = run("create_user", "ann@example.com")
    user = User.objects.get()
    assert user.credits == 30
    assert user.check_password(output.split()[-1])


def test_create_user_with_no_credits_has_none() -> None:
    run("create_user", "ann@example.com", "--credits", "0")
    assert User.objects.get().credits == 0
    assert not Transaction.objects.exists()


def test_create_user_can_make_an_administrator_on_a_plan() -> None:
    Plan.objects.create(slug="pro", name="Pro")
    run("create_user", "boss@example.com", "--admin", "--plan", "pro")
    boss = User.objects.get()
    assert (boss.is_staff, boss.is_superuser, boss.plan_id) == (True, True, "pro")


@pytest.mark.parametrize(
    "arguments",
    [
        ["not-an-address"],
        ["taken@example.com"],
        ["TAKEN@example.com"],
        ["ann@example.com", "--plan", "gold"],
        ["ann@example.com", "--credits", "-1"],
        ["ann@example.com", "--credits", str(ledger.MAX_AMOUNT + 1)],
        ["ann@example.com", "--credits", "many"],
    ],
)
def test_a_user_that_cannot_be_created_leaves_nothing(arguments: list[str]) -> None:
    run("create_user", "taken@example.com", "--credits", "5")
    with pytest.raises(CommandError):
        run("create_user", *arguments)
    assert User.objects.count() == 1
    assert Transaction.objects.count() == 1


def test_adjust_credits_writes_one_transaction_with_the_reason() -> None:
    run("create_user", "ann@example.com", "--credits", "50")
    assert "balance 30" in run("adjust_credits", "ann@example.com", "-20", "--reason", "Test calls")
    row = Transaction.objects.latest("seq")
    assert (row.type, row.amount, row.description) == ("adjustment", -20, "Test calls")
    run("adjust_credits", "ann@example.com", "5", "--reason", "Sorry", "--type", "bonus")
    assert Transaction.objects.latest("seq").type == "bonus"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nobody@example.com", "5", "--reason", "why"],
        ["ann@example.com", "0", "--reason", "why"],
        ["ann@example.com", "-51", "--reason", "why"],
        ["ann@example.com", "five", "--reason", "why"],
        ["ann@example.com", "5", "--reason", " "],
        ["ann@example.com", "5"],
        ["ann@example.com", "5", "--reason", "why", "--type", "usage"],
    ],
)
def test_a_bad_adjustment_is_a_clear_error(arguments: list[str]) -> None:
    run("create_user", "ann@example.com", "--credits", "50")
    with pytest.raises(CommandError):
        run("adjust_credits", *arguments)
    assert ledger.balance(User.objects.get()).credits == 50


def test_seeding_twice_changes_nothing() -> None:
    run("seed_packages")
    Package.objects.filter(name="Pro").update(price_usd=49)
    assert run("seed_packages").count("already there") == 4
    assert Package.objects.count() == 4
    assert Package.objects.get(name="Pro").price_usd == 49


def test_expire_holds_says_how_many() -> None:
    run("create_user", "ann@example.com", "--credits", "50")
    ledger.hold(user=User.objects.get(), amount=10, reference_id="gen_1", seconds=60)
    assert run("expire_holds") == ""
    Hold.objects.update(expires_at="2020-01-01T00:00Z")
    assert run("expire_holds") == "Holds expired: 1.\n"


def test_audit_ledger_exits_with_1_and_names_the_user() -> None:
    run("create_user", "ann@example.com", "--credits", "50")
    assert "sound" in run("audit_ledger")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE users SET credits_held = 5")
    with pytest.raises(SystemExit) as exit_code:
        run("audit_ledger")
    assert exit_code.value.code == 1


def test_tick_does_everything_due_and_again() -> None:
    run("create_user", "ann@example.com", "--credits", "50")
    ledger.hold(user=User.objects.get(), amount=10, reference_id="gen_1", seconds=60)
    Hold.objects.update(expires_at="2020-01-01T00:00Z")
    run("tick")
    run("tick")
    assert ledger.balance(User.objects.get()).held == 0


def test_the_demo_login_is_made_once_and_only_in_development(settings: Any) -> None:
    with pytest.raises(CommandError):
        run("seed_demo")
    settings.DEBUG = True
    email, password = run("seed_demo").split()
    assert User.objects.get(email=email).check_password(password)
    assert run("seed_demo") == ""


def test_a_tick_with_nothing_to_do_says_nothing():
    run("tick")  # It runs the daily audit.
    assert run("tick") == ""
