"""A ledger that is older than grants is upgraded to grants without losing anything."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.long, pytest.mark.drill]
BEFORE = """
INSERT INTO users (id, password, is_superuser, public_id, email, name, is_active, is_staff,
                   date_joined, plan)
VALUES (1, '', false, 'usr_1', 'ann@example.com', '', true, false, now(), 'free'),
       (2, '', false, 'usr_2', 'bob@example.com', '', true, false, now(), 'free');
BEGIN;
INSERT INTO credit_holds (user_id, amount, captured, state, reference_id, created_at, expires_at,
                          ended_at)
VALUES (1, 20, 30, 'captured', 'gen_1', now(), now() + interval '1 hour', now()),
       (1, 10, NULL, 'open', 'gen_2', now(), now() + interval '1 hour', NULL),
       (1, 10, NULL, 'expired', 'gen_3', now(), now(), now()),
       (1, 10, NULL, 'released', 'gen_4', now(), now(), now());
INSERT INTO credit_transactions (user_id, seq, type, amount, balance_after, description, metadata,
                                 reference_id, hold_id, idempotency_key, created_at)
VALUES (1, 1, 'bonus', 100, 100, 'Welcome bonus', '{}', '', NULL, 'signup', now()),
       (1, 2, 'usage', -30, 70, 'smollm2', '{}', 'gen_1', (SELECT min(id) FROM credit_holds), NULL,
        now()),
       (1, 3, 'adjustment', 5, 75, 'why', '{}', '', NULL, 'admin:k', now());
UPDATE users SET credits = 75, ledger_seq = 3, credits_held = 10, open_holds = 1 WHERE id = 1;
COMMIT;
"""
AFTER = """
from accounts.models import User
from credits import ledger
from credits.gifts.signup_bonus import grant_signup_bonus
from credits.models import Hold, Transaction
from credits.proof import audit
user = User.objects.get(pk=1)
assert grant_signup_bonus(user) is None, "the welcome bonus came twice"
again = ledger.adjust(user=user, amount=5, reason="why", actor=None, idempotency_key="admin:k")
assert again.seq == 3, "an adjustment was done twice"
ledger.capture(hold=Hold.objects.get(reference_id="gen_2"), cost=4)
ledger.capture(hold=Hold.objects.get(reference_id="gen_3"), cost=1)
usage = Transaction.objects.get(seq=2)
ledger.refund(transaction=usage, amount=7, reason="why", actor=None, idempotency_key="r")
assert ledger.balance(user) == ledger.Balance(credits=77, held=0, plan="free"), ledger.balance(user)
grants = [(grant.source, grant.remaining) for grant in user.grants.order_by("id")]
assert grants == [("opening", 70), ("refund", 7)]
report = audit.run()
assert not report.findings, report.findings
print(report.transactions)
"""


@pytest.fixture
def database(django_db_blocker: object) -> Iterator[str]:
    """The URL of a new database on the server of the tests."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"upgrade_{os.getpid()}"
    with psycopg.connect(
        os.environ["DATABASE_URL"],
        dbname="postgres",  # The other one is a template, which nobody may be connected to.
        autocommit=True,
    ) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(url._replace(path=f"/{name}"))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(database: str, *arguments: str) -> str:
    environment = {**os.environ, "DATABASE_URL": database}
    process = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_a_ledger_without_grants_is_taken_over(database: str) -> None:
    manage(database, "migrate", "-v0", "accounts", "0003")
    manage(database, "migrate", "-v0", "credits", "0002")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(BEFORE)
    manage(database, "migrate", "-v0")
    assert manage(database, "shell", "--no-imports", "-c", AFTER).strip() == "6"
