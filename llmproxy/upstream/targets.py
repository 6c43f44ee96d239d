"""The providers that can serve a completion, their order, and the note of success or failure."""

import logging
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.conf import settings
from django.db import Error, connection
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest, Now

from accounts.database.faults import find_fault
from llmproxy import provider_keys
from llmproxy.exceptions import UpstreamFailure
from llmproxy.models import ENVIRONMENT, Deployment, Provider
from llmproxy.models.choices import LimitSpelling, OnDisconnect
from llmproxy.models.providers import MAX_ERROR_LENGTH
from llmproxy.upstream.refusals import confidential

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Target:
    """A model's deployment at one provider, as read by the statement that admitted the completion.

    `provider` and `deployment` are the ids of the rows. `failures` counts those in a row until now.
    After too many of them the provider `is_cooling`, and others are asked before it. `refused` are
    the parameters that the deployment has refused lately. It gets the unknown parameters in
    `forwarded_parameters`. `provider_prices` is the text of the column of the deployment.
    """

    provider: int
    slug: str
    base_url: str
    encrypted_key: str
    key_header: str
    deployment: int = 0
    limit_spelling: str = LimitSpelling.AUTO
    refused: Sequence[str] = ()
    upstream_name: str = ""
    proxy: str = ""
    encrypted_proxy_login: str = ""
    order: int = 0
    weight: int = 1
    connect_seconds: int | None = None
    first_byte_seconds: int | None = None
    idle_seconds: int | None = None
    on_disconnect: str = "cancel"
    drain_seconds: int = 0
    failures: int = 0
    is_cooling: bool = False
    forwarded_parameters: Sequence[str] = ()
    provider_prices: str = ""

    @classmethod
    def from_provider(cls, row: Provider) -> "Target":
        """A target without a model, for questions about the provider itself."""
        return cls(
            provider=row.pk,
            slug=row.slug,
            base_url=row.base_url,
            encrypted_key=row.encrypted_key,
            key_header=row.own_key_header or row.key_header,
            proxy=row.proxy,
            encrypted_proxy_login=row.encrypted_proxy_login,
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
    def completion(self) -> float:
        """The seconds that an answer may take: it may be silent for its idle seconds at least."""
        limit: float = settings.LLM_COMPLETION_SECONDS
        return max(limit, self.idle)

    @property
    def drains(self) -> bool:
        """Whether its answer is read on for `drain_seconds` after the caller has disconnected."""
        return self.on_disconnect == OnDisconnect.DRAIN

    @property
    def url(self) -> str:
        return (
            settings.LLM_UPSTREAM_BASE_URL
            if self.slug == ENVIRONMENT
            else self.base_url.rstrip("/")
        )

    @property
    def proxy_url(self) -> str:
        """Its own proxy with the login, DIRECT, or empty for the environment's."""
        if not self.encrypted_proxy_login or "://" not in self.proxy:
            return self.proxy
        login = _decrypt_key(self.encrypted_proxy_login)
        user, _sign, password = login.partition(":")
        return self.proxy.replace("://", f"://{quote(user, '')}:{quote(password, '')}@", 1)

    @property
    def key(self) -> str:
        """The provider's API key in plain text. Raises KeyUnreadable."""
        return (
            settings.LLM_UPSTREAM_API_KEY
            if self.slug == ENVIRONMENT
            else _decrypt_key(self.encrypted_key)
        )

    @property
    def key_problem(self) -> str | None:
        """Why its key cannot be sent, for the operator; None if the key is fine."""
        try:
            key = self.key
            _decrypt_key(self.encrypted_proxy_login)
        except provider_keys.KeyUnreadable as unreadable:
            return str(unreadable)
        return (
            None
            if key.isascii() and (key.isprintable() or not key)
            else "its key is not printable ASCII"
        )

    def hide_key(self, text: str) -> str:
        """A provider's text without the key: some providers repeat the key that we sent."""
        try:
            key = self.key
        except provider_keys.KeyUnreadable:
            return text
        return confidential.hide_key(text, key)


@lru_cache(maxsize=1000)
def _decrypt_key(stored: str) -> str:
    return provider_keys.decrypt(stored)


def draw_order(targets: Iterable[Target]) -> list[Target]:
    """Sort targets by `order`; those of equal order are drawn by weight. Cooling ones come last.

    Weighted random sampling without replacement, after Efraimidis and Spirakis (2006).
    """
    ranked = []
    for target in targets:
        draw = random.random() ** (1 / target.weight)  # noqa: S311 – not a secret
        ranked.append((target.is_cooling, target.order, -draw, target))
    return [target for *_, target in sorted(ranked, key=lambda entry: entry[:3])]


def note_success(target: Target) -> None:
    """Set the count of failures back to 0. A pause by an administrator goes on."""
    if target.failures:
        is_held_back = When(held_back_until__gt=Now(), then=F("held_back_until"))
        _update(
            target,
            failures=0,
            cooling_until=Case(is_held_back, default=None),
            failing_caller="",
            fails_for_others=False,
        )


def note_failure(target: Target, failure: UpstreamFailure, *, caller: str) -> None:
    """Count a failure.

    After LLM_COOL_AFTER_FAILURES in a row the provider cools down: others are asked before it for
    LLM_COOL_SECONDS. Failures that a request may have caused count for that only if `caller` is not
    the only one whose requests fail. A provider that sent Retry-After cools down at once, for that
    long.
    """
    cooling_until = Now() + timedelta(seconds=failure.cool_seconds or settings.LLM_COOL_SECONDS)
    failures_before = 0 if failure.cool_seconds else settings.LLM_COOL_AFTER_FAILURES - 1
    # In one UPDATE all columns have the values from before it.
    is_blamed = (
        Q(fails_for_others=True) | ~Q(failing_caller__in=("", caller))
        if failure.is_of_request
        else Q(pk=target.provider)
    )
    _update(
        target,
        failures=F("failures") + 1,
        failing_caller=Case(When(failing_caller="", then=Value(caller)), default="failing_caller"),
        fails_for_others=Case(When(is_blamed, then=True), default=False),
        cooling_until=Case(
            When(
                is_blamed & Q(failures__gte=failures_before),
                then=Greatest(cooling_until, F("cooling_until")),
            ),
            default=F("cooling_until"),
        ),
        last_failure_at=Now(),
        last_error=failure.code[:MAX_ERROR_LENGTH],
    )


def note_refused(target: Target, refused: Collection[str]) -> None:
    """Remember which parameters the deployment has refused, for all workers."""
    rows = Deployment.objects.filter(pk=target.deployment)
    _write(target, rows, refused_parameters=sorted(refused), refused_at=Now())


def _update(target: Target, **values: Any) -> None:
    _write(target, Provider.objects.filter(pk=target.provider), **values)


def _write(target: Target, rows: "QuerySet[Any]", **values: Any) -> None:
    """Update the row; if the database cannot, log that instead of failing the answer.

    The connection goes back to the pool.
    """
    try:
        rows.update(**values)
    except Error as error:
        if find_fault(error) is None:
            raise
        logger.warning("how provider %s is doing could not be noted: %r", target.slug, error)
    finally:
        if not connection.in_atomic_block:
            connection.close()
