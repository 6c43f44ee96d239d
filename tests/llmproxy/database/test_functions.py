"""`migrate` replaces functions and triggers while the ledger is in use."""

import secrets
import threading
from collections.abc import Callable

import pytest
from django.db import Error, connection

from accounts.models import User
from credits import ledger
from credits.database import guards
from credits.proof import audit
from llmproxy.database import functions

pytestmark = pytest.mark.django_db(transaction=True)


def forget_marks() -> None:
    """Make all triggers look as if another version of the file had made them."""
    with connection.cursor() as cursor:
        for table, name in guards._read_triggers(cursor):
            cursor.execute(f"COMMENT ON TRIGGER {name} ON {table} IS NULL")


def use_ledger(user: User, until: threading.Event, captured: list[int]) -> None:
    """Hold and capture until the event; an error of a single call is the caller's to repeat."""
    try:
        while not until.is_set():
            try:
                hold = ledger.hold(
                    user=user, amount=2, reference_id=secrets.token_hex(8), seconds=60
                )
                captured.append(ledger.capture(hold=hold, cost=1).charged)
            except Error:
                connection.close()
    finally:
        connection.close()


def test_remaking_all_triggers_survives_calls_at_the_same_time(
    make_user: Callable[..., User],
) -> None:
    users = [make_user(f"user{number}@example.com", credits=100_000) for number in range(4)]
    until, captured = threading.Event(), list[int]()
    threads = [threading.Thread(target=use_ledger, args=(user, until, captured)) for user in users]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            forget_marks()
            functions.after_migrate()
    finally:
        until.set()
        for thread in threads:
            thread.join()
    assert len(captured) > 20
    assert audit.run().findings == []
