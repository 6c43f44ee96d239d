"""`/v1/responses/compact`: a long conversation becomes a short one, which only its provider reads.

Source: OpenAI API reference, "Compact a response".
"""

from django.utils.translation import gettext as _

from llmproxy.exceptions import CompactionNotSupported, GatewayRefusal, UpstreamFailure
from llmproxy.metering.compaction_meter import CompactionMeter
from llmproxy.routes.prompts import take_prompt
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.routes.responses import Responses
from llmproxy.upstream.refusals.verdicts import NOT_SERVED

SENT = frozenset(
    """
    input instructions parallel_tool_calls prompt_cache_key prompt_cache_options
    prompt_cache_retention reasoning text tools
    """.split()  # noqa: SIM905
)
# What clients send with every request of this dialect, and means nothing here.
MEANINGLESS = frozenset({"include", "model", "store", "stream"})


class Compaction(Responses):
    """Always JSON. Only the provider decides how long the answer is."""

    upstream_path = "/responses/compact"
    meter = CompactionMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        completion = super().parse(raw, stream=False)
        request = take_prompt(completion, SENT)
        request.max_tokens = completion.max_tokens  # nobody pays for more
        request.dropped += sorted(completion.body.keys() - SENT - MEANINGLESS)
        if completion.max_tokens is not None:
            request.dropped.append(completion.limit)
        return request

    def explain_failure(self, failure: UpstreamFailure) -> GatewayRefusal:
        if failure.provider_status not in NOT_SERVED:
            return failure
        return CompactionNotSupported(
            _(
                "No provider of this model can compact a conversation. Ask for a summary with "
                "/v1/responses instead."
            )
        )


COMPACTION = Compaction()
