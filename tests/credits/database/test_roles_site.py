"""The site works with the application's role: it has every privilege that it needs."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import User
from credits import ledger
from credits.models import AuditRun, Package, Transaction
from credits.proof import audit
from tests.accounts.conftest import find_code
from tests.admin_forms import confirm_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("site_as_application"),
]
MakeUser = Callable[..., User]


@pytest.fixture
def administrator(client: Client, make_user: MakeUser) -> Client:
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    return client


def test_it_is_another_role_than_the_owner() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user <> relowner::regrole::text FROM pg_class WHERE relname = 'users'"
        )
        assert cursor.fetchone() == (True,)


def test_a_person_signs_up_gets_the_bonus_and_changes_their_name(client: Client) -> None:
    secret = {"email": "new@example.com", "password1": "correct horse battery"}
    assert client.post(reverse("account_signup"), secret).status_code == 302
    code = find_code(mail.outbox[-1])
    assert (
        client.post(reverse("account_email_verification_sent"), {"code": code}).status_code == 302
    )
    user = User.objects.get(email="new@example.com")
    assert (user.credits, Transaction.objects.get().amount) == (100, 100)
    user.name = "Ann"
    user.save()
    assert User.objects.get().name == "Ann"


def test_a_person_deletes_their_account(client: Client, make_user: MakeUser) -> None:
    user = make_user(credits=50)
    client.force_login(user)
    client.post(reverse("account_reauthenticate"), {"password": "correct horse battery"})
    assert client.post(reverse("account_close"), {"email": user.email})["Location"] == "/"
    assert User.objects.get().email.endswith(".invalid")


def test_every_verb_does_its_work(make_user: MakeUser) -> None:
    user = make_user(credits=50)
    bought = ledger.add(user=user, amount=30, type="purchase", description="", idempotency_key="1")
    ledger.capture(hold=ledger.hold(user=user, amount=10, reference_id="a", seconds=60), cost=7)
    ledger.release(hold=ledger.hold(user=user, amount=10, reference_id="b", seconds=60))
    ledger.refund(
        transaction=Transaction.objects.get(type="usage"),
        amount=2,
        reason="Slow",
        actor=None,
        idempotency_key="2",
    )
    lost = ledger.claw_back(transaction=bought, amount=None, reason="Disputed", idempotency_key="3")
    ledger.restore(transaction=lost, reason="Won", idempotency_key="4")
    assert ledger.balance(user).credits == 75
    assert not audit.run().findings


def test_every_page_of_the_admin_opens(administrator: Client) -> None:
    for model, page in admin.site._registry.items():
        names = [
            "changelist",
            *(
                ["add"]
                if page.has_add_permission(administrator.get("/admin/").wsgi_request)
                else []
            ),
        ]
        for name in names:
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}")
            assert administrator.get(address).status_code == 200, address


def test_an_administrator_changes_and_deletes_rows(administrator: Client) -> None:
    administrator.post(reverse("admin:auth_group_add"), {"name": "Support"})
    package = {
        "name": "Small",
        "credits": 10,
        "price_usd": "1.00",
        "sort_order": 1,
        "is_active": "on",
        "prices-TOTAL_FORMS": "0",
        "prices-INITIAL_FORMS": "0",
    }
    administrator.post(reverse("admin:credits_package_add"), package)
    for row in (Group.objects.get(), Package.objects.get()):
        address = f"admin:{row._meta.app_label}_{row._meta.model_name}_delete"
        confirm_page(administrator, reverse(address, args=[row.pk]))
    assert not Group.objects.exists()
    assert not Package.objects.exists()


def test_the_commands_of_every_day_run() -> None:
    call_command(
        "create_user", "bob@example.com", "--password", "correct horse battery", "--credits", "5"
    )
    call_command("adjust_credits", "bob@example.com", "3", "--reason", "Sorry")
    for command in ("tick", "seed", "audit_ledger"):
        call_command(command)
    assert User.objects.get().credits == 8
    assert AuditRun.objects.exists()
