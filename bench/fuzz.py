"""Send a whole site what nobody expects: requests by schemathesis, and answers of providers.

    .venv/bin/python -m bench.fuzz [--minutes 10] [--seed 1] [--only requests|answers]

The program starts its own site with a temporary PostgreSQL and provider, and gives half of the time
to each. Requests: every operation is called without credentials, as a device and as a browser; does
every response follow the OpenAPI document? Answers: the bytes of providers are split, reordered,
cut and falsified; do the invariants in bench/provider_bytes/rounds.py hold? The exit code is 1 if
not. The tests contain a short version of both (tests/smartspec/hostile/test_conformance.py,
tests/llmproxy/wild/test_provider_bytes.py).
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import django

from bench.provider_bytes import answers, rounds
from bench.provider_bytes.mutations import Sent
from bench.provider_bytes.rounds import Reply
from smartspec.drill import scratch
from smartspec.drill.scratch import Worker
from smartspec.local import processes
from smartspec.local.site import say

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
]
MANY = "1000000"
LIMITS = dict.fromkeys(("DEVICE_CODE_RPM", "DEVICE_CODE_RPH", "DEVICE_VERIFY_RPM"), MANY)
CREDITS = 100_000_000
CSRF = "c" * 32
MODEL = "answers"
SHOWN_BYTES = 2000  # of an answer for which an invariant does not hold


def make_user(address: str) -> tuple[Any, str]:
    """Create a user with credits and an access token. The tables must exist."""
    from django.utils import timezone
    from oauth2_provider.models import AccessToken

    from accounts.models import User
    from credits import ledger

    user = User.objects.create_user(address, "only for this run")
    ledger.adjust(user=user, amount=CREDITS, reason="Fuzzing", actor=None)
    token, expires = secrets.token_urlsafe(32), timezone.now() + timedelta(days=1)
    AccessToken.objects.create(user=user, token=token, scope="llm:chat mcp:read", expires=expires)
    return user, token


def make_callers() -> dict[str, list[str]]:
    """Return the headers of each kind of caller."""
    from bench.browser import Browser

    (user, token), browser = make_user("fuzz@example.com"), Browser()
    browser.force_login(user)
    session = browser.cookies["sessionid"].value
    return {
        "nobody": [],
        "device": [f"Authorization: Bearer {token}"],
        "browser": [f"Cookie: sessionid={session}; csrftoken={CSRF}", f"X-CSRFToken: {CSRF}"],
    }


def fuzz(address: str, headers: list[str], seconds: float, seed: int, folder: Path) -> bool:
    """Run schemathesis as one caller, print failures; True if all responses were as described."""
    command = [
        "schemathesis",
        "run",
        f"{address}/api/schema",
        "--continue-on-failure",
        "--no-color",
    ]
    command += ["--max-time", str(round(seconds)), "--seed", str(seed), "--warnings", "off"]
    command += [
        "--checks",
        ",".join(CHECKS),
        *(part for header in headers for part in ("--header", header)),
    ]
    if headers:  # Otherwise schemathesis replaces our credentials with generated ones.
        command += ["--generation-with-security-parameters", "false"]
    program = Path(sys.executable).parent / command[0]
    return subprocess.run([program, *command[1:]], cwd=folder, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--only", choices=["requests", "answers"])
    options = parser.parse_args()
    processes.end_with_parent()
    with scratch.open_scratch() as opened:
        scratch.replace_environment(
            opened.own_environment() | {"ALLOWED_HOSTS": "127.0.0.1,testserver"}
        )
        django.setup()
        parts = [options.only] if options.only else ["requests", "answers"]
        return 0 if run(opened, parts, options.minutes * 60 / len(parts), options.seed) else 1


def run(opened: scratch.Scratch, parts: list[str], seconds: float, seed: int) -> bool:
    """Run these parts, `seconds` each; True if all was as described and nothing crashed."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    os.environ.update(LIMITS)
    conforms = True
    with opened.worker() as worker:
        worker.wait_until_ready()
        for name, headers in make_callers().items() if "requests" in parts else ():
            say(f"\n== {name}, seed {seed}")
            conforms &= fuzz(worker.url, headers, seconds / 3, seed, opened.folder)
        if "answers" in parts:
            say(f"\n== answers of providers, seed {seed}")
            conforms &= fuzz_answers(worker, seconds, seed)
        log = worker.child.log.read_text(errors="replace")
    crashes = log.count("Internal Server Error")
    result = "As described" if conforms and not crashes else "Not as described"
    say(f"\n{result}; {crashes} crashes in the log.")
    return conforms and not crashes


def fuzz_answers(worker: Worker, seconds: float, seed: int) -> bool:
    """Send changed answers through the worker, print failures; True if all invariants hold."""
    from credits.models import Hold
    from llmproxy.models import Completion, Deployment, LanguageModel, Provider

    with rounds.run_server() as server:
        provider = Provider.objects.create(slug=MODEL, name=MODEL, base_url=server.url)
        model = LanguageModel.objects.create(name=MODEL, **answers.PRICES)
        Deployment.objects.create(model=model, provider=provider)
        _user, token = make_user("answers@example.com")

        def ask(sent: Sent, body: dict[str, Any]) -> Reply:
            server.sent = sent
            path, body = sent.answer.path, {**body, "model": MODEL}
            status, text, generation = rounds.call(worker.url, path, token, body)
            return status, text, Completion.objects.get(generation_id=generation)

        played = failed = 0
        until = time.monotonic() + seconds
        for sent, faults in rounds.play(Random(seed), ask):
            played, failed = played + 1, failed + bool(faults)
            for fault in faults:
                shown = b"|".join(sent.pieces)[:SHOWN_BYTES]
                say(f"{sent.answer.name}, {sent.mutation}: {fault}\n  {shown!r}")
            if time.monotonic() > until:
                break
    is_held = Hold.objects.filter(state="open").exists()
    say(f"{played} answers, {failed} with faults{', and a hold is open' if is_held else ''}")
    return not (failed or is_held)


if __name__ == "__main__":
    sys.exit(main())
