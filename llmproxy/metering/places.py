"""Where usage stands in an answer or a chunk: mostly in `usage`, but providers have other places.

Only a provider's own objects are searched. An object that repeats a part of the request could
contain counts that the caller wrote.
"""

from collections.abc import Iterator
from typing import Any

from llmproxy.metering.spellings import NAMES

Answer = dict[str, Any]

# Members of a chunk or answer of OpenAI's dialects that contain no usage, and `usage` itself.
PLAIN = frozenset(
    """
    usage id object created model choices system_fingerprint service_tier provider obfuscation
    nonce data prompt_filter_results prompt_token_ids prompt_logprobs kv_transfer_params citations
    search_results related_questions request_id warning error
    """.split()  # noqa: SIM905
)
# The same, of the events of Anthropic's.
PLAIN_EVENT = frozenset({"usage", "type", "index", "delta", "content_block", "message", "error"})
USAGES = (
    "usage usageMetadata usage_metadata token_usage tokenUsage usage_info usageInfo Usage".split()  # noqa: SIM905
)
# Objects that contain the counts themselves: llama.cpp, Bedrock, Cohere.
METRICS = frozenset(
    """
    timings metrics meta stats statistics amazon-bedrock-invocationMetrics invocationMetrics
    """.split()  # noqa: SIM905
)
# Objects by provider, in which each provider has its own: AI SDK.
BY_PROVIDER = frozenset({"provider_metadata", "providerMetadata"})
REPEATED = frozenset(
    "metadata request prompt input inputs messages tools params parameters body echo text".split()  # noqa: SIM905
)


def find_usages(answer: Answer) -> Iterator[Answer]:
    """The usage objects among the members of an answer or a chunk."""
    if PLAIN.issuperset(answer) and isinstance(usage := answer.get("usage"), dict):
        yield usage  # nearly always
        return
    yield from list_own_usages(answer)
    if any(name in NAMES for name in answer):
        yield {name: value for name, value in answer.items() if name in NAMES}  # Ollama
    for name, value in answer.items():
        if name in PLAIN or name in USAGES or name in REPEATED or not isinstance(value, dict):
            continue
        if name in METRICS:
            yield value
        yield from list_own_usages(value)
        for inner in value.values() if name in BY_PROVIDER else ():
            if isinstance(inner, dict):
                yield from list_own_usages(inner)


def list_own_usages(member: Answer) -> Iterator[Answer]:
    """The usage objects that are members of this object themselves."""
    for name in USAGES:
        value = member.get(name)
        for usage in value if isinstance(value, list) else (value,):
            if isinstance(usage, dict):
                yield usage
