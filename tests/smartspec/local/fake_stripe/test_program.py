"""The fake Stripe as a program of its own: its arguments, its file, its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.fake_stripe import acts
from smartspec.local.fake_stripe.memory.state import State
from smartspec.local.fake_stripe.server import run_server
from tests.smartspec.processes import eventually, healthy

PROJECT = Path(__file__).resolve().parents[4]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started = []

    def start_program(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "smartspec.local.fake_stripe", *arguments]
        started.append(
            subprocess.Popen(
                command,
                cwd=PROJECT,
                env={**os.environ, "DEBUG": "true", **variables},
                text=True,
                stderr=subprocess.PIPE,
            )
        )
        return started[-1]

    yield start_program
    for process in started:
        with process:
            process.kill()


def connect(port: int) -> Any:
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: healthy(f"{url}/_fake/state"), 30)
    return connect_to(url)


def connect_to(url: str) -> Any:
    return stripe.StripeClient("sk_test_fake", base_addresses={"api": url}).v1


@pytest.mark.parametrize("value", ["false", "0", "off", "perhaps"])
def test_it_does_not_start_with_debug_off(start: Start, value: str) -> None:
    program = start("--port", "1", DEBUG=value)
    assert "does not start with DEBUG off" in program.communicate(timeout=20)[1]
    assert program.returncode == 1


def test_a_kill_loses_nothing_that_was_answered(start: Start, tmp_path: Path) -> None:
    port, file = find_free_port(), tmp_path / "state.jsonl"
    arguments = ("--port", str(port), "--data", str(file))
    program = start(*arguments)
    given: Any = {"email": "ann@example.com"}
    made = connect(port).customers.create(given, {"idempotency_key": "abc"})
    program.kill()
    program.wait()
    again = start(*arguments)
    kept = connect(port)
    assert kept.customers.retrieve(made.id).email == "ann@example.com"
    assert kept.customers.create(given, {"idempotency_key": "abc"}).id == made.id
    again.send_signal(signal.SIGTERM)
    assert again.wait(10) == 0


def test_the_file_keeps_clock_links_and_what_is_due(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    with run_server(file=file) as server:
        url = server.state.origin
        price = {"currency": "usd", "unit_amount": 900, "product_data": {"name": "x"}}
        session = connect_to(url).checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": "http://127.0.0.1/",
                "line_items": [{"price_data": price, "quantity": 1}],
            }
        )
        acts.advance(server.state, 60)
        server.state.save()
    with run_server(file=file) as server:
        entry = server.state.get("checkout.session", session.id)
        assert entry.object["url"].startswith(server.state.origin)
        assert entry.object["url"] != session.url
        assert server.state.ahead == 60
        assert server.state.take_due(session.expires_at) == (
            session.expires_at,
            "session.expire",
            session.id,
        )


def test_what_was_being_sent_is_sent_again(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    state = State(origin="http://a", file=file)
    state.add({"object": "_delivery", "id": "whd_1", "status": "sending"})
    state.save()
    kept = State(origin="http://a", file=file).get("_delivery", "whd_1")
    assert kept.object["status"] == "waiting"


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    state = State(origin="http://a", file=file)
    state.add({"object": "customer", "id": "cus_1"})
    state.save()
    size = file.stat().st_size
    for _ in range(3):
        state.get("customer", "cus_1")
        state.save()
    assert file.stat().st_size == size


def test_a_line_that_was_cut_never_happened(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    state = State(origin="http://a", file=file)
    state.add({"object": "customer", "id": "cus_1"})
    state.save()
    with file.open("a") as opened:
        opened.write('{"origin": "http://a", "entr')
    again = State(origin="http://a", file=file)
    again.add({"object": "customer", "id": "cus_2"})
    again.save()
    assert list(State(origin="http://a", file=file).entries["customer"]) == ["cus_1", "cus_2"]
