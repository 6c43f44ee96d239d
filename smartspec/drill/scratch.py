"""The drill's own PostgreSQL, provider and workers, in a folder that is removed afterwards.

Nothing here reads the settings of the installation. Children are started from the main thread
only, because the kernel kills a child when the thread that started it ends.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from smartspec.drill.provider import Provider, run_provider
from smartspec.drill.signals import signals
from smartspec.drill.wire import Wire
from smartspec.local import embedded_postgres, launch, postgres_cluster, processes
from smartspec.local.postgres_cluster import APP_ROLE
from smartspec.local.site import Child, Site

ROOT = Path(__file__).resolve().parent.parent.parent
# The environment variables that the children inherit.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PG_BIN")
WORKER = "drilled-worker"  # The application_name of the workers in pg_stat_activity.
START_SECONDS = 60


class Database:
    """A durable PostgreSQL that can be killed and started again. `port` can change each time."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self.port = 0
        self.url = ""
        self._running = ExitStack()

    def make(self) -> None:
        """Create the data without flushing to the disk, and start the server, which flushes."""
        with postgres_cluster.open_cluster(self.data, durable=False):
            self.start()

    def start(self) -> None:
        with signals.deferred():
            self.url = self._running.enter_context(embedded_postgres.run_server(self.data))
        self.port = int(self.url.rsplit(":", 1)[1].partition("/")[0])

    def kill(self) -> None:
        """Kill the postmaster with SIGKILL. Its backends end, too."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(
                int((self.data / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL
            )
        self._running.close()

    def owner_url(self, wire: Wire) -> str:
        """Return the URL through this wire for the role that owns the tables."""
        return self.url.replace(f":{self.port}/", f":{wire.port}/")

    def site_url(self, wire: Wire) -> str:
        """Return the URL through this wire for the site's role, which cannot write the ledger."""
        return embedded_postgres.build_application_url(self.owner_url(wire), self.data)


class Scratch:
    """The folder, the provider, the database and two wires to it.

    The workers use `wire`, which the faults break. The drill itself uses `own`.
    """

    def __init__(self, folder: Path, provider: Provider) -> None:
        self.folder = folder
        self.provider = provider
        self.database = Database(folder / "postgres")
        self.wire = Wire(lambda: self.database.port)
        self.own = Wire(lambda: self.database.port)
        self.secret = secrets.token_urlsafe(40)
        (folder / "log").mkdir()

    def own_environment(self) -> dict[str, str]:
        """Return the drill's environment, with the owner's URL and that of the site's role."""
        return {
            **self.environment(self.own),
            "DATABASE_URL": self.database.owner_url(self.own),
            "DATABASE_APP_ROLE": APP_ROLE,
            "APP_DATABASE_URL": self.database.site_url(self.own),
        }

    def environment(self, wire: Wire, **more: str) -> dict[str, str]:
        """Return the environment of a site that uses the scratch database through this wire."""
        return {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "smartspec.settings",
            "DEBUG": "true",
            "SECRET_KEY": self.secret,
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self.database.site_url(wire),
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
        """Start gunicorn with one worker, which dies at the failpoint if there is one."""
        port = embedded_postgres.find_free_port()
        variables = {
            "PGAPPNAME": WORKER,
            "PORT": str(port),
            "PUBLIC_ORIGIN": f"http://127.0.0.1:{port}",
            "SMARTSPEC_FAILPOINT": failpoint,
            "TMPDIR": str(self.folder),  # A killed gunicorn may leave a file there.
        }
        return _run_worker(Site(ROOT, port, self.environment(self.wire, **variables)))


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
        """Kill gunicorn at once. No client waits for its responses any more."""
        processes.stop(self.child.process, sig=signal.SIGKILL)

    def was_killed(self, seconds: float = 5) -> bool:
        """True if gunicorn reports within `seconds` that a worker died of SIGKILL."""
        deadline = time.monotonic() + seconds
        while "was sent SIGKILL" not in self.child.log.read_text(errors="replace"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@contextmanager
def _run_worker(site: Site) -> Iterator[Worker]:
    gunicorn = ("-m", "gunicorn", "-c", "gunicorn.conf.py", "smartspec.wsgi")
    with ExitStack() as running:
        with signals.deferred():
            worker = Worker(
                site, running.enter_context(site.child(f"worker {site.port}", *gunicorn))
            )
            running.callback(worker.stop)
        yield worker


@contextmanager
def open_scratch() -> Iterator[Scratch]:
    """Start everything that the drill needs, without tables; stop and remove it at the end."""
    with ExitStack() as running:
        with signals.deferred():
            folder = running.enter_context(
                TemporaryDirectory(prefix="smartspec-drill-", ignore_cleanup_errors=True)
            )
            scratch = Scratch(Path(folder), running.enter_context(run_provider()))
            for close in (scratch.database.kill, scratch.wire.close, scratch.own.close):
                running.callback(close)
            scratch.database.make()
            running.enter_context(signals.ignored_afterwards())
        yield scratch


def replace_environment(environment: Mapping[str, str]) -> None:
    """Replace all environment variables of this process."""
    os.environ.clear()
    os.environ.update(environment)
