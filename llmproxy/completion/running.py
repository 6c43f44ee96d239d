"""One completion from its admission to its receipt. Its hold is settled in every case."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from math import inf
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from accounts.toolbox.headers import TRACE_ID
from accounts.toolbox.shutdown import shutdown
from llmproxy import lenient_json
from llmproxy.admission.admit import Admission
from llmproxy.completion import disconnects, settlement
from llmproxy.completion.settlement import Outcome
from llmproxy.exceptions import (
    CallerLeft,
    ServerRestarting,
    UpstreamError,
    UpstreamFailure,
    UpstreamRejected,
    UpstreamUnavailable,
)
from llmproxy.http1.client import Call, Response, Waiting, finish
from llmproxy.metering import operator_costs
from llmproxy.metering.meter import Reading
from llmproxy.models import Completion
from llmproxy.models.providers import MAX_ERROR_LENGTH
from llmproxy.routes.base import Receipt
from llmproxy.upstream import exchange, targets
from llmproxy.upstream.failures import ProviderRequest
from llmproxy.upstream.spellings import Spelling, Turns
from llmproxy.upstream.targets import Target

logger = logging.getLogger(__name__)

Read = TypeVar("Read")
Status = Completion.Status

RESTART_SECONDS = 5  # after which a caller may ask again
LEAST_SECONDS = 1  # with less time left, no other provider is tried


class Run:
    """An admitted completion while it runs. Only `settle` charges, once."""

    def __init__(self, admission: Admission) -> None:
        self.admission, media = admission, admission.request.media
        self.meter = admission.route.meter(
            prompt_bytes=admission.request.prompt_bytes,
            media_tokens=media.least_tokens if media else 0,
            prompt_ids=admission.request.prompt_ids,
            echoed_bytes=admission.request.echoed_bytes,
            certain_tokens=admission.certain_tokens + (media.slack_tokens if media else 0),
            max_completion_tokens=admission.max_tokens * admission.request.choices,
        )
        # The caller of a stream gets a comment that often while there is no answer.
        self._turn_seconds = settings.LLM_KEEP_ALIVE_SECONDS if admission.request.stream else inf
        self.call = Call(self._turn_seconds)  # the present or the last one
        self.is_stopped = False
        self.has_left = False  # the caller has disconnected
        self.is_restarting = False  # the worker shuts down and has stopped this completion
        self.status = Status.INTERRUPTED
        self.error = ""
        self.attempts: list[dict[str, Any]] = []
        self.target: Target | None = None  # the last one that was asked
        self.first_byte: float | None = None  # its moment, by the monotonic clock
        self.receipt: Receipt | None = None
        shutdown.running.add(self)

    def ask(self, read: Callable[[Response, ProviderRequest], Waiting[Read]]) -> Waiting[Read]:
        """Ask the providers in order; return what `read` makes of the first good response.

        Yields when the caller of a stream should be told that the answer still takes time. All
        attempts together wait no longer than the longest first-byte limit among the providers
        (docs/decisions/0017). Raises the last provider's UpstreamFailure.
        """
        if not connection.in_atomic_block:
            connection.close()  # it goes back to the pool while the provider works
        ordered = self._choose_targets()
        until = time.monotonic() + max(target.first_byte for target in ordered)
        for left, target in zip(range(len(ordered) - 1, -1, -1), ordered, strict=True):
            try:
                return (yield from self._attempt(target, read, until - time.monotonic()))
            except UpstreamFailure as failure:
                if self.has_left:
                    raise CallerLeft(
                        _("The connection was closed before the answer arrived.")
                    ) from failure
                if self.is_restarting:
                    raise build_restart() from failure
                is_late = until - time.monotonic() < LEAST_SECONDS
                if isinstance(failure, UpstreamRejected) or is_late or not left:
                    raise
        raise AssertionError("a model that was admitted has a provider")

    def _choose_targets(self) -> list[Target]:
        """The targets to ask, in order, at most LLM_MAX_ATTEMPTS.

        A provider whose key cannot be sent is left out, unless that is true for all of them.
        """
        ordered = targets.draw_order(self.admission.targets)
        usable = [target for target in ordered if target.key_problem is None]
        for target in ordered if usable else []:
            if target.key_problem is not None:
                logger.error("provider %s cannot be asked: %s", target.slug, target.key_problem)
                self.attempts.append(
                    {"provider": target.slug, "error": UpstreamUnavailable.code, "ms": 0}
                )
        return (usable or ordered)[: settings.LLM_MAX_ATTEMPTS]

    def _attempt(
        self,
        target: Target,
        read: Callable[[Response, ProviderRequest], Waiting[Read]],
        seconds_left: float,
    ) -> Waiting[Read]:
        started, self.target = time.monotonic(), target
        attempt: dict[str, Any] = {"provider": target.slug, "error": ""}
        self.attempts.append(attempt)
        try:
            return (yield from self._ask_in_turns(target, read, attempt, started + seconds_left))
        except UpstreamFailure as failure:
            if failure.provider_status:
                attempt["status"] = failure.provider_status
            attempt["error"] = self._name_stop() or failure.code[:MAX_ERROR_LENGTH]
            self._note_failure(target, failure)
            raise
        finally:
            attempt["ms"] = settlement.milliseconds(started, time.monotonic())

    def _ask_in_turns(
        self,
        target: Target,
        read: Callable[[Response, ProviderRequest], Waiting[Read]],
        attempt: dict[str, Any],
        until: float,
    ) -> Waiting[Read]:
        """Ask one provider, again in another spelling if it refuses a parameter of the gateway."""
        request = self.admission.request
        turns = Turns(target, limit=request.limit, names=request.limit_names, added=request.added)
        while True:
            try:
                answer = yield from self._post(target, turns.spelling, read, until)
            except UpstreamFailure as failure:
                is_late = until - time.monotonic() < LEAST_SECONDS
                if self.is_stopped or is_late or not turns.take_next(failure):
                    if (told := turns.choose_failure(failure)) is not failure:
                        raise told from failure
                    raise
                attempt["respelled"] = sorted(turns.spelling.refused)
            else:
                if turns.has_learned:
                    targets.note_refused(target, turns.spelling.refused)
                return answer

    def _post(
        self,
        target: Target,
        spelling: Spelling,
        read: Callable[[Response, ProviderRequest], Waiting[Read]],
        until: float,
    ) -> Waiting[Read]:
        admission = self.admission
        self.call = Call(self._turn_seconds, self.call)
        if self.is_stopped:
            self.call.stop()
        admission.request.forwarded = target.forwarded_parameters
        body = admission.request.upstream_body(
            model=target.upstream_name or admission.model,
            max_tokens=admission.max_tokens,
            limit=spelling.limit,
            left_out=spelling.left_out,
        )
        request = ProviderRequest(target, admission.route.endpoint, admission.model, body)
        headers = {TRACE_ID: admission.trace_id, **admission.passed_headers}
        path = admission.route.upstream_path
        seconds = min(target.first_byte, until - time.monotonic())
        response = yield from exchange.post(request, path, headers, self.call, seconds)
        try:
            return (yield from read(response, request))
        except UpstreamFailure as failure:
            failure.provider_status = failure.provider_status or response.status
            raise

    def _name_stop(self) -> str:
        """The code of what has stopped the completion; empty if nothing has."""
        if self.is_restarting and not self.has_left:
            return ServerRestarting.code
        return CallerLeft.code if self.is_stopped else ""

    def _note_failure(self, target: Target, failure: UpstreamFailure) -> None:
        """Count a provider's failure and log it with the provider's own message."""
        if self.is_stopped:
            return
        if failure.counts_for_health and not isinstance(failure, UpstreamRejected):
            targets.note_failure(target, failure, caller=self._caller)
        logger.warning(
            "completion %s failed at provider %s: %s %s",
            self.admission.generation_id,
            target.slug,
            failure.code,
            target.hide_key(failure.detail),
        )

    @property
    def _caller(self) -> str:
        """Who makes the request: the user, or the request itself if it is made for nobody."""
        if self.admission.user is not None:
            return f"user:{self.admission.user}"
        body = lenient_json.encode(self.admission.request.body)
        return f"request:{sha256(body).hexdigest()[:32]}"

    def leave(self) -> float:
        """Note that the caller has disconnected; return the seconds until `stop` is due."""
        self.has_left = True
        return self.target.drain_seconds if self.target is not None and self.target.drains else 0

    def stop(self) -> None:
        """Hang up on the provider, and on each provider that is called after it."""
        self.is_stopped = True
        self.call.stop()

    def stop_for_restart(self) -> None:
        """Stop the completion, because this worker shuts down. Any thread may call this."""
        if not self.is_restarting:
            self.is_restarting = True
            self.stop()

    def observe(self, answer: Any) -> None:
        """Meter a chunk of the answer, or a whole JSON answer. Raises UpstreamError."""
        if self.first_byte is None:
            self.first_byte = time.monotonic()
        try:
            self.meter.observe(answer)
        except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
            raise UpstreamError(
                _("The provider's answer could not be read."), detail=repr(error)
            ) from error

    def fail(self, failure: UpstreamFailure) -> None:
        """Note that the completion has failed, unless the caller disconnected before."""
        if not self.has_left:
            self.status, self.error = Status.FAILED, failure.code[:MAX_ERROR_LENGTH]

    def fail_midway(self, failure: UpstreamFailure) -> None:
        """Like `fail`, for a failure after the answer has begun."""
        self.fail(failure)
        self.meter.is_broken = True
        if self.target is not None:
            self._note_failure(self.target, failure)
            self.attempts[-1]["error"] = self.error

    def settle(self, answer: Any = None) -> Receipt:
        """Capture the cost or release the hold, and write the receipt.

        A second call returns the same receipt.
        """
        if self.receipt is None:
            try:
                self.receipt = settlement.settle(self._build_outcome(), answer)
            finally:
                shutdown.running.discard(self)
            if self.status == Status.COMPLETED and self.target is not None:
                # Only a whole answer counts: a provider whose answers break off should cool down.
                targets.note_success(self.target)
        return self.receipt

    def _build_outcome(self) -> Outcome:
        return Outcome(
            admission=self.admission,
            reading=self._read(),
            upstream_id=self.meter.upstream_id,
            finish_reason=self.meter.finish_reason,
            provider=self.target.slug if self.target else "",
            status=self.status,
            error=self.error,
            attempts=self.attempts,
            first_byte=self.first_byte,
            told_cost=self.meter.provider_cost,
            provider_prices=self.target.provider_prices if self.target else "",
        )

    def _read(self) -> Reading:
        """The usage of the answer, with the things in the request that can have a price.

        Like the prompt, these are not charged if nothing was generated and nothing reported.
        """
        reading, media = self.meter.reading(), self.admission.request.media
        things = dict(media.counts) if media else {}
        if "request" in self.admission.prices.by_kind:
            things["requests"] = 1
        if reading.source == Completion.UsageSource.NONE or not (things or reading.usage.extras):
            return reading
        reported, source = reading.usage.extras, reading.source
        # The provider knows better how many seconds there were, but cannot invent them.
        seconds = reported.get("audio_seconds", 0)
        if seconds and not (media and media.believes_seconds(seconds)):
            reported["audio_seconds"] = things.get("audio_seconds", 0)
            source = Completion.UsageSource.CAPPED if source == "exact" else source
        return Reading(replace(reading.usage, **{**things, **reported}), source)


def build_restart() -> ServerRestarting:
    """The failure that a caller is told of while this worker shuts down."""
    return ServerRestarting(
        _("The server is restarting. Send the request again in a moment."),
        detail="shutdown",
        retry_after=RESTART_SECONDS,
    )


def complete(admission: Admission, sock: Any = None) -> tuple[dict[str, Any], Receipt]:
    """The provider's JSON answer and its receipt. Raises UpstreamFailure; nothing is charged then.

    If the other end of `sock` closes meanwhile, the provider is stopped at once or read on for a
    while, as its row says.
    """
    run, answer = Run(admission), None
    try:
        with disconnects.watching(sock, run):
            answer = finish(run.ask(partial(_read_json, run)))
        run.observe(answer)
        if run.meter.has_costs:
            answer = operator_costs.withhold(answer)
        run.status = Status.INTERRUPTED if run.has_left else Status.COMPLETED
    except UpstreamFailure as failure:
        run.fail(failure)
        raise
    finally:
        run.call.finish()
        receipt = run.settle(None if admission.request.is_rewritten else answer)
    return answer, receipt


def _read_json(run: Run, response: Response, request: ProviderRequest) -> Waiting[dict[str, Any]]:
    yield from ()  # the caller of a JSON answer cannot be told anything before it
    return exchange.read_json(response, run.admission.route.is_answer, run.call, request)
