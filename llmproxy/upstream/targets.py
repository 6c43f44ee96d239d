"""Whom to ask for a completion: the providers of its model, in order, and how they have been doing."""

import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Case, F, When
from django.db.models.functions import Greatest, Now

from llmproxy import provider_keys
from llmproxy.exceptions import UpstreamFailure
from llmproxy.models import ENVIRONMENT, Provider
from llmproxy.models.providers import MAX_ERROR_LENGTH, OnDisconnect

logger = logging.getLogger(__name__)


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
    def of(cls, row: Provider) -> "Target":
        """The provider alone, without a model."""
        return cls(
            provider=row.pk,
            slug=row.slug,
            base_url=row.base_url,
            encrypted_key=row.encrypted_key,
            key_header=row.key_header,
            connect_seconds=row.connect_seconds,
        )

    @property
    def connect(self) -> float:
        return self.connect_seconds or settings.LLM_CONNECT_SECONDS

    @property
    def first_byte(self) -> float:
        return self.first_byte_seconds or settings.LLM_FIRST_BYTE_SECONDS

    @property
    def idle(self) -> float:
        return self.idle_seconds or settings.LLM_IDLE_SECONDS

    @property
    def drains(self) -> bool:
        """Whether it is to be read on for `drain_seconds` when the caller leaves."""
        return self.on_disconnect == OnDisconnect.DRAIN

    @property
    def url(self) -> str:
        return (
            settings.LLM_UPSTREAM_BASE_URL
            if self.slug == ENVIRONMENT
            else self.base_url.rstrip("/")
        )

    @property
    def key(self) -> str:
        """The provider's API key in plain text; raises keys.KeyUnreadable."""
        return (
            settings.LLM_UPSTREAM_API_KEY
            if self.slug == ENVIRONMENT
            else _decrypted(self.encrypted_key)
        )

    @property
    def problem(self) -> str | None:
        """Why its key cannot be sent, for the operator; None if it can."""
        try:
            key = self.key
        except provider_keys.KeyUnreadable as unreadable:
            return str(unreadable)
        return (
            None
            if key.isascii() and (key.isprintable() or not key)
            else "its key is not printable ASCII"
        )

    def without_key(self, text: str) -> str:
        """What a provider said, for a log: some repeat the key that they were sent."""
        try:
            key = self.key
        except provider_keys.KeyUnreadable:
            return text
        return text.replace(key, "[our key]") if key else text


@lru_cache(maxsize=1000)
def _decrypted(stored: str) -> str:
    return provider_keys.decrypt(stored)


def in_order(targets: Iterable[Target]) -> list[Target]:
    """By order, among equals by chance with their weights; who is cooling down comes last.

    The chance is Efraimidis' and Spirakis' (2006): the first, and each next of those left, is drawn by weight.
    """
    drawn = []
    for target in targets:
        chance = random.random() ** (1 / target.weight)  # noqa: S311 – not a secret
        drawn.append((target.is_cooling, target.order, -chance, target))
    return [target for *_, target in sorted(drawn, key=lambda one: one[:3])]


def note_success(target: Target) -> None:
    """Forget the failures of a provider that answers again."""
    if target.failures:
        _note(target, failures=0, cooling_until=None)


def note_failure(target: Target, failure: UpstreamFailure) -> None:
    """Count it; a provider that keeps failing cools down: others are asked before it for LLM_COOL_SECONDS.

    One that says for how long it wants to be left alone cools down for that long at once.
    """
    counted = F("failures") + 1
    cooling = Now() + timedelta(seconds=failure.cool_seconds or settings.LLM_COOL_SECONDS)
    least = 0 if failure.cool_seconds else settings.LLM_COOL_AFTER_FAILURES - 1
    _note(
        target,
        failures=counted,
        cooling_until=Case(
            When(failures__gte=least, then=Greatest(cooling, F("cooling_until"))),
            default=F("cooling_until"),
        ),
        last_failure_at=Now(),
        last_error=failure.code[:MAX_ERROR_LENGTH],
    )


def _note(target: Target, **values: Any) -> None:
    """Never in the way of an answer: what cannot be written down is logged. No connection is kept for it."""
    try:
        Provider.objects.filter(pk=target.provider).update(**values)
    except (OperationalError, InterfaceError) as error:
        logger.warning("how provider %s is doing could not be noted: %r", target.slug, error)
    finally:
        if not connection.in_atomic_block:
            connection.close()
