"""Many users chat at once on a running site: does every balance fall by exactly what the answers said?

    .venv/bin/python -m bench.concurrent_chats [--users 20] [--chats 10] [--credits 50]

Makes users of its own in the site's database, sends every chat at the same moment, half of them streamed,
and prints what came back. Bounded: users x chats requests, two minutes each at most.
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
    """A new user with this balance, and a token of theirs."""
    user = User.objects.create_user(f"bench-{secrets.token_hex(6)}@example.com")
    ledger.adjust(user=user, amount=credits, reason="Benchmark", actor=None)
    token = secrets.token_urlsafe(32)
    expires = timezone.now() + timedelta(hours=1)
    AccessToken.objects.create(user=user, token=token, scope="llm:chat", expires=expires)
    return user, token


def chat(token: str, stream: bool) -> tuple[int, int]:  # noqa: FBT001 – one of the two ways to ask
    """One chat: its status, and the credits its answer says it used."""
    body = {
        **BODY,
        "stream": stream,
        **({"stream_options": {"include_usage": True}} if stream else {}),
    }
    answer = requests.post(
        f"{settings.PUBLIC_ORIGIN}/v1/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )
    return answer.status_code, used(answer.text, stream) if answer.ok else 0


def used(text: str, stream: bool) -> int:  # noqa: FBT001
    last: Any = json.loads(
        text.strip().split("\n\n")[-2].removeprefix("data: ") if stream else text
    )
    return int(last["_credits"]["used"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("users", 20), ("chats", 10), ("credits", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    callers = [make_caller(asked.credits) for _ in range(asked.users)]
    jobs = [
        (user, token, number % 2 == 0) for number in range(asked.chats) for user, token in callers
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(len(jobs)) as pool:
        answers = list(pool.map(lambda job: chat(job[1], job[2]), jobs))
    seconds = time.monotonic() - started
    fell = sum(asked.credits - ledger.balance(user).credits for user, _ in callers)
    held = sum(ledger.balance(user).held for user, _ in callers)
    report = audit.run()
    print(
        f"{len(jobs)} chats by {asked.users} users in {seconds:.1f} s: {dict(Counter(s for s, _ in answers))}"
    )
    print(
        f"answers said {sum(u for _, u in answers)} credits, balances fell by {fell}, still held {held}"
    )
    print(
        f"audit: {report.users} users, {report.transactions} transactions, {len(report.findings)} problems"
    )


if __name__ == "__main__":
    main()
