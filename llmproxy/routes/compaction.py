"""`/v1/responses/compact`: a long conversation becomes a short one, which only its provider reads.

Source: OpenAI API reference, "Compact a response".
"""

from django.utils.translation import gettext as _

from llmproxy.exceptions import CompactionNotSupported, GatewayRefusal, UpstreamFailure
from llmproxy.metering.compaction_meter import CompactionMeter
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.routes.responses import Responses
from llmproxy.upstream.refusals.verdicts import NOT_SERVED

# Members of every other request of this dialect, which a provider refuses here.
NOT_SENT = ("stream", "store")


class Compaction(Responses):
    """Always JSON. Only the provider decides how long the answer is."""

    upstream_path = "/responses/compact"
    meter = CompactionMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        request = super().parse(raw, stream=False)
        request.add_nothing()
        for name in NOT_SENT:
            request.body.pop(name, None)
        request.limit = ""
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
