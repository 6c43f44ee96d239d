"""What do waiting devices cost? Polls the token endpoint of a running site for codes that nobody has answered.

    .venv/bin/python -m bench.polls [--devices 4000] [--clients 8] [--seconds 10] [--rounds 3]

Makes codes of its own in the site's database, polls each in turn over kept connections as fast as answers come,
and prints polls a second, their times, and the CPU that each cost the web workers and PostgreSQL.
Bounded by its seconds; the codes expire ten minutes later.
"""

import argparse
import http.client
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
PATH = "/api/auth/device/token"
TICK = os.sysconf("SC_CLK_TCK")
Polled = tuple[list[float], Counter[str]]


def make_codes(number: int) -> list[str]:
    from oauth2_provider.models import Application

    from accounts.toolbox.request_source import UNKNOWN
    from deviceauth import device_flow

    desktop = Application.objects.get(client_id="smartspec-desktop")
    return [
        device_flow.start(client=desktop, scopes=["llm:chat"], source=UNKNOWN).device_code
        for _ in range(number)
    ]


def poll(host: str, codes: Sequence[str], until: float) -> Polled:
    """Poll these codes in turn until that moment: milliseconds of each answer, and what they said."""
    connection = http.client.HTTPConnection(host, timeout=30)
    times, said = [], Counter[str]()
    turn = 0
    while time.time() < until:
        body = json.dumps({"grant_type": GRANT, "device_code": codes[turn % len(codes)]})
        started = time.perf_counter()
        connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        times.append((time.perf_counter() - started) * 1000)
        said[answer["error"]] += 1
        turn += 1
    return times, said


def cpu_seconds(*names: str) -> float:
    """What the processes with such a command line have used until now."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if any(name in command for name in names):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / TICK
        except OSError:  # it has ended meanwhile
            continue
    return total


def one_round(host: str, codes: list[str], clients: int, seconds: float) -> None:
    before = cpu_seconds("gunicorn"), cpu_seconds("postgres")
    until = time.time() + seconds
    with ProcessPoolExecutor(clients, mp_context=get_context("spawn")) as pool:
        polled = list(
            pool.map(
                poll,
                [host] * clients,
                [codes[n::clients] for n in range(clients)],
                [until] * clients,
            )
        )
    times = sorted(time for part, _ in polled for time in part)
    said = sum((part for _, part in polled), Counter[str]())
    web, database = cpu_seconds("gunicorn") - before[0], cpu_seconds("postgres") - before[1]
    print(
        f"{len(times) / seconds:.0f} polls/s, p50 {statistics.median(times):.1f} ms, "
        f"p99 {times[int(len(times) * 0.99)]:.1f} ms; CPU a poll: web {web / len(times) * 1000:.2f} ms, "
        f"PostgreSQL {database / len(times) * 1000:.2f} ms; {dict(said)}"
    )


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
    django.setup()
    from django.conf import settings

    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("devices", 4000), ("clients", 8), ("seconds", 10), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    codes = make_codes(asked.devices)
    for _ in range(asked.rounds):
        one_round(urlsplit(settings.PUBLIC_ORIGIN).netloc, codes, asked.clients, asked.seconds)


if __name__ == "__main__":
    main()
