"""Whom to ask for a completion: the providers of its model, in order, and how they have been doing."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from llmproxy import keys
from llmproxy.exceptions import UpstreamFailure
from llmproxy.models import ENVIRONMENT, Provider
from llmproxy.models.providers import OnDisconnect


@dataclass(frozen=True, slots=True)
class Target:
    """A model's deployment at one provider, as the statement that admitted the completion found it.

    `provider` is the row's id; `failures` in a row until now, after which it may be `is_cooling`. Times are in seconds.
    """

    provider: int
    slug: str
    base_url: str
    encrypted_key: str
    key_header: str
    upstream_name: str = ""
    order: int = 0
    weight: int = 1
    connect_seconds: int | None = None
    first_byte_seconds: int | None = None
    idle_seconds: int | None = None
    on_disconnect: str = "cancel"
    drain_seconds: int = 0
    failures: int = 0
    is_cooling: bool = False

    @classmethod
    def of(cls, row: Provider, **fields: Any) -> "Target":
        return cls(
            provider=row.pk,
            slug=row.slug,
            base_url=row.base_url,
            encrypted_key=row.encrypted_key,
            key_header=row.key_header,
            connect_seconds=row.connect_seconds,
            first_byte_seconds=row.first_byte_seconds,
            idle_seconds=row.idle_seconds,
            **fields,
        )

    @property
    def url(self) -> str:
        return settings.LLM_UPSTREAM_BASE_URL if self.slug == ENVIRONMENT else self.base_url.rstrip("/")

    @property
    def key(self) -> str:
        """The provider's API key in plain text; raises keys.KeyUnreadable."""
        return settings.LLM_UPSTREAM_API_KEY if self.slug == ENVIRONMENT else _decrypted(self.encrypted_key)

    def without_key(self, text: str) -> str:
        """What a provider said, for a log: some repeat the key that they were sent."""
        try:
            key = self.key
        except keys.KeyUnreadable:
            return text
        return text.replace(key, "[our key]") if key else text


@lru_cache(maxsize=1000)
def _decrypted(stored: str) -> str:
    return keys.decrypt(stored)


def in_order(targets: Iterable[Target]) -> list[Target]:
    """By order, among equals by chance with their weights; who is cooling down comes last."""
    drawn = [(target.is_cooling, target.order, -(random.random() ** (1 / target.weight)), target) for target in targets]  # noqa: S311 – not a secret
    return [target for *_, target in sorted(drawn, key=lambda one: one[:3])]


def note_success(target: Target) -> None:
    """Forget the failures of a provider that answers again."""
    if target.failures:
        Provider.objects.filter(pk=target.provider).update(failures=0, cooling_until=None)


def note_failure(target: Target, failure: UpstreamFailure) -> None:
    """Count it; a provider that keeps failing cools down: others are asked before it for LLM_COOL_SECONDS."""
    failed = Provider.objects.filter(pk=target.provider)
    failed.update(failures=F("failures") + 1)
    cooling = Now() + timedelta(seconds=failure.retry_after or settings.LLM_COOL_SECONDS)
    failed.filter(failures__gte=settings.LLM_COOL_AFTER_FAILURES).update(cooling_until=cooling)


def may_stop(targets: Iterable[Target]) -> bool:
    """Whether a caller's leaving stops the provider; where one is to be read to the end, none is stopped early."""
    return all(target.on_disconnect == OnDisconnect.CANCEL for target in targets)
