"""Measure what waiting devices cost: poll the token endpoint of a running site for pending codes.

    .venv/bin/python -m bench.polls [--devices 4000] [--clients 8] [--seconds 10] [--rounds 3]

The program creates its own device codes in the site's database and polls them in turn over kept
connections as fast as responses come. It prints the polls per second, their times, and the CPU
time that each poll cost the web workers and PostgreSQL. The codes expire ten minutes later.
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
    """Poll these codes in turn until that moment.

    Return the milliseconds of each response, and how often each error code came.
    """
    connection = http.client.HTTPConnection(host, timeout=30)
    times, errors = [], Counter[str]()
    turn = 0
    while time.time() < until:
        request_body = json.dumps({"grant_type": GRANT, "device_code": codes[turn % len(codes)]})
        started = time.perf_counter()
        connection.request("POST", PATH, request_body, {"Content-Type": "application/json"})
        body = json.loads(connection.getresponse().read())
        times.append((time.perf_counter() - started) * 1000)
        errors[body["error"]] += 1
        turn += 1
    return times, errors


def read_cpu_seconds(*names: str) -> float:
    """Return the CPU time until now of the processes with one of these names in their command."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if any(name in command for name in names):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / TICK
        except OSError:  # The process has ended.
            continue
    return total


def run_round(host: str, codes: list[str], clients: int, seconds: float) -> None:
    before = read_cpu_seconds("gunicorn"), read_cpu_seconds("postgres")
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
    errors = sum((part for _, part in polled), Counter[str]())
    web = read_cpu_seconds("gunicorn") - before[0]
    database = read_cpu_seconds("postgres") - before[1]
    print(
        f"{len(times) / seconds:.0f} polls/s, p50 {statistics.median(times):.1f} ms, "
        f"p99 {times[int(len(times) * 0.99)]:.1f} ms; CPU a poll: web "
        f"{web / len(times) * 1000:.2f} ms, PostgreSQL {database / len(times) * 1000:.2f} ms; "
        f"{dict(errors)}"
    )


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
    django.setup()
    from django.conf import settings

    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("devices", 4000), ("clients", 8), ("seconds", 10), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    codes = make_codes(options.devices)
    for _ in range(options.rounds):
        run_round(urlsplit(settings.PUBLIC_ORIGIN).netloc, codes, options.clients, options.seconds)


if __name__ == "__main__":
    main()
