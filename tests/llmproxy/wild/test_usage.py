"""Names and places of usage: each provider's own, on the routes where it is met.

Prompt 1 credit a token, cached 0.1, written to a cache 1.25, completion 5.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from accounts.models import User
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import DONE, Script, Upstream
from tests.llmproxy.wild.conftest import Ask
from tests.llmproxy.wild.rows import (
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    TEXT,
    Row,
    answer,
    closing,
    delta,
    event,
    last,
    run,
)

pytestmark = pytest.mark.django_db(transaction=True)


def counts(prompt: int = 20, completion: int = 5, **more: Any) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        **more,
    }


def vectors(**members: Any) -> Script:
    data = [{"object": "embedding", "index": 0, "embedding": [0.1]}]
    return script.raw(json.dumps({"object": "list", "data": data, **members}).encode())


def message(usage: Any, **members: Any) -> Script:
    return script.raw(json.dumps(scripted_routes.message() | {"usage": usage, **members}).encode())


def response(usage: Any, **members: Any) -> Script:
    whole = scripted_routes.response() | {"usage": usage, **members}
    return script.raw(json.dumps(whole).encode())


def stream(*pieces: bytes) -> Script:
    return script.events(delta("Hello"), *pieces, DONE)


OPENAI = counts(
    1000,
    50,
    prompt_tokens_details={"cached_tokens": 960, "audio_tokens": 0},
    completion_tokens_details={"reasoning_tokens": 30, "accepted_prediction_tokens": 0},
)
CACHES = [
    Row("OpenAI", "platform.openai.com", answer(OPENAI), 40 + 96 + 250),
    Row("OpenAI, streamed", "platform.openai.com", stream(last(), closing(OPENAI)), 386),
    Row(
        "OpenAI writes to its cache",
        "genai-prices: openai chat",
        answer(counts(1000, 5, prompt_tokens_details={"cache_write_tokens": 800})),
        200 + 1000 + 25,
    ),
    Row(
        "DeepSeek",
        "hermes-agent #61871",
        answer(
            counts(1000, 5, prompt_cache_hit_tokens=960, prompt_cache_miss_tokens=40),
        ),
        161,
    ),
    Row(
        "DeepSeek, hit alone, streamed",
        "hermes-agent #61871",
        stream(last(counts(1000, 5, prompt_cache_hit_tokens=960))),
        161,
    ),
    Row(
        "DeepSeek, miss alone",
        "own",
        answer(counts(1000, 5, prompt_cache_miss_tokens=40)),
        161,
    ),
    Row(
        "DeepSeek, hit and miss without a prompt",
        "own",
        answer(
            {
                "prompt_cache_hit_tokens": 960,
                "prompt_cache_miss_tokens": 40,
                "completion_tokens": 5,
            }
        ),
        161,
    ),
    Row("Moonshot", "pi #8075", answer(counts(1000, 5, cached_tokens=960)), 161),
    Row(
        "vLLM and Mistral",
        "docs.vllm.ai",
        answer(counts(1000, 5, num_cached_tokens=960)),
        161,
    ),
    Row(
        "LiteLLM in front of Anthropic",
        "litellm: anthropic/chat/transformation",
        answer(
            counts(
                1000,
                5,
                cache_read_input_tokens=900,
                cache_creation_input_tokens=60,
                prompt_tokens_details={"cached_tokens": 900, "cache_creation_tokens": 60},
            )
        ),
        40 + 90 + 75 + 25,
    ),
    Row(
        "a proxy whose prompt leaves the cache out, as the total says",
        "term-llm #424",
        answer(
            {
                "prompt_tokens": 40,
                "completion_tokens": 5,
                "total_tokens": 1005,
                "cache_read_input_tokens": 960,
            }
        ),
        161,
    ),
    Row(
        "a proxy whose prompt leaves the cache out, and no total",
        "own",
        answer(
            {"prompt_tokens": 40, "completion_tokens": 5, "cache_read_input_tokens": 960},
        ),
        161,
    ),
    Row(
        "a detail beside the prompt, as the total says",
        "own",
        answer(
            counts(1000, 5, prompt_tokens_details={"cached_tokens": 500}) | {"total_tokens": 1505}
        ),
        1075,
    ),
    Row(
        "Anthropic's names, a prompt larger than its cache",
        "own",
        answer({"input_tokens": 1000, "output_tokens": 5, "cache_read_input_tokens": 960}),
        1121,
    ),
    Row(
        "Anthropic's names on the chat route",
        "own",
        answer({"input_tokens": 40, "output_tokens": 5, "cache_read_input_tokens": 960}),
        161,
    ),
    Row(
        "both spellings, one of zeros",
        "new-api",
        answer(counts(1000, 5, input_tokens=0, output_tokens=0, cached_tokens=960)),
        161,
    ),
    Row(
        "both spellings, alike",
        "own",
        answer(counts(1000, 5, input_tokens=1000, output_tokens=5, cache_read_input_tokens=960)),
        161,
    ),
    Row(
        "Gemini's own names",
        "ai.google.dev",
        answer(
            None,
            usageMetadata={
                "promptTokenCount": 1000,
                "cachedContentTokenCount": 960,
                "candidatesTokenCount": 5,
                "totalTokenCount": 1005,
            },
        ),
        161,
    ),
    Row(
        "Gemini's Python names",
        "any-llm #664",
        answer(
            {
                "prompt_token_count": 22_729,
                "cached_content_token_count": 17_320,
                "candidates_token_count": 366,
                "thoughts_token_count": 91,
            }
        ),
        5409 + 1732 + 457 * 5,
    ),
    Row(
        "Bedrock",
        "docs.aws.amazon.com: TokenUsage",
        answer(
            {
                "inputTokens": 40,
                "outputTokens": 5,
                "totalTokens": 1005,
                "cacheReadInputTokens": 900,
                "cacheWriteInputTokens": 60,
            }
        ),
        40 + 90 + 75 + 25,
    ),
    Row(
        "AI SDK",
        "vercel/ai #8794",
        answer(
            {
                "inputTokens": 1000,
                "outputTokens": 5,
                "totalTokens": 1005,
                "cachedInputTokens": 960,
            }
        ),
        161,
    ),
    Row(
        "LangChain",
        "langchain #30429",
        answer(
            None,
            usage_metadata={
                "input_tokens": 1000,
                "output_tokens": 5,
                "total_tokens": 1005,
                "input_token_details": {"cache_read": 900, "cache_creation": 60},
            },
        ),
        40 + 90 + 75 + 25,
    ),
    Row(
        "Alibaba writes to its cache",
        "help.aliyun.com",
        answer(
            counts(
                1000,
                5,
                prompt_tokens_details={
                    "cached_tokens": 0,
                    "cache_creation": {"ephemeral_5m_input_tokens": 800},
                    "cache_type": "ephemeral",
                },
            )
        ),
        200 + 1000 + 25,
    ),
    Row(
        "GigaChat",
        "litellm: gigachat/utils",
        answer(counts(40, 5, precached_prompt_tokens=960)),
        161,
    ),
    Row(
        "llama.cpp without usage",
        "llama.cpp: tools/server",
        stream(last(timings={"cache_n": 960, "prompt_n": 40, "predicted_n": 5, "prompt_ms": 1.5})),
        161,
    ),
    Row(
        "llama.cpp with usage too",
        "llama.cpp: tools/server",
        stream(
            last(),
            closing(counts(1000, 5), timings={"cache_n": 960, "prompt_n": 40, "predicted_n": 5}),
        ),
        161,
    ),
    Row("more cached than the prompt has", "own", answer(counts(20, 5, cached_tokens=960)), 27),
]

METRICS: dict[str, Any] = {
    "amazon-bedrock-invocationMetrics": {
        "inputTokenCount": 20,
        "outputTokenCount": 5,
        "invocationLatency": 700,
    }
}
PLACES = [
    Row(
        "within a choice",
        "pi #2017",
        script.events(
            delta("Hello"),
            event(
                {
                    "id": "cmpl-1",
                    "choices": [
                        {"index": 0, "delta": {}, "finish_reason": "stop", "usage": counts()}
                    ],
                }
            ),
            DONE,
        ),
        45,
    ),
    Row(
        "Groq",
        "vercel/ai #1651",
        stream(last(x_groq={"id": "req_1", "usage": counts(queue_time=0.07)})),
        45,
    ),
    Row("any provider's own object", "own", stream(last(x_acme={"usage": counts()})), 45),
    Row(
        "by provider",
        "own",
        stream(last(provider_metadata={"acme": {"usage": {"inputTokens": 20, "outputTokens": 5}}})),
        45,
    ),
    Row(
        "with the finish and an empty delta",
        "req_llm #781",
        stream(last(), event({"choices": [{"index": 0, "delta": {}}], "usage": counts()})),
        45,
    ),
    Row(
        "Cohere, version 2",
        "docs.cohere.com",
        answer(
            {
                "billed_units": {"input_tokens": 20.0, "output_tokens": 5.0},
                "tokens": {"input_tokens": 91.0, "output_tokens": 5.0},
            }
        ),
        45,
    ),
    Row(
        "Cohere, tokens alone",
        "docs.cohere.com",
        answer({"tokens": {"input_tokens": 20, "output_tokens": 5}, "cached_tokens": 10}),
        36,
    ),
    Row(
        "Cohere, version 1",
        "docs.cohere.com",
        answer(None, meta={"billed_units": {"input_tokens": 20, "output_tokens": 5}}),
        45,
    ),
    Row(
        "Cloudflare",
        "genai-prices: cloudflare",
        answer(None, result={"usage": counts()}),
        45,
    ),
    Row(
        "Ollama",
        "ollama: docs/api",
        answer(None, prompt_eval_count=20, eval_count=5, eval_duration=12345, done=True),
        45,
    ),
    Row(
        "Perplexity",
        "docs.perplexity.ai",
        stream(
            event(
                {
                    "choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": "stop"}],
                    "usage": counts(search_context_size="low", cost={"total_cost": 0.006}),
                    "search_results": [{"title": "x" * 9000}],
                }
            )
        ),
        45,
    ),
    Row(
        "OpenRouter",
        "openrouter.ai",
        stream(last(), closing(counts(cost=0.95, is_byok=False, cost_details={"upstream": 3}))),
        45,
    ),
    Row(
        "SambaNova",
        "vercel/ai #6005",
        stream(
            last(),
            closing(counts(total_latency=0.3, time_to_first_token=0.1, stop_reason="stop")),
        ),
        45,
    ),
    Row(
        "Bedrock's metrics",
        "docs.aws.amazon.com: invocationMetrics",
        stream(
            last(**METRICS),
        ),
        45,
    ),
    Row("a list of one", "own", answer([counts()]), 45),
    Row("an object within the usage", "iFlytek", answer({"text": counts()}), 45),
    Row(
        "Cohere's last event",
        "docs.cohere.com",
        stream(
            last(),
            event(
                {
                    "type": "message-end",
                    "delta": {
                        "usage": {
                            "billed_units": {"input_tokens": 20, "output_tokens": 5},
                            "tokens": {"input_tokens": 91, "output_tokens": 5},
                        }
                    },
                }
            ),
        ),
        45,
    ),
    Row(
        "an event of usage",
        "own",
        stream(last(), event({"input_tokens": 20, "output_tokens": 5}, "usage")),
        45,
    ),
    Row(
        "what repeats the request is no usage",
        "own",
        answer(counts(1000, 5), metadata={"usage": {"cached_tokens": 1000}}),
        1025,
    ),
    Row("on the text route", "own", scripted_routes.text_answer("Hello"), 45, path=TEXT),
    Row(
        "on the text route, in a provider's own object",
        "own",
        script.events(
            scripted_routes.text_piece("Hello"),
            event({"choices": [], "x_acme": {"usage": counts()}}),
            scripted_routes.text_piece("", "stop"),
            DONE,
        ),
        45,
        path=TEXT,
    ),
]

OF_EMBEDDINGS = [
    Row("OpenAI", "platform.openai.com", vectors(usage={"prompt_tokens": 20}), 20),
    Row("Voyage: only a total", "docs.voyageai.com", vectors(usage={"total_tokens": 20}), 20),
    Row(
        "Jina, a prompt of zero",
        "own",
        vectors(usage={"prompt_tokens": 0, "total_tokens": 20}),
        20,
    ),
    Row(
        "Cohere",
        "docs.cohere.com",
        vectors(meta={"api_version": {"version": "2"}, "billed_units": {"input_tokens": 20}}),
        20,
    ),
    Row(
        "Gemini",
        "ai.google.dev",
        vectors(usageMetadata={"promptTokenCount": 20, "totalTokenCount": 20}),
        20,
    ),
    Row("no thinking in a total", "own", vectors(usage=counts(20, 0) | {"total_tokens": 30}), 20),
    Row("null", "own", vectors(usage={"prompt_tokens": None, "total_tokens": 20.0}), 20),
    Row("none", "own", vectors(), 1, "estimated"),
    Row("a cache alone", "own", vectors(usage={"cached_tokens": 9}), 1, "estimated"),
    Row("text", "own", vectors(usage={"total_tokens": "20"}), 1, "estimated"),
]

OF_MESSAGES = [
    Row(
        "Anthropic",
        "docs.claude.com",
        message(
            {
                "input_tokens": 40,
                "cache_creation_input_tokens": 60,
                "cache_read_input_tokens": 900,
                "output_tokens": 5,
            }
        ),
        40 + 75 + 90 + 25,
    ),
    Row(
        "writes by their time to live",
        "docs.claude.com",
        message(
            {
                "input_tokens": 40,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 60,
                    "ephemeral_1h_input_tokens": 0,
                },
                "cache_read_input_tokens": 900,
                "output_tokens": 5,
            }
        ),
        40 + 75 + 90 + 25,
    ),
    Row(
        "a compaction that the sums leave out",
        "docs.claude.com: compaction",
        message(
            {
                "input_tokens": 230,
                "output_tokens": 10,
                "iterations": [
                    {"type": "compaction", "input_tokens": 1800, "output_tokens": 35},
                    {"type": "message", "input_tokens": 230, "output_tokens": 10},
                ],
            }
        ),
        2030 + 225,
    ),
    Row(
        "OpenAI's names",
        "own",
        message(counts(1000, 5, prompt_tokens_details={"cached_tokens": 960})),
        161,
    ),
    Row(
        "a proxy that includes the cache, as the total says",
        "ogx #6415",
        message(
            {
                "input_tokens": 1000,
                "cache_read_input_tokens": 960,
                "output_tokens": 5,
                "total_tokens": 1005,
            }
        ),
        161,
    ),
]

OF_RESPONSES = [
    Row(
        "OpenAI",
        "platform.openai.com",
        response(
            {
                "input_tokens": 1000,
                "input_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 60},
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 3},
                "total_tokens": 1005,
            }
        ),
        40 + 90 + 75 + 25,
    ),
    Row("Chat's names", "own", response(counts(1000, 5, cached_tokens=960)), 161),
    Row(
        "Perplexity",
        "genai-prices: perplexity responses",
        response(
            {
                "input_tokens": 1000,
                "input_tokens_details": {"cache_read_input_tokens": 960},
                "output_tokens": 5,
            }
        ),
        161,
    ),
    Row(
        "what repeats the request is no usage",
        "own",
        response(
            {"input_tokens": 1000, "output_tokens": 5},
            metadata={"usage": {"cached_tokens": 1000}},
            reasoning={"usage": {"cached_tokens": 1000}},
        ),
        1025,
    ),
]


def on(path: str, *rows: Row) -> list[Row]:
    return [replace(row, path=path) for row in rows]


ROWS = [
    *CACHES,
    *PLACES,
    *on(EMBEDDINGS, *OF_EMBEDDINGS),
    *on(MESSAGES, *OF_MESSAGES),
    *on(RESPONSES, *OF_RESPONSES),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.path} {row.id}")
def test_usage_in_every_spelling(row: Row, ask: Ask, payer: User, upstream: Upstream) -> None:
    run(row, ask, payer, upstream)
