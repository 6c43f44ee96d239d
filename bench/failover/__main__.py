"""Kill a primary under streams and JSON calls, promote its standby, and look at the ledger.

    .venv/bin/python -m bench.failover [--seconds 30] [--streams 50] [--json 10] [--away 3]
        [--seed 1]

The program starts its own primary with a synchronous standby, and a site with two workers whose
DATABASE_URL names both. The exit code is 1 if a check fails: see bench.chaos.
"""

import argparse
import os
import secrets
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import isolated, ports
from bench.failover.servers import Server, open_servers
from smartspec.drill import scratch
from smartspec.drill.signals import signals
from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import LaunchError, Site, say

WORKERS = 2
PATIENCE = 60  # Seconds after which a client gives up.
MAX_SECONDS = 300  # For the whole program.


def main() -> int:
    options = make_parser().parse_args()
    processes.end_with_parent()
    signals.watch(MAX_SECONDS)
    try:
        return 0 if run(options) else 1
    except (DatabaseUnavailableError, LaunchError, TimeoutError) as error:
        say(f"SmartSpec: {error}")
        return 1


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30, help="the duration of the calls")
    parser.add_argument("--streams", type=int, default=50, help="concurrent callers with streams")
    parser.add_argument("--json", type=int, default=10, help="concurrent callers without streams")
    parser.add_argument(
        "--away", type=float, default=3, help="seconds from the death to the promotion"
    )
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="the seed of random choices"
    )
    return parser


def run(options: argparse.Namespace) -> bool:
    """Start everything, let the standby take over, and return True if all checks hold."""
    with ExitStack() as running:
        primary, standby = running.enter_context(open_servers(2))
        primary.create()
        primary.start()
        primary.make_database()
        folder = Path(running.enter_context(TemporaryDirectory(prefix="smartspec-failover-")))
        (folder / "log").mkdir()
        environment = make_environment(folder, [primary, standby])
        tokens = make_tables(environment)
        start_provider(folder, environment, running)
        primary.copy_to(standby)
        standby.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        port = start_site(environment, running)
        return fail_over((primary, standby), port, tokens, options)


def make_environment(folder: Path, servers: list[Server]) -> dict[str, str]:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    port, provider = find_free_port(), find_free_port()
    return {
        **{name: os.environ[name] for name in scratch.KEPT if name in os.environ},
        "DJANGO_SETTINGS_MODULE": "smartspec.settings",
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(40),
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"postgres://smartspec@{hosts}/smartspec?target_session_attrs=read-write",
        "LLM_UPSTREAM_BASE_URL": f"http://127.0.0.1:{provider}/v1",
        "LLM_UPSTREAM_MODELS": isolated.MODEL,
        "WEB_LLM_RPM": str(isolated.MANY),
        "WEB_LLM_TPM": str(isolated.MANY),
        "WEB_CONCURRENCY": str(WORKERS),
        "GRACEFUL_TIMEOUT": "1",
        "PYTHONUNBUFFERED": "1",
        "PORT": str(port),
        "PUBLIC_ORIGIN": f"http://127.0.0.1:{port}",
    }


def make_tables(environment: dict[str, str]) -> list[str]:
    """Configure this process, create the tables, and return the tokens of some users."""
    scratch.replace_environment(environment)
    import django

    django.setup()
    from django.core.management import call_command

    from llmproxy import catalogue

    call_command("migrate", verbosity=0)
    catalogue.adopt_environment()
    return isolated.make_users(users=200)


def start_provider(folder: Path, environment: dict[str, str], running: ExitStack) -> None:
    from bench.chaos.faults import Provider

    port = int(environment["LLM_UPSTREAM_BASE_URL"].rsplit(":", 1)[1].partition("/")[0])
    provider = Provider(isolated.make_bare_site(folder, environment), port)
    running.callback(provider.kill)
    provider.start()


def start_site(environment: dict[str, str], running: ExitStack) -> int:
    """Run gunicorn until `running` ends; return its port once it is ready."""
    port = int(environment["PORT"])
    site = Site(scratch.ROOT, port, environment)
    web = ("-m", "gunicorn", "-c", "gunicorn.conf.py", "smartspec.wsgi")
    master = running.enter_context(site.child("web server", *web))
    ports.wait_for_answer(port, "/readyz", master.check, isolated.START_SECONDS)
    return port


def fail_over(
    servers: tuple[Server, Server], port: int, tokens: list[str], options: argparse.Namespace
) -> bool:
    """Start the callers, kill the primary after a third of their time, and check the result."""
    from django.db import connection

    from bench import books
    from bench.chaos import verdict
    from bench.chaos.faults import Event
    from bench.chaos.load import Load

    primary, standby = servers
    load = Load(port, tokens, patience=PATIENCE, seed=options.seed)
    load.start(options.streams, options.json, options.seconds)
    time.sleep(options.seconds / 3)
    killed = Event("the primary", time.monotonic(), load.count.begun)
    primary.kill()
    time.sleep(options.away)
    promoted = Event("(its standby was promoted)", time.monotonic(), load.count.begun)
    standby.promote()
    ended = load.wait()
    connection.close()
    rest = verdict.wait_for_the_rest()
    closed = books.close_books(0)
    checks = verdict.make_checks(load, ended=ended, closed=closed, rest=rest, has_killed=False)
    for text in verdict.format_report(load, [killed, promoted], checks):
        say(text)
    return all(check.passed for check in checks)


if __name__ == "__main__":
    sys.exit(main())
