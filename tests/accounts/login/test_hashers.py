"""Passwords are hashed as in Django; random client secrets are hashed with less work."""

import subprocess
import sys
import threading
import time

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, make_password
from django.core.mail.backends import locmem
from django.db import connection

from accounts.login.hashers import MAX_CONCURRENT, PasswordHasher
from tests.accounts.conftest import log_in
from tests.concurrently import concurrently

HASHERS = ["accounts.login.hashers.PasswordHasher", "accounts.login.hashers.ClientSecretHasher"]
IN_A_WORKER = """
from gevent import monkey; monkey.patch_all()
import gevent, os
os.environ["DJANGO_SETTINGS_MODULE"] = "smartspec.settings"
import django; django.setup()
from django.contrib.auth.hashers import check_password, make_password
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.01)
gevent.spawn(tick)
assert check_password("correct horse", make_password("correct horse"))
print(len(ticks))
"""


@pytest.fixture(autouse=True)
def real_hashers(settings):
    settings.PASSWORD_HASHERS = HASHERS


def test_a_password_is_hashed_so_that_any_django_reads_it(settings):
    stored = make_password("correct horse")
    assert stored.startswith(f"pbkdf2_sha256${PasswordHasher.iterations}$")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    assert check_password("correct horse", stored)
    assert not check_password("wrong", stored)


def test_a_client_secret_is_hashed_but_costs_a_poll_nothing():
    stored = make_password("a random secret", hasher="client_secret")
    assert "a random secret" not in stored
    assert stored.split("$")[:2] == ["client_secret", "1"]
    assert check_password("a random secret", stored)
    assert not check_password("wrong", stored)


def test_hashing_a_password_leaves_the_other_requests_of_a_worker_running():
    done = subprocess.run(
        [sys.executable, "-c", IN_A_WORKER], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 5


def record_connection(connections, act):
    def wrapped(*args):
        connections.add(connection.connection)
        return act(*args)

    return wrapped


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_log_in_is_hashed(client, monkeypatch):
    connections: set[object] = set()
    monkeypatch.setattr(
        PBKDF2PasswordHasher, "encode", record_connection(connections, lambda *args: "a$1$b$c")
    )
    assert log_in(client, "nobody@example.com").status_code == 200
    assert connections == {None}


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_mail_is_sent(client, monkeypatch):
    connections: set[object] = set()
    backend = locmem.EmailBackend
    monkeypatch.setattr(
        backend, "send_messages", record_connection(connections, backend.send_messages)
    )
    client.post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert connections == {None}


@pytest.mark.django_db
def test_within_a_transaction_hashing_keeps_its_connection():
    make_password("correct horse")
    assert connection.connection is not None


def test_a_worker_hashes_only_some_passwords_at_once(monkeypatch):
    running, most, lock = [], [], threading.Lock()

    def encode(*args):
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.05)
        running.pop()
        return "hash"

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", encode)
    concurrently(
        lambda n: PasswordHasher().encode("correct horse", "salt"), threads=3 * MAX_CONCURRENT
    )
    assert max(most) == MAX_CONCURRENT
