"""Passwords are hashed as Django does; a client's secret, which is random, with less work."""

import subprocess
import sys

import pytest
from django.contrib.auth.hashers import check_password, make_password

from accounts.hashers import PasswordHasher

HASHERS = ["accounts.hashers.PasswordHasher", "accounts.hashers.ClientSecretHasher"]
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
    done = subprocess.run([sys.executable, "-c", IN_A_WORKER], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 5
