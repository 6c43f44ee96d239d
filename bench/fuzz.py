"""Run schemathesis against a whole site: does every response follow the OpenAPI document?

    .venv/bin/python -m bench.fuzz [--minutes 10] [--seed 1]

The program starts its own site with a temporary PostgreSQL and provider. It calls every operation
without credentials, as a device and as a browser, a third of the time each. The exit code is 1 if
a response was not as described. The tests contain a short version of this
(tests/smartspec/hostile/test_conformance.py).
"""

import argparse
import os
import secrets
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import django

from smartspec.drill import scratch
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


def make_callers() -> dict[str, list[str]]:
    """Create the user and return the headers of each kind of caller. The tables must exist."""
    from django.utils import timezone
    from oauth2_provider.models import AccessToken

    from accounts.models import User
    from bench.browser import Browser
    from credits import ledger

    user = User.objects.create_user("fuzz@example.com", "only for this run")
    ledger.adjust(user=user, amount=CREDITS, reason="Fuzzing", actor=None)
    token, browser = secrets.token_urlsafe(32), Browser()
    expires = timezone.now() + timedelta(days=1)
    AccessToken.objects.create(user=user, token=token, scope="llm:chat mcp:read", expires=expires)
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
    options = parser.parse_args()
    processes.end_with_parent()
    with scratch.open_scratch() as opened:
        scratch.replace_environment(
            opened.own_environment() | {"ALLOWED_HOSTS": "127.0.0.1,testserver"}
        )
        django.setup()
        return 0 if run(opened, options.minutes * 60, options.seed) else 1


def run(opened: scratch.Scratch, seconds: float, seed: int) -> bool:
    """Run all callers for `seconds` in total; True if all was as described and nothing crashed."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    os.environ.update(LIMITS)
    conforms = True
    with opened.worker() as worker:
        worker.wait_until_ready()
        for name, headers in make_callers().items():
            say(f"\n== {name}, seed {seed}")
            conforms &= fuzz(worker.url, headers, seconds / 3, seed, opened.folder)
        log = worker.child.log.read_text(errors="replace")
    crashes = log.count("Internal Server Error")
    result = "As described" if conforms and not crashes else "Not as described"
    say(f"\n{result}; {crashes} crashes in the log.")
    return conforms and not crashes


if __name__ == "__main__":
    sys.exit(main())
