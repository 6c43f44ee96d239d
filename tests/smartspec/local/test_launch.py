"""The launcher with a small replacement of the project, real processes and a real gunicorn."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import create_server

import pytest
import stripe

from smartspec import server
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.launch import (
    choose_stop_seconds,
    choose_stripe_port,
    make_site,
    start_fake_stripe,
)
from tests.smartspec.processes import eventually, running_below

PROJECT = Path(__file__).resolve().parents[3]
WSGI = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
MANAGE = """
import sys, time
if sys.argv[1] == "prepare":
    print("demo@example.com secret-word")
if sys.argv[1] == "tick":
    time.sleep(60)
"""

COPIED = (
    "gunicorn.conf.py",
    "smartspec/server.py",
    "smartspec/numbers.py",
    "smartspec/redaction.py",
    "accounts/toolbox/shutdown.py",
    "accounts/toolbox/diagnosis/request_ids.py",
)
Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "smartspec").mkdir()
    (tmp_path / "smartspec/__init__.py").touch()
    (tmp_path / "smartspec/wsgi.py").write_text(WSGI)
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "accounts/operation").mkdir()
    (tmp_path / "accounts/operation/watch.py").write_text("def begin() -> None:\n    pass\n")
    return tmp_path


@pytest.fixture
def port() -> int:
    return find_free_port()


@pytest.fixture
def launch(root: Path, port: int) -> Iterator[Launch]:
    started = []

    def start(**variables: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "DATA_DIR": "",
            "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
            "LLM_UPSTREAM_BASE_URL": "http://127.0.0.1:1/v1",
            "STRIPE_SECRET_KEY": "sk_test_given",
            "STRIPE_API_BASE": "",
            "WEB_CONCURRENCY": "1",
            "PORT": str(port),
            **variables,
        }
        command = [sys.executable, "-m", "smartspec.local.launch", "--root", str(root)]
        started.append(
            subprocess.Popen(
                command, cwd=PROJECT, env=environment, text=True, stdout=subprocess.PIPE
            )
        )
        return started[-1]

    yield start
    for process in started:
        with process:  # The context manager waits for the end and closes the pipe.
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            break
    return text


def test_it_serves_says_how_and_leaves_nothing_behind(
    launch: Launch, root: Path, port: int
) -> None:
    site = launch()
    text = read_until(site, "Ctrl-C")
    assert f"http://127.0.0.1:{port}" in text
    assert "demo@example.com, password secret-word" in text
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert answer.read() == b"hello"
    assert "LLM_UPSTREAM_BASE_URL=http://127.0.0.1:1/v1" in (root / ".data/running.env").read_text()
    site.send_signal(signal.SIGINT)
    assert site.wait(60) == 0
    assert not (root / ".data/running.env").exists()
    assert not running_below(root)


def test_the_site_runs_as_a_role_that_is_not_the_owner(
    launch: Launch, root: Path, port: int
) -> None:
    (root / "smartspec/wsgi.py").write_text(
        "import os\n" + WSGI.replace('b"hello"', 'os.environ["DATABASE_URL"].encode()')
    )
    # Without DATABASE_URL, manage.py uses the server of the data directory as the owner.
    output = 'os.environ.get("DATABASE_URL", "data directory")'
    (root / "manage.py").write_text(
        "import os\n" + MANAGE.replace('"demo@example.com secret-word"', output)
    )
    site = launch(DATABASE_URL="")
    text = read_until(site, "Ctrl-C")
    assert "data, password directory" in text
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert answer.read().startswith(b"postgres://smartspec_app:")
    site.send_signal(signal.SIGINT)
    assert site.wait(60) == 0


def test_without_a_key_of_stripe_a_fake_one_takes_the_payments(
    launch: Launch, root: Path, port: int
) -> None:
    shutil.copytree(PROJECT / "smartspec/local", root / "smartspec/local")
    site = launch(STRIPE_SECRET_KEY="")
    assert "no money moves: http://127.0.0.1:" in read_until(site, "Ctrl-C")
    lines = (root / ".data/running.env").read_text().splitlines()
    shared = dict(line.split("=", 1) for line in lines)
    assert shared["STRIPE_SECRET_KEY"].startswith("sk_test_")
    endpoints = stripe.StripeClient(
        shared["STRIPE_SECRET_KEY"], base_addresses={"api": shared["STRIPE_API_BASE"]}
    ).v1.webhook_endpoints.list()
    assert [one.url for one in endpoints.data] == [f"http://127.0.0.1:{port}/stripe/webhook"]
    site.send_signal(signal.SIGINT)
    assert site.wait(60) == 0
    assert not running_below(root)


@pytest.mark.parametrize("given", [{"STRIPE_SECRET_KEY": "sk_test_given"}, {"DEBUG": "false"}])
def test_no_fake_stripe_beside_a_key_or_without_debug(
    given: dict[str, str], tmp_path: Path
) -> None:
    site = make_site(tmp_path, given)
    with ExitStack() as running:
        assert start_fake_stripe(site, running) is None
    assert "STRIPE_API_BASE" not in site.environment


def test_the_fake_stripe_keeps_its_port_while_it_is_free(tmp_path: Path) -> None:
    file = tmp_path / "port"
    first = choose_stripe_port(file)
    assert choose_stripe_port(file) == first
    with create_server(("127.0.0.1", first)):
        assert choose_stripe_port(file) != first


def test_a_second_launcher_says_where_the_first_is(launch: Launch, port: int) -> None:
    read_until(launch(), "Ctrl-C")
    second = launch(PORT=str(find_free_port()))
    assert (
        second.communicate()[0]
        == f"SmartSpec: It already runs at http://127.0.0.1:{port}; Ctrl-C there stops it.\n"
    )
    assert second.returncode == 1


@pytest.mark.parametrize(
    ("value", "words"), [("80x", "PORT has to be a number"), ("70000", "PORT has to be")]
)
def test_a_bad_port_is_refused(launch: Launch, value: str, words: str) -> None:
    site = launch(PORT=value)
    assert words in site.communicate()[0]
    assert site.returncode == 1


def test_a_busy_port_is_refused(launch: Launch, port: int) -> None:
    with create_server(("127.0.0.1", port)):
        assert f"Port {port} cannot be used" in launch().communicate()[0]


def test_a_child_that_ends_stops_everything_and_is_named(launch: Launch, root: Path) -> None:
    (root / "manage.py").write_text(
        "import sys; sys.argv[1] == 'tick' and sys.exit('out of order')"
    )
    site = launch()
    text = site.communicate(timeout=20)[0]
    assert site.returncode == 1
    assert "The tick ended with code 1." in text
    assert "| out of order" in text
    assert not running_below(root)


def test_a_killed_launcher_takes_its_children_along(launch: Launch, root: Path) -> None:
    site = launch()
    read_until(site, "Ctrl-C")
    site.kill()
    site.wait()
    eventually(lambda: not running_below(root))


def test_the_web_server_may_end_its_streams_before_it_is_killed() -> None:
    """gunicorn itself kills a worker GRACEFUL_TIMEOUT and SETTLE_SECONDS after the signal."""
    site = make_site(PROJECT, {"GRACEFUL_TIMEOUT": "20"})
    assert choose_stop_seconds(site) > 20 + server.SETTLE_SECONDS
