"""Idempotency keys as Stripe keeps them (https://docs.stripe.com/api/idempotent_requests)."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from smartspec.local.fake_stripe.memory.state import State
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, KeyInUse, KeyReused

KEEP_SECONDS = 24 * 3600
MAX_KEY = 255
KIND = "_idempotency_key"


@dataclass(frozen=True)
class Kept:
    """The answer that a key gives again."""

    status: int
    body: str
    request_id: str


def digest_parameters(method: str, path: str, params: dict[str, Any]) -> str:
    text = json.dumps([method, path, params], sort_keys=True)
    return sha256(text.encode()).hexdigest()


def open_key(state: State, key: str, digest: str) -> Kept | None:
    """Return the kept answer; None if there is none: the key is then one of `busy_keys`.

    `key` begins with the mode. Raises InvalidRequest, KeyInUse, KeyReused.
    """
    shown = key.partition(":")[2]
    if len(shown) > MAX_KEY:
        raise InvalidRequest(f"Idempotency keys have at most {MAX_KEY} characters.")
    if key in state.busy_keys:
        raise KeyInUse(
            "There is currently another in-progress request using this Idempotent Key (that"
            " probably means you submitted twice, and the other request is still going through):"
            f" {shown}. Please try again later.",
            code="idempotency_key_in_use",
        )
    entry = state.find(KIND, key)
    if entry is None or entry.object["created"] <= state.now() - KEEP_SECONDS:
        state.busy_keys.add(key)
        return None
    if entry.object["digest"] != digest:
        raise KeyReused(
            "Keys for idempotent requests can only be used with the same parameters they were"
            f" first used with. Try using a key other than '{shown}' if you meant to execute a"
            " different request."
        )
    return Kept(*entry.object["answer"])


def keep_answer(state: State, key: str, digest: str, kept: Kept) -> None:
    """Keep the answer of a request that was begun."""
    state.add(
        {
            "object": KIND,
            "id": key,
            "created": state.now(),
            "digest": digest,
            "answer": [kept.status, kept.body, kept.request_id],
        }
    )
