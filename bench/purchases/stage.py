"""The drill's site: a fake Stripe that remembers, a web server, and forks that act."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import ports, usage
from bench.purchases.points import DATABASE, Point
from smartspec.drill.scratch import ROOT, Scratch
from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.site import Child, Site

START_SECONDS = 60
KEY = "sk_test_fakeStripeOfThisDrill"
SECRET = "whsec_fakeStripeOfThisDrill"
MANY = "1000000"


@dataclass
class Stage:
    """The running site. `forks` does one act at a time in a process of its own."""

    scratch: Scratch
    web: Child
    stripe_port: int
    forks: subprocess.Popen[str]

    @cached_property
    def stripe(self) -> Any:
        """Stripe's API for what buyers do: their cards, and the invoices that they pay."""
        import stripe

        base = f"http://127.0.0.1:{self.stripe_port}"
        return stripe.StripeClient(KEY, base_addresses={"api": base})

    def control(self, name: str, **given: Any) -> dict[str, Any]:
        """Let the buyer, the bank or Stripe do something at the fake."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.stripe_port}/_fake/{name}",
            json.dumps(given).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            done: dict[str, Any] = json.load(answer)
        return done

    def act(self, name: str, email: str, point: Point | None = None, victim: str = "") -> int:
        """Do one act in a fork, which may be killed or kill; return its exit code."""
        asked = {
            "act": name,
            "given": {"email": email},
            "point": point and [point.act, point.moment, point.owner, point.name],
            "victim": victim,
            "data": str(self.scratch.database.data),
        }
        assert self.forks.stdin
        assert self.forks.stdout
        self.forks.stdin.write(json.dumps(asked) + "\n")
        self.forks.stdin.flush()
        return int(self.forks.stdout.readline())

    def was_reached(self, code: int, victim: str) -> bool:
        """True if the victim was killed. A dead PostgreSQL is started again."""
        if victim != DATABASE:
            return code == -signal.SIGKILL
        process = self.scratch.database.data / "postmaster.pid"
        pid = int(process.read_text().split("\n", 1)[0]) if process.exists() else 0
        if pid and _is_alive(pid):
            return False
        self.scratch.database.kill()
        self.scratch.database.start()
        from django.db import connection

        connection.close()
        return True

    def kill_web_workers(self) -> None:
        for pid in usage.list_children(self.web.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def make_environment(scratch: Scratch, stripe_port: int) -> dict[str, str]:
    """Return what the site needs to know of the fake Stripe, and no limits on buying."""
    return {
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRETS": SECRET,
        "STRIPE_API_BASE": f"http://127.0.0.1:{stripe_port}",
        "CURRENCIES": "usd",
        "BUY_NETWORK_RPH": MANY,
    }


@contextmanager
def open_stage(scratch: Scratch, stripe_port: int) -> Iterator[Stage]:
    """Start the fake Stripe, the web server and the process that forks."""
    port = find_free_port()
    own = {
        "PORT": str(port),
        "PUBLIC_ORIGIN": f"http://127.0.0.1:{port}",
        **make_environment(scratch, stripe_port),
    }
    site = Site(ROOT, port, scratch.environment(scratch.wire, **own))
    with ExitStack() as running:
        running.enter_context(_run_fake(site, stripe_port))
        gunicorn = ("-m", "gunicorn", "-c", "gunicorn.conf.py", "smartspec.wsgi")
        web = running.enter_context(site.child("web", *gunicorn))
        forks = running.enter_context(_run_forks(site))
        ports.wait_for_answer(port, "/readyz", web.check, START_SECONDS)
        yield Stage(scratch, web, stripe_port, forks)


@contextmanager
def _run_fake(site: Site, port: int) -> Iterator[Child]:
    arguments = {
        "--port": str(port),
        "--webhook": f"{site.address}/stripe/webhook",
        "--secret": SECRET,
        "--data": str(site.data / "stripe.json"),
    }
    words = [word for pair in arguments.items() for word in pair]
    with site.child("fake Stripe", "-m", "smartspec.local.fake_stripe", *words) as fake:
        ports.wait_for_answer(port, "/_fake/state", fake.check, START_SECONDS)
        yield fake


@contextmanager
def _run_forks(site: Site) -> Iterator[subprocess.Popen[str]]:
    with site.log("forks").open("w") as log:
        process = processes.start(
            [sys.executable, "-m", "bench.purchases.forks"],
            cwd=ROOT,
            env=site.environment,
            process_group=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        yield process
    finally:
        processes.stop(process)


def wait_a_moment(seconds: float = 0.05) -> None:
    time.sleep(seconds)
