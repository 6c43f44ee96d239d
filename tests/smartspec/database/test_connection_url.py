"""DATABASE_URL means to the site what it means to psql."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.checks import run_checks
from django.db import connection
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from smartspec.environment import Environment, is_direct_command
from smartspec.postgresql import connection_url, options

ROOT = Path(__file__).resolve().parents[3]
URLS = [
    "postgres://ann:s3cret@db.example.com/site",
    "postgres://ann:s3cret@db.example.com:6543/site?sslmode=verify-full&sslrootcert=/ca.pem",
    "postgresql://ann@one.example.com,two.example.com:5433/site?target_session_attrs=read-write",
    "postgresql://ann@[::1]:5433,[fe80::2]/site?load_balance_hosts=random",
    "postgres:///site?host=/var/run/postgresql&port=5433&user=ann",
    "postgres://ann@%2Fvar%2Frun%2FPostgreSQL/site",
    "postgres://db.example.com/site?options=-c%20geqo%3Doff%20-c%20search_path%3Da&ssl=true",
    "postgres://db/site?connect_timeout=7&application_name=my+app&keepalives=0&sslkey=%2Fa%20b",
    "postgres://db/site?channel_binding=require&tcp_user_timeout=1000&user=eve&password=p&dbname=x",
]
NAMES = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}


def read(url: str) -> dict[str, Any]:
    env = Environment()
    config = env.database(url)
    assert not env.bad
    return config


@pytest.mark.parametrize("url", URLS)
def test_a_url_says_what_it_says_to_libpq(url: str) -> None:
    config = read(url)
    ours = {NAMES[name]: config[name] for name in NAMES if config[name]} | config["OPTIONS"]
    theirs: dict[str, Any] = {**conninfo_to_dict(url)}
    if "," in theirs.get("port", ""):  # libpq leaves the default port out
        theirs["port"] = ",".join(port or "5432" for port in theirs["port"].split(","))
    assert {name: str(value) for name, value in ours.items()} == theirs


def test_every_option_is_one_of_libpq() -> None:
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    assert not connection_url.OPTIONS - known


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("sslmod=require", "'sslmod'"),
        ("sslmode=required", "sslmode"),
        ("target_session_attrs=master", "target_session_attrs"),
        ("connect_timeout=soon", "connect_timeout"),
        ("conn_max_age=600", "'conn_max_age'"),
        ("pool=false", "'pool'"),
    ],
)
def test_an_option_that_cannot_be_obeyed_is_named(query: str, word: str) -> None:
    env = Environment()
    env.database(f"postgres://ann:s3cret@127.0.0.1/site?{query}")
    assert word in env.bad["DATABASE_URL"]
    assert "s3cret" not in env.bad["DATABASE_URL"]


def test_limits_are_added_to_the_options_of_the_url() -> None:
    of_url = {"options": "-c geqo=off", "connect_timeout": "9"}
    built = options.build_options(of_url=of_url, pool_size=4, pool_seconds=3, has_pooler=False)
    assert built["options"] == "-c lock_timeout=5s -c statement_timeout=30s -c geqo=off"
    assert (built["connect_timeout"], built["keepalives_idle"]) == ("9", 10)
    pooled = options.build_options(of_url={}, pool_size=4, pool_seconds=3, has_pooler=True)
    assert "options" not in pooled


@pytest.mark.django_db(transaction=True)
def test_tls_that_the_server_does_not_have_is_not_done_without() -> None:
    other: Any = connection.copy("encrypted")
    other.settings_dict = {**other.settings_dict, "OPTIONS": {"sslmode": "require"}}
    with pytest.raises(Exception, match="server does not support SSL"):
        other.ensure_connection()


HOSTS = [
    ("db.example.com", "", [], True),
    ("db.example.com", "prefer", [], True),
    ("db.example.com", "disable", [], True),
    ("db.example.com", "require", [], False),
    ("db.example.com", "verify-full", [], False),
    ("127.0.0.1,10.0.0.8", "", [], True),
    ("10.0.0.8,10.0.0.9", "", ["10.0.0.8"], True),
    ("postgres", "", ["postgres"], False),
    ("localhost", "", [], False),
    ("::1", "", [], False),
    ("/var/run/postgresql", "", [], False),
    ("", "", [], False),
]


@pytest.mark.parametrize(("host", "mode", "private", "is_refused"), HOSTS)
def test_a_server_elsewhere_is_reached_by_tls_in_production(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    mode: str,
    private: list[str],
    *,
    is_refused: bool,
) -> None:
    config = settings.DATABASES["default"]
    monkeypatch.setitem(config, "HOST", host)
    monkeypatch.setitem(config, "OPTIONS", {**config["OPTIONS"], "sslmode": mode})
    settings.DATABASE_PRIVATE_HOSTS = private
    settings.DEBUG = False
    assert ("smartspec.E022" in {message.id for message in run_checks()}) == is_refused


@pytest.mark.parametrize(
    ("arguments", "is_direct"),
    [
        (["manage.py", "tick", "--loop", "60"], True),
        (["/srv/manage.py", "prepare"], True),
        (["manage.py", "audit_ledger"], True),
        (["manage.py", "check"], False),
        (["manage.py"], False),
        (["/srv/.venv/bin/gunicorn", "tick"], False),
        ([], False),
    ],
)
def test_commands_that_need_a_session_take_the_direct_url(
    arguments: list[str], *, is_direct: bool
) -> None:
    assert is_direct_command(arguments) == is_direct


def test_the_direct_url_is_used_by_a_command(tmp_path: Path) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_URL"])
    assert parts["host"] == "127.0.0.1"
    environ = {
        **os.environ,
        "DATABASE_DIRECT_URL": os.environ["DATABASE_URL"],
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "DATA_DIR": str(tmp_path),
    }
    code = "from django.conf import settings; print(settings.DATABASES['default']['PORT'])"
    for argv, port in ((["manage.py", "tick"], parts["port"]), (["gunicorn"], "1")):
        told = f"import sys; sys.argv = {argv!r}; {code}"
        command = [sys.executable, "-c", told]
        environ["DJANGO_SETTINGS_MODULE"] = "smartspec.settings"
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=True)
        assert done.stdout.decode().strip() == str(port)
