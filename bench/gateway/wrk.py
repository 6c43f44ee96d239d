"""JSON completions by wrk with one thread."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench import mock
from bench.gateway.targets import PATH, Target

SCRIPT = Path(__file__).with_name("tokens.lua")
HINT = "There is no wrk here (Debian: apt-get install wrk): JSON completions are not measured."
SPARE_SECONDS = 30


@dataclass(frozen=True)
class Load:
    """The results of wrk, with times in milliseconds.

    `failed` counts responses other than 2xx and broken connections.
    """

    requests: int
    per_second: float
    p50: float
    p99: float
    failed: int


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def run_wrk(target: Target, *, clients: int, seconds: float, folder: Path) -> Load:
    """Send requests from this many connections, each as soon as the last response has come."""
    (tokens := folder / "tokens").write_text("".join(f"{token}\n" for token in target.tokens))
    request_body = {
        "model": "bench",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": mock.make_prompt()}],
    }
    (body := folder / "body").write_text(json.dumps(request_body))
    command = [
        "wrk",
        "-t1",
        f"-c{clients}",
        f"-d{seconds:g}s",
        "--timeout",
        "20s",
        "-s",
        str(SCRIPT),
    ]
    command += [f"http://127.0.0.1:{target.port}{PATH}", "--", str(tokens), str(body)]
    command += [f"{name}={value}" for name, value in target.headers.items()]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + SPARE_SECONDS, check=True
    )
    return _parse_output(process.stdout)


def _parse_output(output: str) -> Load:
    facts = {
        name: int(value)
        for name, value in re.findall(r"(\w+)=(\d+)", output.partition("MEASURED")[2])
    }
    return Load(
        requests=facts["requests"],
        per_second=facts["requests"] / facts["duration"] * 1e6,
        p50=facts["p50"] / 1000,
        p99=facts["p99"] / 1000,
        failed=facts["status"] + facts["socket"],
    )
