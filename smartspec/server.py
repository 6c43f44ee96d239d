"""What gunicorn.conf.py needs: the limits of the process, and an end that loses no completion.

The master imports this module before the workers patch the standard library, so it imports nothing
of the application at its top.
"""

import os
import resource
import signal
import sys
from types import FrameType
from typing import Any

from smartspec.numbers import HINT, find_problem

# The seconds that the master waits for a worker after the date at which its completions are
# stopped: these report that to their callers, and are settled. Settling waits for a lost database
# for ten seconds (llmproxy/completion/settlement.py), and then leaves the charge in the spool.
SETTLE_SECONDS = 20
# So long before the master would kill it, a worker ends by itself, and closes what is left.
MARGIN_SECONDS = 4
QUICK_SECONDS = 1.5  # gunicorn kills a worker two seconds after SIGINT or SIGQUIT
KEEP_ALIVE_SECONDS = 1  # for connections without a request, after SIGTERM
SHARED_MEMORY = "/dev/shm"  # noqa: S108 – for the file of the heartbeat, whose name is random
MOST_FILES = 1_048_576  # where the hard limit is infinite

# One format for the lines of Django and of gunicorn.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "smartspec.redaction.RedactingFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False}},
}


DEFAULTS = {"PORT": "8000", "WEB_CONCURRENCY": "2", "GRACEFUL_TIMEOUT": "30"}


def main() -> None:
    """Replace this process by gunicorn, unless a variable cannot work.

    gunicorn reads WEB_CONCURRENCY before its own settings, and fails there with a traceback.
    """
    read_numbers()
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *sys.argv[1:]]
    os.execv(sys.executable, [*command, "smartspec.wsgi"])  # noqa: S606


def read_numbers() -> dict[str, int]:
    """Return the variables of the web server. Exits with the problems if one cannot work."""
    texts = {name: os.environ.get(name, default) for name, default in DEFAULTS.items()}
    problems = [problem for name, text in texts.items() if (problem := find_problem(name, text))]
    if problems:
        lines = "\n".join(f"{problem}\n\tHINT: {HINT}" for problem in problems)
        raise SystemExit(f"The web server cannot start:\n{lines}")
    return {name: int(text) for name, text in texts.items()}


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard one: a stream takes two.

    Newer container engines start processes with a soft limit of 1,024.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def choose_heartbeat_folder() -> str | None:
    """Return a folder in memory for the workers' heartbeat; None for gunicorn's choice.

    A worker whose heartbeat waits for a slow disk would be killed.
    """
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None


def end_without_loss(worker: Any, *, seconds: int) -> None:
    """Let the completions of a worker go on for `seconds` after SIGTERM, then stop them.

    `worker` is a gunicorn.workers.base.Worker that has loaded the application. The same happens if
    the master has died.
    """
    from accounts.toolbox.shutdown import shutdown

    master = worker.ppid
    handle_sigterm, notify = signal.getsignal(signal.SIGTERM), worker.notify

    def end(number: int, frame: FrameType | None) -> None:
        handle_sigterm(number, frame)  # type: ignore[operator, misc]
        worker.cfg.set("keepalive", KEEP_ALIVE_SECONDS)
        shutdown.begin(seconds=seconds)

    def notify_or_end() -> None:
        if os.getppid() != worker.ppid:
            worker.ppid = os.getppid()  # gunicorn would exit at once
            worker.log.info("The master %s has died: shutting down.", master)
            end(signal.SIGTERM, None)
        notify()

    worker.cfg.set("graceful_timeout", seconds + SETTLE_SECONDS - MARGIN_SECONDS)
    worker.notify = notify_or_end
    signal.signal(signal.SIGTERM, end)
    signal.siginterrupt(signal.SIGTERM, False)  # noqa: FBT003 – a running request goes on


def follow_settings() -> None:
    """Follow the settings that administrators change at run time, in this worker."""
    from accounts.operation import watch

    watch.begin()


def end_quickly() -> None:
    """Stop the completions of this worker now, and wait until they are settled."""
    from accounts.toolbox.shutdown import shutdown

    shutdown.begin(seconds=0)
    shutdown.wait(seconds=QUICK_SECONDS)


if __name__ == "__main__":
    main()
