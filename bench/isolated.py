"""A whole site for a measurement: a durable PostgreSQL, and gunicorn as in production.

It is in a folder that is removed afterwards. The measuring process connects as the owner of the
tables; the workers run as the application's role.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import ports, usage
from smartspec.drill import scratch
from smartspec.drill.scratch import Scratch
from smartspec.local import embedded_postgres
from smartspec.local.site import Child, Site

USERS = 1000
CREDITS = 1_000_000_000
MANY = 1_000_000_000  # Requests or tokens a minute, so that no rate limit applies.
START_SECONDS = 60
MODEL = "bench"
GUNICORN = ("-m", "gunicorn", "-c", "gunicorn.conf.py", "smartspec.wsgi")


@dataclass
class Gateway:
    """The running site. `tokens` are the access tokens of its users."""

    scratch: Scratch
    site: Site
    master: Child
    tokens: list[str]

    @property
    def port(self) -> int:
        return self.site.port

    @property
    def workers(self) -> list[int]:
        """The process ids of the gunicorn workers."""
        return usage.list_children(self.master.process.pid)

    @property
    def postmaster(self) -> int:
        return int((self.scratch.database.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def wait_until_ready(self) -> None:
        ports.wait_for_answer(self.port, "/readyz", self.master.check, START_SECONDS)


def make_environment(opened: Scratch, upstream: str, url: str, **more: str) -> dict[str, str]:
    """Return the environment of the site. DEBUG is off, because it makes Django log statements."""
    variables = {
        "DEBUG": "false",
        "DATABASE_URL": url,
        "LLM_UPSTREAM_BASE_URL": upstream,
        "LLM_UPSTREAM_MODELS": MODEL,
        "WEB_LLM_RPM": str(MANY),
        "WEB_LLM_TPM": str(MANY),
    }
    return opened.environment(opened.wire, **(variables | more))


def build_direct_url(opened: Scratch) -> str:
    """Return the URL of the database for the application's role, without the drill's proxy."""
    return embedded_postgres.build_application_url(opened.database.url, opened.database.data)


def make_tables(opened: Scratch, upstream: str) -> None:
    """Configure this process as the owner of the tables, and create them.

    The creation does not wait for the disk; all later commits do.
    """
    own = opened.own_environment() | {
        "LLM_UPSTREAM_BASE_URL": upstream,
        "LLM_UPSTREAM_MODELS": MODEL,
        "DEBUG": "false",
    }
    own |= {"PUBLIC_ORIGIN": "http://127.0.0.1"}
    scratch.replace_environment(own)
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from llmproxy import catalogue

    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        call_command("migrate", verbosity=0)
        catalogue.adopt_environment()
        cursor.execute("RESET synchronous_commit")


def make_users(users: int = USERS, credits: int = CREDITS) -> list[str]:
    """Create users with many credits and without rate limits; return the access token of each."""
    from datetime import timedelta

    from django.utils import timezone
    from oauth2_provider.models import AccessToken

    from accounts.models import Plan
    from bench import many_rows

    many_rows.make_users(users, credits)
    Plan.objects.update(requests_per_minute=MANY, tokens_per_minute=MANY, max_concurrent=None)
    tokens = [secrets.token_urlsafe(32) for _ in range(users)]
    expires = timezone.now() + timedelta(days=1)
    for number, token in enumerate(tokens, 1):
        AccessToken.objects.create(user_id=number, token=token, scope="llm:chat", expires=expires)
    return tokens


@contextmanager
def run_gateway(
    opened: Scratch,
    upstream: str,
    url: str,
    tokens: list[str],
    *,
    workers: int = 1,
    command: Sequence[str] = GUNICORN,
    **more: str,
) -> Iterator[Gateway]:
    """Run gunicorn with gunicorn.conf.py; yield it once it is ready.

    `more` are further variables of its environment.
    """
    port = embedded_postgres.find_free_port()
    variables = {
        "PORT": str(port),
        "PUBLIC_ORIGIN": f"http://127.0.0.1:{port}",
        "WEB_CONCURRENCY": str(workers),
        "PGAPPNAME": scratch.WORKER,
        **more,
    }
    site = Site(scratch.ROOT, port, make_environment(opened, upstream, url, **variables))
    with site.child(f"web server {port}", *command) as master:
        gateway = Gateway(opened, site, master, tokens)
        gateway.wait_until_ready()
        yield gateway


def make_bare_site(folder: Path, variables: dict[str, str]) -> Site:
    """Return a site for the mock and the peers, whose logs are in the folder."""
    return Site(scratch.ROOT, 0, variables | {"DATA_DIR": str(folder)})
