"""The users who send requests during the drill, and the responses that they get."""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta

import urllib3
from django.utils import timezone
from oauth2_provider.models import AccessToken
from urllib3.exceptions import HTTPError

from accounts.models import User
from credits import ledger

CREDITS = 50  # The balance of a new caller.
ANSWER_SECONDS = 60
MAX_TOKENS = 900  # With this limit, a hold has a few credits.

_http = urllib3.PoolManager(maxsize=100, retries=False, timeout=ANSWER_SECONDS)


@dataclass(frozen=True)
class Answer:
    """A response. `status` is None if the connection broke before it; `whole` means complete."""

    status: int | None
    whole: bool
    retry_after: str = ""


@dataclass(frozen=True)
class Caller:
    """A new user with a balance and an access token."""

    user: User
    token: str
    credits: int

    def chat(self, url: str, *, stream: bool = False) -> Answer:
        """Send one request and read the response, which may break off."""
        body = {
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": MAX_TOKENS,
            "stream": stream,
        }
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            response = _http.request(
                "POST",
                f"{url}/v1/chat/completions",
                body=json.dumps(body),
                headers=headers,
                preload_content=False,
            )
        except HTTPError:
            return Answer(None, whole=False)
        try:
            text = response.read()
        except HTTPError:
            return Answer(response.status, whole=False)
        whole = (
            text.endswith(b"data: [DONE]\n\n") if stream and response.status == 200 else bool(text)
        )
        return Answer(response.status, whole, response.headers.get("Retry-After", ""))


def create_caller(credits: int = CREDITS) -> Caller:
    user = User.objects.create_user(f"drill-{secrets.token_hex(6)}@example.com")
    ledger.adjust(user=user, amount=credits, reason="Ledger drill", actor=None)
    token = secrets.token_urlsafe(32)
    expires = timezone.now() + timedelta(hours=1)
    AccessToken.objects.create(user=user, token=token, scope="llm:chat", expires=expires)
    return Caller(user, token, credits)
