"""Check on a running site that balances fall by exactly the credits that the responses report.

    .venv/bin/python -m bench.concurrent_chats [--users 20] [--chats 10] [--credits 50]

The program creates its own users in the site's database, sends all chats at the same moment, half
of them streamed, and prints the results. It sends users x chats requests, each for at most two
minutes.
"""

import argparse
import json
import os
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import django
import requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.models import AccessToken  # noqa: E402

from accounts.models import User  # noqa: E402
from credits import ledger  # noqa: E402
from credits.proof import audit  # noqa: E402

BODY = {
    "messages": [{"role": "user", "content": "Say hello in one short sentence."}],
    "max_tokens": 24,
}


def make_caller(credits: int) -> tuple[User, str]:
    """Create a user with this balance; return the user and an access token."""
    user = User.objects.create_user(f"bench-{secrets.token_hex(6)}@example.com")
    ledger.adjust(user=user, amount=credits, reason="Benchmark", actor=None)
    token = secrets.token_urlsafe(32)
    expires = timezone.now() + timedelta(hours=1)
    AccessToken.objects.create(user=user, token=token, scope="llm:chat", expires=expires)
    return user, token


def chat(token: str, stream: bool) -> tuple[int, int]:  # noqa: FBT001 – the value of "stream"
    """Send one chat; return the status and the credits that the response reports as used."""
    body = {
        **BODY,
        "stream": stream,
        **({"stream_options": {"include_usage": True}} if stream else {}),
    }
    response = requests.post(
        f"{settings.PUBLIC_ORIGIN}/v1/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )
    return response.status_code, read_used(response.text, stream) if response.ok else 0


def read_used(text: str, stream: bool) -> int:  # noqa: FBT001
    last: Any = json.loads(
        text.strip().split("\n\n")[-2].removeprefix("data: ") if stream else text
    )
    return int(last["_credits"]["used"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("users", 20), ("chats", 10), ("credits", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    callers = [make_caller(options.credits) for _ in range(options.users)]
    jobs = [
        (user, token, number % 2 == 0) for number in range(options.chats) for user, token in callers
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(len(jobs)) as pool:
        results = list(pool.map(lambda job: chat(job[1], job[2]), jobs))
    seconds = time.monotonic() - started
    spent = sum(options.credits - ledger.balance(user).credits for user, _ in callers)
    held = sum(ledger.balance(user).held for user, _ in callers)
    report = audit.run()
    print(
        f"{len(jobs)} chats by {options.users} users in {seconds:.1f} s:"
        f" {dict(Counter(status for status, _ in results))}"
    )
    print(
        f"responses reported {sum(used for _, used in results)} credits, balances fell by"
        f" {spent}, still held {held}"
    )
    print(
        f"audit: {report.users} users, {report.transactions} transactions,"
        f" {len(report.findings)} problems"
    )


if __name__ == "__main__":
    main()
