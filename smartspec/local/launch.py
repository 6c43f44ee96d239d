"""python -m smartspec.local.launch: start and stop all processes of `make run` together.

The exit code is 0 after Ctrl-C, SIGTERM or SIGHUP. If a process cannot run it is 1, and one
sentence on the terminal gives the reason.
"""

import argparse
import fcntl
import http.client
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from smartspec import server
from smartspec.local import embedded_postgres, local_model, postgres_cluster, processes
from smartspec.local.development import is_debug
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import Child, LaunchError, Site, say, tail

PROJECT = Path(__file__).resolve().parents[2]
MODEL_SECONDS = 60
STRIPE_SECONDS = 30
WEB_SECONDS = 60
STOP_SECONDS = 2  # of gunicorn after its last worker
BACKLOG = 512
STRIPE_KEYS = ("STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_FILE")
SHARED_VARIABLES = (  # The variables that manage.py in another terminal needs.
    "LLM_UPSTREAM_BASE_URL",
    "LLM_UPSTREAM_API_KEY",
    "LLM_UPSTREAM_MODELS",
    "LLM_DEFAULT_MAX_TOKENS",
    "PUBLIC_ORIGIN",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRETS",
    "STRIPE_API_BASE",
)


def serve(site: Site) -> None:
    """Start all processes, print the welcome text, and watch the processes until a signal comes."""
    with ExitStack() as running:
        running.enter_context(claim(site))
        listener = running.enter_context(listen(site))
        start_database(site, running)
        fake_stripe = start_fake_stripe(site, running)
        model = start_model(site, running)
        running.enter_context(share_environment(site))
        demo = site.manage("prepare").strip()
        site.progress("tables, packages and the demo login are there")
        if model:
            wait_for(model, site.environment["LLM_UPSTREAM_BASE_URL"], "/health", MODEL_SECONDS)
            site.progress("local model smollm2 is loaded")
        if fake_stripe:
            base = site.environment["STRIPE_API_BASE"]
            wait_for(fake_stripe, base, "/_fake/state", STRIPE_SECONDS)
            site.progress("fake Stripe is ready: no money moves")
        as_application: dict[str, Any] = {
            "env": {**site.environment, **choose_application_database(site)}
        }
        gunicorn = (
            "-m",
            "smartspec.server",
            "-b",
            f"fd://{listener}",
        )
        web = running.enter_context(
            site.child(
                "web server",
                *gunicorn,
                stop_seconds=choose_stop_seconds(site),
                pass_fds=(listener,),
                **as_application,
            )
        )
        running.enter_context(
            site.child("tick", "manage.py", "tick", "--loop", "60", **as_application)
        )
        wait_for(web, site.address, "/readyz", WEB_SECONDS)
        site.progress("web server is ready")
        running.callback(say, "\nStopping ...")
        say(format_welcome(site, demo))
        watch(site)


def choose_stop_seconds(site: Site) -> float:
    """Return the seconds within which the web server has ended its streams and itself."""
    drain = site.environment["GRACEFUL_TIMEOUT"]
    longest = server.SETTLE_SECONDS + STOP_SECONDS
    return longest + (int(drain) if drain.isdecimal() else 0)


