"""The site's role keeps purchases, events and documents, and cannot change what they say."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import connection
from psycopg import errors

from accounts.models import User
from credits import balances, ledger
from credits.models import Document, Purchase
from credits.proof import audit
from tests.credits.application import Application
from tests.credits.conftest import give, reverse, spend

pytestmark = pytest.mark.django_db(transaction=True)
MakeUser = Callable[..., User]
COUNT = """
INSERT INTO document_counters AS c (kind, year, last) VALUES ('receipt', 2026, 1)
    ON CONFLICT (kind, year) DO UPDATE SET last = c.last + 1 RETURNING last
"""


def make_document(user: User) -> None:
    purchase = Purchase.objects.create(
        user=user,
        kind="package",
        name="Pro",
        credits=5,
        currency="usd",
        net=5,
        total=5,
        livemode=False,
    )
    Document.objects.create(
        kind="receipt", year=2026, serial=1, number="1", user=user, purchase=purchase, facts={}
    )


def test_the_site_writes_events_and_what_became_of_them(application: Application) -> None:
    application.execute(
        "INSERT INTO payment_events (stripe_id, type, livemode, object_id, payload)"
        " VALUES ('evt_1', 'x', false, '', '{}')"
    )
    application.execute("UPDATE payment_events SET state = 'done', done_at = now(), tries = 1")
    assert application.rows("SELECT state FROM payment_events") == [("done",)]
    for statement in (
        "UPDATE payment_events SET payload = ''",
        "DELETE FROM payment_events",
    ):
        application.refused(statement, errors.RestrictViolation)
    application.refused("TRUNCATE payment_events")
    application.refused("ALTER TABLE payment_events DISABLE TRIGGER USER")


def test_the_site_numbers_and_cancels_documents_and_changes_none(
    application: Application, make_user: MakeUser
) -> None:
    make_document(make_user())
    assert [application.rows(COUNT) for _ in range(2)] == [[(1,)], [(2,)]]
    application.execute("UPDATE documents SET cancelled_at = now(), cancelled_because = 'wrong'")
    application.connection.commit()
    for statement in (
        "UPDATE documents SET facts = '{}'",
        "UPDATE documents SET cancelled_at = NULL",
        "DELETE FROM documents",
        "DELETE FROM document_counters",
        "UPDATE document_counters SET year = 2027",
    ):
        application.refused(statement, errors.RestrictViolation)
    application.refused("ALTER TABLE documents DISABLE TRIGGER documents_stay")


@pytest.mark.usefixtures("site_as_application")
def test_the_site_writes_off_debts_and_audits_payments(make_user: MakeUser) -> None:
    user = make_user()
    make_document(user)
    invoice = give(user, 50, "subscription", reference_id="in_1")
    spend(user, 50)
    lost = reverse("claw_back", invoice)
    ledger.write_off(user=user, amount=20, reason="why", actor=None, idempotency_key="w1")
    assert (balances.restorable(lost), ledger.balance(user).debt) == (50, 30)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (settings.DATABASE_APP_ROLE,)
    problems = {15: 1, 17: 1}  # neither the invoice nor the document was made by the code of sales
    assert audit.run().problems == problems
