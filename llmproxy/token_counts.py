"""Counts the tokens of a prompt: at a provider that can count them, else by an estimate.

A count is free, so it never waits long, and a failure is no reason to blame a provider.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from accounts.toolbox.headers import TRACE_ID
from llmproxy.admission.free_requests import FreeAdmission
from llmproxy.exceptions import UpstreamFailure, UpstreamRejected
from llmproxy.http1.client import Call, finish
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.routes.token_counts import TokenCount
from llmproxy.upstream import exchange, targets
from llmproxy.upstream.failures import ProviderRequest
from llmproxy.upstream.refusals.verdicts import NOT_SERVED
from llmproxy.upstream.targets import Target

logger = logging.getLogger(__name__)

LEAST_SECONDS = 0.5  # with less time left, no other provider is asked


@dataclass(frozen=True, slots=True)
class Count:
    """The tokens of a prompt; `is_estimated` is True if no provider has counted them."""

    tokens: int
    is_estimated: bool


class _Unable:
    """The deployments that cannot count, by provider, model and path; asked again after a while."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._until: dict[tuple[int, str, str], float] = {}

    def has(self, key: tuple[int, str, str]) -> bool:
        return self._until.get(key, 0) > time.monotonic()

    def add(self, key: tuple[int, str, str]) -> None:
        if len(self._until) >= self._most:
            self._until.clear()
        self._until[key] = time.monotonic() + settings.LLM_COUNT_RETRY_SECONDS

    def clear(self) -> None:
        self._until.clear()


unable = _Unable()


def count_tokens(
    admission: FreeAdmission,
    request: CompletionRequest,
    *,
    route: TokenCount,
    trace_id: str,
    passed_headers: Mapping[str, str],
) -> Count:
    """Ask the providers of the model in order, within LLM_COUNT_SECONDS; else estimate.

    Raises UpstreamRejected for a prompt that a provider refuses.
    """
    until = time.monotonic() + settings.LLM_COUNT_SECONDS
    headers = {TRACE_ID: trace_id, **passed_headers}
    for target in _choose_targets(admission, route):
        if (seconds := until - time.monotonic()) < LEAST_SECONDS:
            break
        name = target.upstream_name or admission.model
        body = request.upstream_body(model=name, max_tokens=0)
        try:
            provider_request = ProviderRequest(target, route.endpoint, admission.model, body)
            return Count(_ask(provider_request, route, headers, seconds), is_estimated=False)
        except UpstreamRejected:
            raise
        except UpstreamFailure as failure:
            if failure.provider_status in NOT_SERVED:
                unable.add((target.provider, name, route.upstream_path))
            detail = target.hide_key(failure.detail)
            logger.info("provider %s did not count tokens: %s", target.slug, detail)
    return Count(max(admission.prompt_tokens, 1), is_estimated=True)


def _choose_targets(admission: FreeAdmission, route: TokenCount) -> list[Target]:
    """The targets to ask, in order, without those that cannot count or are cooling down."""
    ordered = [
        target
        for target in targets.draw_order(admission.targets)
        if not target.is_cooling
        and target.key_problem is None
        and not unable.has(
            (target.provider, target.upstream_name or admission.model, route.upstream_path)
        )
    ]
    return ordered[: settings.LLM_MAX_ATTEMPTS]


def _ask(
    provider_request: ProviderRequest, route: TokenCount, headers: Mapping[str, str], seconds: float
) -> int:
    """Raises UpstreamFailure, also if `seconds` are over before the answer is there."""
    call, until = Call(), time.monotonic() + seconds
    response = finish(exchange.post(provider_request, route.upstream_path, headers, call, seconds))
    left = max(until - time.monotonic(), LEAST_SECONDS)
    return route.read_count(
        exchange.read_json(response, route.is_answer, call, provider_request, left)
    )