@contextmanager
def claim(site: Site) -> Iterator[None]:
    """Lock the data directory: one launcher for one checkout. The kernel unlocks it on death."""
    try:
        site.log("").parent.mkdir(parents=True, exist_ok=True)
        lock = (site.data / "launch.lock").open("a+")
    except OSError as error:
        raise LaunchError(f"{site.data} is not usable: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LaunchError(f"It already runs at {lock.read()}; Ctrl-C there stops it.") from None
        lock.truncate(0)
        lock.write(site.address)
        lock.flush()
        yield


@contextmanager
def listen(site: Site) -> Iterator[int]:
    """Open the listening socket and yield its descriptor, which the web server inherits.

    So no other process can take the port before the web server starts. Raises LaunchError.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", site.port))
        except OSError as error:
            raise LaunchError(
                f"Port {site.port} cannot be used ({error.strerror}); choose another one:"
                f" PORT={site.port + 1} make run"
            ) from error
        listener.listen(BACKLOG)
        yield listener.fileno()


def start_database(site: Site, running: ExitStack) -> None:
    """Start the embedded server, unless DATABASE_URL names a database.

    The children find it by its data directory, as manage.py in another terminal does.
    """
    if site.has_database:
        site.progress("database is the one of DATABASE_URL")
        return
    running.enter_context(embedded_postgres.run_server(site.data / "postgres"))
    site.progress("PostgreSQL is ready")


def choose_application_database(site: Site) -> dict[str, str]:
    """Return the DATABASE_URL of the web server: a role that owns no tables (docs/roles.md)."""
    if site.has_database:
        return {}
    data = site.data / "postgres"
    if url := embedded_postgres.find_running_url(data):
        return {"DATABASE_URL": embedded_postgres.build_application_url(url, data)}
    raise LaunchError(f"PostgreSQL stopped.\n{tail(site.data / 'postgres.log')}")


def start_model(site: Site, running: ExitStack) -> Child | None:
    """Start the local model, unless a provider is configured. It loads while tables are made."""
    model = None
    if not site.environment.get("LLM_UPSTREAM_BASE_URL"):
        port = embedded_postgres.find_free_port()
        site.environment["LLM_UPSTREAM_BASE_URL"] = f"http://127.0.0.1:{port}/v1"
        site.environment["LLM_UPSTREAM_MODELS"] = local_model.NAME
        site.environment.setdefault("LLM_DEFAULT_MAX_TOKENS", str(local_model.MAX_OUTPUT_TOKENS))
        # A proxy of the environment is not on the way to the local model.
        known = site.environment.get("no_proxy") or site.environment.get("NO_PROXY") or ""
        site.environment["no_proxy"] = f"{known},127.0.0.1".lstrip(",")
        model = running.enter_context(
            site.child("local model", "-m", "smartspec.local.local_model", "--port", str(port))
        )
    return model


def start_fake_stripe(site: Site, running: ExitStack) -> Child | None:
    """Start a Stripe of our own, unless a key of the real one is set. It keeps what it knows.

    With DEBUG off nothing is started: nobody shall get credits for nothing.
    """
    given = any(site.environment.get(name) for name in STRIPE_KEYS)
    if given or not is_debug(site.environment):
        return None
    port = choose_stripe_port(site.data / "fake_stripe.port")
    site.environment |= {
        "STRIPE_SECRET_KEY": "sk_test_fakeStripeOfThisMachine",
        "STRIPE_WEBHOOK_SECRETS": f"whsec_{secrets.token_hex(16)}",
        "STRIPE_API_BASE": f"http://127.0.0.1:{port}",
    }
    arguments = {
        "--port": str(port),
        "--webhook": f"{site.address}/stripe/webhook",
        "--secret": site.environment["STRIPE_WEBHOOK_SECRETS"],
        "--data": str(site.data / "fake_stripe.jsonl"),
    }
    words = [word for pair in arguments.items() for word in pair]
    return running.enter_context(
        site.child("fake Stripe", "-m", "smartspec.local.fake_stripe", *words)
    )


def choose_stripe_port(path: Path) -> int:
    """Return the port of the last start if it is free, because pages in browsers know it."""
    with suppress(FileNotFoundError, ValueError), socket.socket() as probe:
        port = int(path.read_text())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return port
    port = embedded_postgres.find_free_port()
    path.write_text(str(port))
    return port


@contextmanager
def share_environment(site: Site) -> Iterator[None]:
    path = site.data / "running.env"
    values = {name: site.environment.get(name) for name in SHARED_VARIABLES}
    lines = (f"{name}={value}\n" for name, value in values.items() if value)
    postgres_cluster.write_private(path, "".join(lines))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def wait_for(child: Child, base_url: str, path: str, seconds: float) -> None:
    """Wait until the child responds 200. Raises LaunchError if it ends or takes longer."""
    deadline = time.monotonic() + seconds
    host, port = base_url.split("/")[2].split(":")
    while not responds(host, int(port), path):
        child.check()
        if time.monotonic() > deadline:
            raise LaunchError(
                f"The {child.name} is not ready after {seconds:g} s.\n{tail(child.log)}"
            )
        time.sleep(0.1)


def responds(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def watch(site: Site) -> NoReturn:
    """Watch the processes. A signal raises SystemExit, a dead process LaunchError."""
    embedded = not site.has_database
    while True:
        time.sleep(0.5)
        if site.on_terminal and not os.isatty(0):  # Closed; make does not forward SIGHUP.
            signal.raise_signal(signal.SIGHUP)
        for child in site.children:
            child.check()
        if embedded and embedded_postgres.find_running_url(site.data / "postgres") is None:
            raise LaunchError(f"PostgreSQL stopped.\n{tail(site.data / 'postgres.log')}")


def format_welcome(site: Site, demo: str) -> str:
    email, _, password = demo.partition(" ")
    login = (
        f"{email}, password {password}  (shown only this once)"
        if demo
        else "printed at the first start; new password: "
        "\n                  .venv/bin/python manage.py changepassword demo@example.com"
    )
    fake = site.environment.get("STRIPE_API_BASE", "")
    payments = f"\n  Payments        no money moves: {fake}" if "127.0.0.1" in fake else ""
    return f"""
SmartSpec runs at {site.environment["PUBLIC_ORIGIN"]}

  Demo login      {login}
  Administrator   .venv/bin/python manage.py create_user you@example.com --admin
  Data and logs   {site.data}{payments}
  Stop            Ctrl-C
"""


def make_site(root: Path, variables: Mapping[str, str]) -> Site:
    """Return the site with its development defaults, which the environment overrides."""
    port = variables.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise LaunchError(f"PORT has to be a number from 1 to 65535, not {port!r}.")
    defaults = {
        "DEBUG": "true",
        "PUBLIC_ORIGIN": f"http://127.0.0.1:{port}",
        "GRACEFUL_TIMEOUT": "3",
    }
    overrides = {name: value for name, value in variables.items() if value}
    fixed = {"PORT": port, "PYTHONUNBUFFERED": "1"}
    return Site(root, int(port), {**defaults, **overrides, **fixed})


def stop_at_signals() -> None:
    """Raise SystemExit at the first signal, and ignore further ones while the stack unwinds."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(0)

    for number in numbers:
        # `nohup make run` ignores SIGHUP, which must stay so.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m smartspec.local.launch")
    parser.add_argument("--root", type=Path, default=PROJECT, help="the checkout to serve")
    processes.end_with_parent()
    stop_at_signals()
    try:
        serve(make_site(parser.parse_args().root.resolve(), os.environ))
    except SystemExit:
        say("Stopped.")
    except (LaunchError, DatabaseUnavailableError) as error:
        say(f"SmartSpec: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
