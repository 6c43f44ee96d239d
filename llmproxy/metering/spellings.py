"""How providers spell the counts of a usage object: one row for each count.

A count that is new needs one more row here, and the same name in `Usage` and PRICE_KINDS
(docs/adding-a-price-kind.md). Sources: the API references of OpenAI, Azure, Anthropic, Google,
Amazon Bedrock, Mistral, Cohere, DeepSeek, Moonshot, Zhipu, Alibaba, MiniMax, xAI, Groq, Perplexity,
Together, Fireworks, Cerebras, SambaNova, OpenRouter, LiteLLM, vLLM, llama.cpp, Ollama, Voyage and
Jina.
"""

import math
from collections.abc import Iterator
from typing import Any

Counts = dict[str, int]

MAX_COUNT = 2**40  # a larger number is no count; a column could not hold it
MAX_ITERATIONS = 1000
# Objects inside a usage that break its counts down. The first three are those of a prompt.
OF_PROMPT = """
    prompt_tokens_details input_tokens_details input_token_details prompt_token_details
    promptTokensDetails inputTokensDetails inputTokenDetails
"""
OF_COMPLETION = """
    completion_tokens_details output_tokens_details output_token_details completion_token_details
    completionTokensDetails outputTokensDetails outputTokenDetails candidatesTokensDetails
"""
OF_COHERE = "billed_units tokens"

# A count, the objects inside the usage that contain it ("" for the usage itself), and its names.
#
# prompt_tokens                          includes the tokens of the caches
# input_tokens                           may leave them out, see the next two rows
# cached_tokens, cache_write_tokens      are parts of either
# read_tokens, written_tokens            are beside input_tokens, but parts of prompt_tokens
# apart_tokens, precached_tokens         of the prompt, beside all other counts of it
# thought_tokens                         of the completion, beside completion_tokens
# reasoning_tokens                       a part of completion_tokens
SPELLINGS: tuple[tuple[str, str, str], ...] = (
    (
        "prompt_tokens",
        "",
        """
        prompt_tokens promptTokens promptTokenCount prompt_token_count prompt_eval_count
        tokens_evaluated PromptTokens
        """,
    ),
    (
        "input_tokens",
        "",
        "input_tokens inputTokens inputTokenCount input_token_count InputTokens prompt_n",
    ),
    ("input_tokens", OF_COHERE, "input_tokens"),
    ("audio_prompt_tokens", OF_PROMPT, "audio_tokens audioTokens AUDIO audio"),
    ("image_prompt_tokens", OF_PROMPT, "image_tokens imageTokens IMAGE image"),
    ("audio_completion_tokens", OF_COMPLETION, "audio_tokens audioTokens AUDIO audio"),
    ("image_completion_tokens", OF_COMPLETION, "image_tokens imageTokens IMAGE image"),
    ("audio_seconds", "", "prompt_audio_seconds"),
    ("missed_tokens", "", "prompt_cache_miss_tokens promptCacheMissTokens"),
    ("apart_tokens", "", "toolUsePromptTokenCount tool_use_prompt_token_count"),
    ("precached_tokens", "", "precached_prompt_tokens"),
    (
        "completion_tokens",
        "",
        """
        completion_tokens completionTokens output_tokens outputTokens outputTokenCount
        output_token_count candidatesTokenCount candidates_token_count responseTokenCount
        generated_token_count generation_token_count eval_count predicted_n tokens_predicted
        CompletionTokens OutputTokens
        """,
    ),
    ("completion_tokens", OF_COHERE, "output_tokens"),
    ("thought_tokens", "", "thoughtsTokenCount thoughts_token_count"),
    ("reasoning_tokens", "", "reasoning_tokens reasoningTokens"),
    (
        "reasoning_tokens",
        OF_COMPLETION,
        "reasoning_tokens reasoningTokens thinking_tokens reasoning",
    ),
    (
        "total_tokens",
        "",
        "total_tokens totalTokens totalTokenCount total_token_count TotalTokens",
    ),
    (
        "cached_tokens",
        "",
        """
        cached_tokens cachedTokens prompt_cache_hit_tokens promptCacheHitTokens num_cached_tokens
        cachedContentTokenCount cached_content_token_count cachedInputTokens cached_input_tokens
        cached_prompt_tokens cached_prompt_text_tokens prompt_cached_tokens input_cached_tokens
        cache_hit_tokens cacheHitTokens CachedTokens
        """,
    ),
    (
        "cached_tokens",
        OF_PROMPT,
        """
        cached_tokens cachedTokens cache_read_input_tokens cache_read_tokens cache_read
        cacheReadTokens
        """,
    ),
    (
        "cache_write_tokens",
        OF_PROMPT,
        """
        cache_write_tokens cacheWriteTokens cache_creation_input_tokens cache_creation_tokens
        cache_creation
        """,
    ),
    (
        "read_tokens",
        "",
        """
        cache_read_input_tokens cacheReadInputTokens cacheReadInputTokenCount cacheReadTokens
        cache_read_tokens cache_n
        """,
    ),
    (
        "written_tokens",
        "",
        """
        cache_creation_input_tokens cache_write_input_tokens cacheWriteInputTokens
        cacheWriteInputTokenCount cacheCreationInputTokens cacheWriteTokens cache_write_tokens
        """,
    ),
    ("written_5m_tokens", "cache_creation cacheDetails", "ephemeral_5m_input_tokens 5m"),
    ("written_1h_tokens", "cache_creation cacheDetails", "ephemeral_1h_input_tokens 1h"),
)


