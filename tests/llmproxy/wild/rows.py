"""One input of a table, and what it has to cost."""

import json
from dataclasses import dataclass, field
from typing import Any

from accounts.models import User
from llmproxy.models import Completion
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Script, Upstream
from tests.llmproxy.wild.conftest import Ask, read_all, settled

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
# The estimates for the prompts of conftest.BODIES, in tokens.
PROMPTS = {CHAT: 13, TEXT: 1, EMBEDDINGS: 1, RESPONSES: 6, MESSAGES: 13}


@dataclass(frozen=True)
class Row:
    """`reference` is the tracker or document that the input is taken from, or `own`."""

    id: str
    reference: str
    does: Script
    charged: int
    source: str = "exact"
    path: str = CHAT
    status: str = "completed"
    body: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.id

    @property
    def is_stream(self) -> bool:
        """Whether the provider streams: then the request asks for it."""
        return not self.does.__qualname__.startswith("raw.")


def run(row: Row, ask: Ask, payer: User, upstream: Upstream) -> tuple[bytes, Completion]:
    """Ask as the row says, and check the charge; return the bytes that the caller got."""
    upstream.script = row.does
    stream = {"stream": True} if row.is_stream else {}
    response = ask(row.path, **stream, **row.body)
    assert response.status_code == 200
    body = read_all(response)
    receipt = settled(payer)
    assert (receipt.charged, receipt.usage_source, receipt.status) == (
        row.charged,
        row.source,
        row.status,
    )
    return body, receipt


def event(body: Any, name: str = "") -> bytes:
    """A server-sent event with this JSON."""
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(body)}\n\n".encode()


def answer(usage: Any, **members: Any) -> Script:
    """A JSON answer of Chat Completions with any usage, and members of its own."""
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello"},
    }
    about = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice]}
    with_usage = {} if usage is None else {"usage": usage}
    return script.raw(json.dumps({**about, **with_usage, **members}).encode())


def delta(text: Any = None, **members: Any) -> bytes:
    """A chunk whose delta has this content, or these members."""
    content = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": {**content, **members}, "finish_reason": None}
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]})


def last(usage: Any = None, reason: str = "stop", **members: Any) -> bytes:
    """The chunk with the finish reason, perhaps with usage."""
    choice = {"index": 0, "delta": {}, "finish_reason": reason}
    with_usage = {} if usage is None else {"usage": usage}
    return event({"id": "chatcmpl-1", "choices": [choice], **with_usage, **members})


def closing(usage: Any, **members: Any) -> bytes:
    """The chunk with nothing but usage."""
    return event({"id": "chatcmpl-1", "choices": [], "usage": usage, **members})
