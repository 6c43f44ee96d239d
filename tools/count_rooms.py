"""Counts the modules ("rooms") that one streamed completion passes.

    python tools/count_rooms.py [MOST]

A streamed completion runs through the WSGI application, on a PostgreSQL of its own and with a
provider on loopback, while a profiling function notes every Python function of our five
applications that is called, from the arrival of the request until the response is closed. Functions
are counted, imports are not: the same completion ran once before. With MOST, the exit status is 1
if more modules were passed than that.
"""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
APPLICATIONS = ("accounts", "credits", "deviceauth", "llmproxy", "smartspec")
MODEL = "drill"
Rooms = dict[str, set[str]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def main(arguments: list[str]) -> None:
    with TemporaryDirectory(prefix="smartspec-rooms-", ignore_cleanup_errors=True) as folder:
        rooms = measure(Path(folder))
    print(describe(rooms))  # noqa: T201 – this is a program
    if arguments and len(rooms) > int(arguments[0]):
        sys.exit(f"{len(rooms)} rooms are more than {arguments[0]}.")


def describe(rooms: Rooms) -> str:
    """One line for each module with the functions that ran, and the number of modules last."""
    lines = [f"{name}: {', '.join(sorted(functions))}" for name, functions in sorted(rooms.items())]
    return "\n".join([*lines, f"{len(rooms)} rooms"])


def measure(folder: Path) -> Rooms:
    """The modules that a streamed completion passes, with the functions of each that ran."""
    from smartspec.drill import provider
    from smartspec.local import embedded_postgres

    with embedded_postgres.run_server() as url, provider.run_provider() as served:
        os.environ |= {
            "DEBUG": "true",
            "DATA_DIR": str(folder),
            "DATABASE_URL": url,
            "DATABASE_APP_ROLE": "",
            "DJANGO_SETTINGS_MODULE": "smartspec.settings",
            "LLM_UPSTREAM_BASE_URL": served.url,
            "LLM_UPSTREAM_API_KEY": MODEL,
            "LLM_UPSTREAM_MODELS": MODEL,
        }
        with closing_connections():
            return measure_installed()


@contextmanager
def closing_connections() -> Iterator[None]:
    """Give the database's connections back before its server stops."""
    from django.db import connection, connections

    try:
        yield
    finally:
        connections.close_all()
        connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend


def measure_installed() -> Rooms:
    """Make tables and a caller; complete once to warm up, and once while calls are noted."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from smartspec.drill.caller import create_caller
    from smartspec.wsgi import application

    token = create_caller().token
    complete(application, token)
    rooms: Rooms = {}
    with noting_calls(rooms):
        complete(application, token)
    return rooms


def complete(application: Application, token: str) -> None:
    """Ask for a streamed completion and read it to its end, as gunicorn does."""
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    ours, callers = socket.socketpair()
    with ours, callers:
        answer = application(environ(body, token, ours), start_response)
        with closing(answer):  # type: ignore[type-var]
            received = b"".join(answer)
    if not received.endswith(b"data: [DONE]\n\n"):
        sys.exit(f"The completion did not end well: {received.decode()[-500:]}")


def environ(body: bytes, token: str, sock: socket.socket) -> dict[str, Any]:
    """A request as gunicorn passes it to the application (PEP 3333), with the connection."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/chat/completions",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
        "gunicorn.socket": sock,
    }


def start_response(status: str, headers: list[tuple[str, str]]) -> None:
    if not status.startswith("200 "):
        sys.exit(f"The completion was refused: {status} {headers}")


@contextmanager
def noting_calls(rooms: Rooms) -> Iterator[None]:
    """Note the functions of our applications that this thread calls meanwhile, by module."""

    def note(frame: FrameType, event: str, _argument: object) -> None:
        module = frame.f_globals.get("__name__", "")
        function = frame.f_code.co_qualname
        is_ours = module.partition(".")[0] in APPLICATIONS
        if event == "call" and is_ours and function != "<module>":
            rooms.setdefault(module, set()).add(function)

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


if __name__ == "__main__":
    main(sys.argv[1:])
