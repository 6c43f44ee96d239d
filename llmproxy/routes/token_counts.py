"""`/v1/messages/count_tokens` and `/v1/responses/input_tokens`: the size of a prompt in tokens.

A prompt is checked and measured as its completion would be, so that both have the same errors.
Sources: Anthropic API reference, "Count tokens in a Message"; OpenAI API reference, "Get input
token counts".
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from llmproxy import lenient_json
from llmproxy.metering.spellings import parse_count
from llmproxy.models import Endpoint
from llmproxy.routes import request_body
from llmproxy.routes.base import MESSAGES as MESSAGES_DIALECT
from llmproxy.routes.base import Route
from llmproxy.routes.messages import MESSAGES
from llmproxy.routes.parameters import MAX_TOKENS
from llmproxy.routes.prompts import take_prompt
from llmproxy.routes.request_body import Body, CompletionRequest
from llmproxy.routes.responses import RESPONSES


class TokenCount(Route):
    """A route that counts the tokens of a prompt for `completion`, a route of completions.

    * `counted`: the parameters that take part in the count. Providers refuse any other one.
    * `filled_in`: what the body of a completion needs and that of a count does not have.
    * `answered`: further members of the answer.
    """

    completion: ClassVar[Route]
    counted: ClassVar[frozenset[str]]
    filled_in: ClassVar[Body]
    answered: ClassVar[Body] = {}

    def passed_headers(
        self, sent: Mapping[str, str], request: CompletionRequest | None = None
    ) -> dict[str, str]:
        return self.completion.passed_headers(sent, request)

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = {**self.filled_in, **request_body.parse_object(raw)}
        request_body.measure_json(body)
        request = self.completion.parse(lenient_json.encode(body), stream=False)
        return take_prompt(request, self.counted)

    def is_answer(self, answer: dict[str, Any]) -> bool:
        return self.read_count(answer) > 0

    def read_count(self, answer: dict[str, Any]) -> int:
        """Return the count in a provider's answer; 0, which no prompt has, if it has none."""
        return parse_count(answer.get("input_tokens")) or 0

    def build_answer(self, tokens: int) -> Body:
        return {**self.answered, "input_tokens": tokens}


class MessageTokenCount(TokenCount):
    endpoint = Endpoint.MESSAGES
    upstream_path = "/messages/count_tokens"
    dialect = MESSAGES_DIALECT
    completion = MESSAGES
    counted = frozenset(
        """
        messages system tools tool_choice thinking output_config context_management
        """.split()  # noqa: SIM905
    )
    filled_in: ClassVar[Body] = {"max_tokens": MAX_TOKENS}


class ResponseTokenCount(TokenCount):
    endpoint = Endpoint.RESPONSES
    upstream_path = "/responses/input_tokens"
    completion = RESPONSES
    counted = frozenset(
        """
        input instructions parallel_tool_calls reasoning text tool_choice tools truncation
        """.split()  # noqa: SIM905
    )
    filled_in: ClassVar[Body] = {"input": ""}
    answered: ClassVar[Body] = {"object": "response.input_tokens"}


MESSAGE_TOKEN_COUNT = MessageTokenCount()
RESPONSE_TOKEN_COUNT = ResponseTokenCount()
