"""What the drill breaks: a PostgreSQL, a provider and workers of its own, in a folder that goes afterwards.

Nothing here reads the installation's settings. Children are started from the main thread alone, because
the kernel ends them with the thread that started them.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from smartspec.drill import provider
from smartspec.drill.signals import signals
from smartspec.drill.wire import Wire
from smartspec.local import embedded_postgres, launch, postgres_cluster, processes
from smartspec.local.postgres_cluster import APP_ROLE
from smartspec.local.site import Child, Site

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PG_BIN")
WORKER = "drilled-worker"  # what its connections are called in pg_stat_activity
START_SECONDS = 60


class Database:
    """A durable PostgreSQL that can be killed and started again; `port` is where it listens now."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self.port = 0
        self.url = ""
        self._running = ExitStack()

    def make(self) -> None:
        """Not flushed to the disk while it is empty, as it is when it is used."""
        with postgres_cluster.opened(self.data, durable=False):
            self.start()

    def start(self) -> None:
        with signals.deferred():
            self.url = self._running.enter_context(embedded_postgres.server(self.data))
        self.port = int(self.url.rsplit(":", 1)[1].partition("/")[0])

    def kill(self) -> None:
        """End the postmaster, which has no time to tidy up; its backends follow."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(
                int((self.data / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL
            )
        self._running.close()

    def owners_url(self, wire: Wire) -> str:
        """Of the role that owns the tables, by this wire."""
        return self.url.replace(f":{self.port}/", f":{wire.port}/")

    def sites_url(self, wire: Wire) -> str:
        """Of the role that a site runs as, which cannot write the ledger."""
        return embedded_postgres.application_url(self.owners_url(wire), self.data)


class Scratch:
    """`wire` is the workers' line to the database, `own` is the drill's, which never breaks by itself."""

    def __init__(self, folder: Path, served: provider.Provider) -> None:
        self.folder = folder
        self.provider = served
        self.database = Database(folder / "postgres")
        self.wire = Wire(lambda: self.database.port)
        self.own = Wire(lambda: self.database.port)
        self.secret = secrets.token_urlsafe(40)
        (folder / "log").mkdir()

    def own_environment(self) -> dict[str, str]:
        """The drill's own: it migrates, and can ask as the site's role too."""
        return {
            **self.environment(self.own),
            "DATABASE_URL": self.database.owners_url(self.own),
            "DATABASE_APP_ROLE": APP_ROLE,
            "APP_DATABASE_URL": self.database.sites_url(self.own),
        }

    def environment(self, wire: Wire, **more: str) -> dict[str, str]:
        """That of a site whose database is the scratch one, reached by this wire."""
        return {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "smartspec.settings",
            "DEBUG": "true",
            "SECRET_KEY": self.secret,
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self.database.sites_url(wire),
            "LLM_UPSTREAM_BASE_URL": self.provider.url,
            "LLM_UPSTREAM_API_KEY": "drill",
            "LLM_UPSTREAM_MODELS": "drill",
            "WEB_LLM_RPM": "1000000",
            "WEB_LLM_TPM": "2000000000",
            "GRACEFUL_TIMEOUT": "1",
            "WEB_CONCURRENCY": "1",
            "PYTHONUNBUFFERED": "1",
            **more,
        }

    def worker(self, failpoint: str = "") -> AbstractContextManager["Worker"]:
        """A gunicorn with one worker, as `make run` starts it; its worker dies at the failpoint."""
        port = embedded_postgres.free_port()
        variables = {
            "PGAPPNAME": WORKER,
            "PORT": str(port),
            "PUBLIC_ORIGIN": f"http://127.0.0.1:{port}",
            "SMARTSPEC_FAILPOINT": failpoint,
            "TMPDIR": str(self.folder),  # gunicorn that is killed may leave a file there
        }
        return _worker(Site(ROOT, port, self.environment(self.wire, **variables)))


class Worker:
    """A running gunicorn of the drill."""

    def __init__(self, site: Site, child: Child) -> None:
        self.site, self.child = site, child

    @property
    def url(self) -> str:
        return self.site.address

    def wait_until_ready(self) -> None:
        launch.wait_for(self.child, self.url, "/readyz", START_SECONDS)

    def stop(self) -> None:
        """At once: nobody waits for its answers any more."""
        processes.stop(self.child.process, sig=signal.SIGKILL)

    def was_killed(self, seconds: float = 5) -> bool:
        """Whether gunicorn has seen a worker die of SIGKILL."""
        deadline = time.monotonic() + seconds
        while "was sent SIGKILL" not in self.child.log.read_text(errors="replace"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@contextmanager
def _worker(site: Site) -> Iterator[Worker]:
    gunicorn = ("-m", "gunicorn", "-c", "gunicorn.conf.py", "smartspec.wsgi")
    with ExitStack() as running:
        with signals.deferred():
            worker = Worker(
                site, running.enter_context(site.child(f"worker {site.port}", *gunicorn))
            )
            running.callback(worker.stop)
        yield worker


@contextmanager
def opened() -> Iterator[Scratch]:
    """Everything that the drill needs but the tables; stopped and removed at the end."""
    with ExitStack() as running:
        with signals.deferred():
            folder = running.enter_context(
                TemporaryDirectory(prefix="smartspec-drill-", ignore_cleanup_errors=True)
            )
            scratch = Scratch(Path(folder), running.enter_context(provider.serving()))
            for close in (scratch.database.kill, scratch.wire.close, scratch.own.close):
                running.callback(close)
            scratch.database.make()
            running.enter_context(signals.ignored_afterwards())
        yield scratch


def become(environment: Mapping[str, str]) -> None:
    """Let this process know no other settings than these."""
    os.environ.clear()
    os.environ.update(environment)
