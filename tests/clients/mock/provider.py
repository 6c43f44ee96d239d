"""The provider: its keys and models, its routes, and a record of what it was asked."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.clients.mock import models
from tests.clients.mock.anthropic import messages
from tests.clients.mock.exchange import Answer, Asked, Memory
from tests.clients.mock.openai import chat, responses, texts
from tests.clients.mock.refusals import Refused, refuse_anthropic, refuse_openai
from tests.clients.mock.usage import Usage

KEY = "sk-mock-provider"
KEY_HEADERS = ("authorization", "x-api-key", "api-key")
ROUTES: dict[str, Callable[[Memory, Asked], Answer]] = {
    "/v1/chat/completions": chat.answer,
    "/v1/completions": texts.complete,
    "/v1/embeddings": texts.embed,
    "/v1/responses": responses.answer,
    "/v1/responses/compact": responses.compact,
    "/v1/responses/input_tokens": responses.count,
    "/v1/messages": messages.answer,
    "/v1/messages/count_tokens": messages.count,
}


@dataclass
class Record:
    """One request and what became of it."""

    asked: Asked
    status: int
    refusal: str = ""
    usage: Usage | None = None
    id: str = ""


class Provider:
    """Answers requests, and keeps a record of each."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._memory = Memory()
        self._lock = threading.Lock()

    def get(self, path: str, headers: dict[str, str]) -> Answer:
        """Answer a GET request. Only the list of models can be read."""
        asked = Asked(path, headers, {})
        try:
            _check_key(asked)
            if path == "/v1/models":
                return Answer(models.describe(anthropic=asked.is_anthropic))
            raise _refuse_path(asked)
        except Refused as refused:
            return Answer(refused.body, status=refused.status, headers=refused.headers)

    def post(self, path: str, headers: dict[str, str], raw: bytes) -> Answer:
        """Answer a POST request, and record it."""
        asked, refusal = Asked(path, headers, {}), ""
        try:
            asked = Asked(path, headers, _parse(asked, raw))
            _check_key(asked)
            if path not in ROUTES:
                raise _refuse_path(asked)
            answer = ROUTES[path](self._memory, asked)
        except Refused as refused:
            refusal = str(refused.body["error"]["message"])
            answer = Answer(refused.body, status=refused.status, headers=refused.headers)
        record = Record(asked, answer.status, refusal, answer.usage, answer.id)
        with self._lock:
            self.records.append(record)
        return answer


def write_record(record: Record) -> str:
    """Return a line of JSON with the request, without its key, and what became of it."""
    headers = {
        name: value for name, value in record.asked.headers.items() if name not in KEY_HEADERS
    }
    said = {
        "path": record.asked.path,
        "status": record.status,
        "refusal": record.refusal,
        "headers": headers,
        "body": record.asked.body,
    }
    return json.dumps(said) + "\n"


def _parse(asked: Asked, raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
        assert isinstance(body, dict)
    except (ValueError, AssertionError):
        if asked.is_anthropic:
            raise refuse_anthropic("The request body is not valid JSON.") from None
        raise refuse_openai(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't"
            " using your HTTP library correctly. The OpenAI API expects a JSON payload, but what"
            " was sent was not valid JSON.)"
        ) from None
    return body


def _check_key(asked: Asked) -> None:
    sent = asked.headers.get("authorization", "").removeprefix("Bearer ")
    if KEY in (sent, asked.headers.get("x-api-key")):
        return
    if asked.is_anthropic:
        raise refuse_anthropic("invalid x-api-key", status=401, kind="authentication_error")
    raise refuse_openai(
        f"Incorrect API key provided: {sent[:8]}***. You can find your API key at"
        " https://platform.openai.com/account/api-keys.",
        status=401,
        code="invalid_api_key",
    )


def _refuse_path(asked: Asked) -> Refused:
    if asked.is_anthropic:
        return refuse_anthropic("Not Found", status=404, kind="not_found_error")
    return refuse_openai(f"Invalid URL (POST {asked.path})", status=404)