def _build_tables() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The count of each name in a usage, and in each object that it contains."""
    own: dict[str, str] = {}
    inner: dict[str, dict[str, str]] = {}
    for count, groups, names in SPELLINGS:
        for table in [inner.setdefault(group, {}) for group in groups.split()] or [own]:
            table.update(dict.fromkeys(names.split(), count))
    return own, inner


NAMES, GROUPS = _build_tables()


def read_counts(usage: dict[str, Any]) -> Counts:
    """The counts in a usage object of any provider, under the names of SPELLINGS.

    A count that cannot be read is missing. Of two spellings of one count the larger is taken. A
    usage that contains no count itself may contain an object that does.
    """
    counts = _read_members(usage)
    for name, value in usage.items() if not counts else ():
        if isinstance(value, dict) and name not in GROUPS:
            merge(counts, _read_members(value))
    return counts


def _read_members(usage: dict[str, Any]) -> Counts:
    counts: Counts = {}
    for name, value in usage.items():
        if (count := NAMES.get(name)) is not None:
            _keep_largest(counts, count, value)
        elif (group := GROUPS.get(name)) is not None:
            # Cohere's `tokens` include its own template. Only its `billed_units` are billed.
            if name != "tokens" or not isinstance(usage.get("billed_units"), dict):
                for inner, number in _list_entries(value):
                    if inner in group:
                        _keep_largest(counts, group[inner], number)
        elif name == "iterations":
            merge(counts, _sum_iterations(value))
    return counts


def merge(counts: Counts, more: Counts) -> None:
    """Add `more` to `counts`: of each count the larger stays, so a zero replaces nothing."""
    for count, number in more.items():
        if number > counts.get(count, -1):
            counts[count] = number


def parse_count(value: Any) -> int | None:
    """The value if it is a count: an integer, or a float without a fraction, below MAX_COUNT.

    None for text too, also if it consists of digits.
    """
    if type(value) is float and math.isfinite(value) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < MAX_COUNT else None


def _keep_largest(counts: Counts, count: str, value: Any) -> None:
    number = parse_count(value)
    if number is not None and number > counts.get(count, -1):
        counts[count] = number


def _list_entries(group: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of an object that breaks a count down.

    One of Alibaba's contains a further one, `cache_creation`, of which the sum is taken. In a list
    each object names its count: by its `modality` (Google), or by its `ttl` (Bedrock).
    """
    if isinstance(group, dict):
        for name, value in group.items():
            if isinstance(value, dict) and (parts := GROUPS.get(name)) is not None:
                yield name, sum(parse_count(value.get(part)) or 0 for part in parts)
            else:
                yield name, value
    elif isinstance(group, list):
        for entry in group:
            if isinstance(entry, dict):
                name = entry.get("modality", entry.get("ttl"))
                yield str(name), entry.get("tokenCount", entry.get("inputTokens"))


def _sum_iterations(iterations: Any) -> Counts:
    """The sums over Anthropic's `iterations`: the usage itself leaves out those of a compaction.

    Source: Anthropic API reference, "Compaction".
    """
    sums: Counts = {}
    for iteration in iterations[:MAX_ITERATIONS] if isinstance(iterations, list) else ():
        if isinstance(iteration, dict):
            for name, value in iteration.items():
                if (count := NAMES.get(name)) is not None:
                    sums[count] = sums.get(count, 0) + (parse_count(value) or 0)
    return sums
