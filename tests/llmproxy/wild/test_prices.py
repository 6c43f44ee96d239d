"""Prices that can be said: each kind, and what is charged for it through the whole gateway.

Prompt 1 credit a token, cached 0.1, written to a cache 1.25, completion 5: 20 + 5 tokens cost 45.
"""

import math
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from llmproxy.models import LanguageModel
from llmproxy.openapi.receipt import RECEIPT
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Script, Upstream
from tests.llmproxy.wild import files
from tests.llmproxy.wild.conftest import BODIES, CREDITS, Ask, read_all, settled
from tests.llmproxy.wild.rows import CHAT, MESSAGES, Row, answer, delta, event, last, run

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("path", BODIES)
def test_twenty_tokens_and_five_cost_45(
    path: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS.get(path, script.answer)()
    read_all(ask(path))
    row = settled(payer)
    assert (row.charged, row.usage_source) == (20 if "embeddings" in path else 45, "exact")
    assert row.extras is None


@dataclass(frozen=True)
class Priced(Row):
    """A row whose model has further prices: `prices` by column, and what the receipt lists."""

    prices: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def usage(prompt: int = 20, completion: int = 5, **more: Any) -> Script:
    """Answer with this usage: as JSON, or as the last chunk of a stream if one is asked for."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, **more}
    return as_asked(usage=counts)


def as_asked(**members: Any) -> Script:
    closing = event({"id": "chatcmpl-1", "choices": [], **members})

    def script_(handler: script.Handler) -> None:
        if handler.upstream.sent.get("stream"):
            script.events(delta("Hello"), last(), closing, script.DONE)(handler)
        else:
            answer(**{"usage": None, **members})(handler)

    script_.__qualname__ = "raw.as_asked"  # rows.Row: the test says whether it is a stream
    return script_


def of_prompt(**details: Any) -> Script:
    return usage(prompt_tokens_details=details)


def of_completion(**details: Any) -> Script:
    return usage(completion_tokens_details=details)


def written(**by_time: int) -> Script:
    counts = {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 10}
    return scripted_routes.as_message(usage={**counts, "cache_creation": by_time})


def modalities(name: str, **counts: int) -> Script:
    listed = [{"modality": kind, "tokenCount": count} for kind, count in counts.items()]
    return as_asked(usageMetadata={"promptTokenCount": 20, "candidatesTokenCount": 5, name: listed})


def parts(*contents: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(contents)}]}


def image() -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": files.encode(files.PNG, "image/png")}}


def document(pages: int) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": files.encode(files.pdf(pages))}}


def recording(seconds: int) -> dict[str, Any]:
    data = files.encode(files.wav(seconds))
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


AUDIO = {"audio_prompt_price": 40_000}
KINDS = [
    Priced(
        "audio in the prompt",
        "OpenAI API reference: prompt_tokens_details",
        of_prompt(audio_tokens=8),
        12 + 320 + 25,
        prices=AUDIO,
        counts={"audio_prompt_tokens": 8},
    ),
    Priced(
        "audio in the prompt, without a price of its own",
        "own",
        of_prompt(audio_tokens=8),
        45,
        counts={"audio_prompt_tokens": 8},
    ),
    Priced("no audio", "OpenAI sends a zero", of_prompt(audio_tokens=0), 45, prices=AUDIO),
    Priced(
        "audio in the prompt, in a list of modalities",
        "Gemini API reference: ModalityTokenCount",
        modalities("promptTokensDetails", TEXT=12, AUDIO=8),
        12 + 320 + 25,
        prices=AUDIO,
        counts={"audio_prompt_tokens": 8},
    ),
    Priced(
        "audio beyond all numbers",
        "own",
        of_prompt(audio_tokens=2**41),
        45,
        prices=AUDIO,
    ),
    Priced(
        "more audio than prompt",
        "own",
        of_prompt(audio_tokens=900),
        800 + 25,
        prices=AUDIO,
        counts={"audio_prompt_tokens": 20},
    ),
    Priced(
        "audio and cache that overlap: a token has one price",
        "own",
        of_prompt(cached_tokens=15, audio_tokens=10),
        2 + 5 * 40 + 25,
        prices=AUDIO,
        counts={"audio_prompt_tokens": 5},
    ),
    Priced(
        "audio that is no number",
        "own",
        of_prompt(audio_tokens=float("nan"), image_tokens=-4, text_tokens="20"),
        45,
        prices=AUDIO | {"image_prompt_price": 9000},
    ),
    Priced(
        "audio in the answer",
        "OpenAI API reference: completion_tokens_details",
        of_completion(audio_tokens=3),
        20 + 10 + 60,
        prices={"audio_completion_price": 20_000},
        counts={"audio_completion_tokens": 3},
    ),
    Priced(
        "reasoning and audio in the answer",
        "own",
        of_completion(audio_tokens=3, reasoning_tokens=2),
        20 + 10 + 60,
        prices={"audio_completion_price": 20_000},
        counts={"audio_completion_tokens": 3},
    ),
    Priced(
        "an image in the answer",
        "OpenRouter: completion_tokens_details.image_tokens",
        of_completion(image_tokens=4),
        20 + 5 + 120,
        prices={"image_completion_price": 30_000},
        counts={"image_completion_tokens": 4},
    ),
    Priced(
        "tokens of images in the prompt",
        "gpt-image: input_tokens_details.image_tokens",
        of_prompt(image_tokens=10, text_tokens=10),
        10 + 20 + 25,
        prices={"image_prompt_price": 2000},
        counts={"image_prompt_tokens": 10},
    ),
    Priced(
        "tokens of images that are free",
        "own",
        of_prompt(image_tokens=10),
        10 + 25,
        prices={"image_prompt_price": 0},
        counts={"image_prompt_tokens": 10},
    ),
    Priced(
        "a cache for an hour and one for five minutes",
        "Anthropic API reference: cache_creation",
        written(ephemeral_5m_input_tokens=4, ephemeral_1h_input_tokens=6),
        10 + 5 + 12 + 25,
        path=MESSAGES,
        prices={"cache_write_1h_price": 2000},
        counts={"cache_write_1h_tokens": 6},
    ),
    Priced(
        "a cache for an hour, without a price of its own",
        "own",
        written(ephemeral_1h_input_tokens=10),
        48,  # 10 + 12.5 + 25
        path=MESSAGES,
        counts={"cache_write_1h_tokens": 10},
    ),
    Priced(
        "a cache whose time is not reported",
        "own",
        written(),
        48,
        path=MESSAGES,
        prices={"cache_write_1h_price": 2000},
    ),
    Priced(
        "more for an hour than was written",
        "own",
        written(ephemeral_1h_input_tokens=4000),
        10 + 8000 + 25,  # of two counts the larger
        path=MESSAGES,
        prices={"cache_write_1h_price": 2000},
        counts={"cache_write_1h_tokens": 4000},
    ),
    Priced(
        "a request",
        "genai-prices: requests_kcount (Perplexity)",
        usage(),
        52,
        prices={"request_price": 7},
        counts={"requests": 1},
    ),
    Priced(
        "a request that used no tokens",
        "own",
        usage(0, 0),
        7,
        prices={"request_price": 7},
        counts={"requests": 1},
    ),
    Priced(
        "half a credit for a request, rounded once with the rest",
        "own",
        usage(prompt_tokens_details={"cached_tokens": 5}),
        41,
        prices={"request_price": Decimal("0.5")},
        counts={"requests": 1},
    ),
    Priced(
        "images by number",
        "OpenRouter: pricing.image",
        usage(),
        245,
        body=parts(image(), image()),
        prices={"image_price": 100},
        counts={"images": 2},
    ),
    Priced(
        "images without a price by number",
        "own",
        usage(),
        45,
        body=parts(image(), image()),
        counts={"images": 2},
    ),
    Priced(
        "pages",
        "genai-prices: input_document_kpages (Mistral)",
        usage(),
        75,
        body=parts(document(3)),
        prices={"page_price": 10},
        counts={"pages": 3},
    ),
    Priced(
        "seconds of audio, which we measured",
        "genai-prices: input_audio_hours",
        usage(),
        51,
        body=parts(recording(2)),
        prices={"audio_second_price": 3},
        counts={"audio_seconds": 2},
    ),
    Priced(
        "seconds of audio, which the provider reports",
        "Mistral: usage.prompt_audio_seconds",
        usage(prompt_audio_seconds=5),
        60,
        body=parts(recording(2)),
        prices={"audio_second_price": 3},
        counts={"audio_seconds": 5},
    ),
    Priced(
        "seconds of audio that the recording cannot have",
        "own",
        usage(prompt_audio_seconds=2**39),
        51,
        body=parts(recording(2)),
        prices={"audio_second_price": 3},
        counts={"audio_seconds": 2},
        source="capped",
    ),
    Priced(
        "seconds of audio without a recording",
        "own",
        usage(prompt_audio_seconds=5),
        45,
        prices={"audio_second_price": 3},
        counts={},
        source="capped",
    ),
    Priced(
        "everything at once",
        "own",
        usage(
            100,
            50,
            prompt_tokens_details={"cached_tokens": 10, "audio_tokens": 20, "image_tokens": 30},
            completion_tokens_details={"audio_tokens": 10, "image_tokens": 5},
        ),
        # 40 plain, 10 cached, 20 of audio, 30 of images; 35 plain, 10 of audio, 5 of images.
        40 + 1 + 800 + 60 + 175 + 200 + 150 + 7 + 2 * 100 + 3 * 10,
        body=parts(image(), image(), document(3)),
        prices=AUDIO
        | {
            "image_prompt_price": 2000,
            "audio_completion_price": 20_000,
            "image_completion_price": 30_000,
            "request_price": 7,
            "image_price": 100,
            "page_price": 10,
        },
        counts={
            "audio_prompt_tokens": 20,
            "image_prompt_tokens": 30,
            "audio_completion_tokens": 10,
            "image_completion_tokens": 5,
            "images": 2,
            "pages": 3,
            "requests": 1,
        },
    ),
]

LONG = {"long_from_tokens": 100, "long_prompt_price": 2000, "long_completion_price": 10_000}
LENGTHS = [
    Priced("one token too short", "own", usage(99, 5), 99 + 25, prices=LONG),
    Priced("just long", "genai-prices: TieredPrices", usage(100, 5), 200 + 50, prices=LONG),
    Priced("very long", "Gemini 2.5 Pro above 200k", usage(900, 5), 1800 + 50, prices=LONG),
    Priced(
        "long by what was cached",
        "Anthropic: long context pricing",
        usage(900, 5, prompt_tokens_details={"cached_tokens": 850}),
        100 + 170 + 50,
        prices=LONG | {"long_cached_prompt_price": 200},
    ),
    Priced(
        "what has no second price keeps its first",
        "own",
        usage(900, 5, prompt_tokens_details={"cached_tokens": 850}),
        100 + 85 + 50,
        prices=LONG,
    ),
    Priced(
        "a part without any price has the second price of its whole",
        "own",
        usage(900, 5, prompt_tokens_details={"cached_tokens": 850, "audio_tokens": 10}),
        1800 + 50,
        prices=LONG | {"cached_prompt_price": None},
        counts={"audio_prompt_tokens": 10},
    ),
    Priced(
        "long by what was written",
        "Anthropic: cache_creation_input_tokens",
        scripted_routes.as_message(
            usage={
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_creation_input_tokens": 90,
                "cache_creation": {"ephemeral_1h_input_tokens": 90},
            }
        ),
        20 + 360 + 50,
        path=MESSAGES,
        prices=LONG | {"cache_write_1h_price": 2000, "long_cache_write_1h_price": 4000},
        counts={"cache_write_1h_tokens": 90},
    ),
    Priced(
        "long, with audio and a request",
        "own",
        usage(900, 5, prompt_tokens_details={"audio_tokens": 100}),
        1600 + 5000 + 50 + 7,
        prices=LONG | AUDIO | {"long_audio_prompt_price": 50_000, "request_price": 7},
        counts={"audio_prompt_tokens": 100, "requests": 1},
    ),
    Priced(
        "a second column that is cheaper",
        "own",
        usage(900, 5),
        90 + 50,
        prices=LONG | {"long_prompt_price": 100},
    ),
    Priced(
        "a threshold without second prices",
        "own",
        usage(900, 5),
        925,
        prices={"long_from_tokens": 100},
    ),
    Priced(
        "second prices without a threshold",
        "own",
        usage(900, 5),
        925,
        prices={"long_prompt_price": 9000},
    ),
]


@pytest.mark.parametrize("row", KINDS + LENGTHS, ids=str)
def test_each_kind_has_its_price(
    row: Priced, ask: Ask, payer: User, upstream: Upstream, client: Client, bearer: Any
) -> None:
    LanguageModel.objects.filter(name="small").update(**row.prices)
    _body, stored = run(row, ask, payer, upstream)
    assert (stored.extras or {}).get("counts", {}) == row.counts
    assert stored.cost == stored.charged <= CREDITS
    url = f"/v1/generation?id={stored.generation_id}"
    receipt = client.get(url, headers=bearer(payer)).json()
    jsonschema.validate(receipt, RECEIPT)
    assert receipt["recompute"] == row.charged
    exact = sum(Decimal(line["credits"]) for line in receipt["arithmetic"]["lines"])
    assert exact == Decimal(receipt["arithmetic"]["sum"])
    assert math.ceil(exact) == row.charged
    is_long = "long_from_tokens" in row.prices and stored.prompt_tokens >= 100
    assert (receipt["long_prompt"] or {}).get("applies", False) == is_long


STREAMED = [row for row in KINDS if row.path == CHAT]


@pytest.mark.parametrize("row", STREAMED, ids=str)
def test_each_kind_has_its_price_in_a_stream_too(
    row: Priced, ask: Ask, payer: User, upstream: Upstream
) -> None:
    LanguageModel.objects.filter(name="small").update(**row.prices)
    run(replace(row, body={**row.body, "stream": True}), ask, payer, upstream)


def test_a_request_that_fails_costs_nothing(ask: Ask, payer: User, upstream: Upstream) -> None:
    LanguageModel.objects.filter(name="small").update(request_price=7, image_price=9)
    upstream.script = script.error(500)
    assert ask(**parts(image())).status_code == 502
    row = settled(payer)
    assert (row.charged, row.cost, row.usage.requests, row.usage.images) == (0, 0, 0, 0)


def test_a_request_of_a_model_that_is_free_but_for_the_request_needs_a_balance(
    ask: Ask, client: Client, bearer: Any, make_user: Any, upstream: Upstream
) -> None:
    free = dict.fromkeys(("prompt_price", "cached_prompt_price", "cache_write_price"), 0)
    LanguageModel.objects.update(**free, completion_price=0, request_price=7)
    poor = make_user("poor@example.com", credits=6)
    response = ask(headers=bearer(poor))
    assert response.status_code == 402
    assert response.json()["error"]["credits_required"] == 7


def test_prices_are_those_of_the_beginning(ask: Ask, payer: User, upstream: Upstream) -> None:
    LanguageModel.objects.filter(name="small").update(
        **LONG, request_price=7, audio_prompt_price=40_000
    )

    def edited(handler: script.Handler) -> None:
        LanguageModel.objects.update(
            request_price=900,
            audio_prompt_price=None,
            long_from_tokens=None,
            long_prompt_price=9,
        )
        connection.close()  # that of the provider's thread
        usage(900, 5, prompt_tokens_details={"audio_tokens": 100})(handler)

    upstream.script = edited
    ask()
    assert settled(payer).charged == 1600 + 4000 + 50 + 7


HOLDS = [
    # The bodies have fewer than 60 bytes of prompt, and an answer of 10 tokens.
    ("plain", {}, {}, 50),
    ("a request", {"request_price": 7}, {}, 57),
    ("audio, but none in the request", AUDIO, {}, 50),
    ("images in the answer", {"image_completion_price": 30_000}, {}, 300),
    ("audio in the answer, not asked for", {"audio_completion_price": 30_000}, {}, 50),
    ("an hour's cache, not asked for", {"cache_write_1h_price": 90_000}, {}, 50),
    ("long, but this one is short", LONG, {}, 50),
    ("three pages", {}, parts(document(3)), 50 + 9000 * 1.25),
    ("three pages with a price", {"page_price": 10}, parts(document(3)), 80 + 9000 * 1.25),
    ("pages that the model says", {"page_tokens": 100}, parts(document(3)), 50 + 300 * 1.25),
    ("two images", {}, parts(image(), image()), 50 + 4000 * 1.25),
    (
        "two images with both prices",
        {"image_price": 100, "image_prompt_price": 3000, "image_tokens": 50},
        parts(image(), image()),
        250 + 100 * 3,
    ),
    ("audio", AUDIO, parts(recording(2)), 50 + 64 * 40),
    (
        "audio that is cheaper than text",
        {"audio_prompt_price": 10, "audio_second_price": 3},
        parts(recording(2)),
        56 + 64 * 1.25,
    ),
    ("long by its pages", LONG, parts(document(3)), 100 + 9000 * 2),
    (
        "long by its pages, whose second price is higher still",
        LONG | {"long_image_prompt_price": 5000},
        parts(document(3)),
        100 + 9000 * 5,
    ),
]


@pytest.mark.parametrize(("name", "prices", "body", "held"), HOLDS, ids=[row[0] for row in HOLDS])
def test_a_hold_covers_the_dearest_that_can_apply_and_no_more(
    name: str,
    prices: dict[str, Any],
    body: dict[str, Any],
    held: float,
    ask: Ask,
    payer: User,
    upstream: Upstream,
) -> None:
    LanguageModel.objects.filter(name="small").update(**prices)
    upstream.script = usage()
    assert ask(max_tokens=10, **body).status_code == 200
    row, text = settled(payer), 250 * (2.5 if "long by" in name else 1.25)
    assert held <= row.held <= held + text


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_cache_for_an_hour_is_held_at_its_price(
    path: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    LanguageModel.objects.filter(name="small").update(cache_write_1h_price=90_000)
    upstream.script = scripted_routes.ANSWERS.get(path, script.answer)()
    part = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ask(path, messages=[{"role": "user", "content": [part]}], max_tokens=10)
    assert settled(payer).held >= 100 * 90
    assert upstream.sent["messages"][0]["content"][0]["cache_control"]["ttl"] == "1h"


def test_a_long_prompt_is_held_at_its_second_price(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    LanguageModel.objects.filter(name="small").update(**LONG)
    upstream.script = usage(900, 5)
    ask(messages=[{"role": "user", "content": "word " * 200}], max_tokens=10)
    row = settled(payer)
    assert 2000 + 100 <= row.held <= 2000 + 100 + 200
    assert row.charged == 1850


def test_a_model_says_all_its_prices(
    ask: Ask, client: Client, payer: User, bearer: Any, upstream: Upstream
) -> None:
    LanguageModel.objects.filter(name="small").update(
        **LONG, request_price=7, audio_prompt_price=Decimal("0.5"), long_audio_prompt_price=1
    )
    found = client.get("/v1/models/small", headers=bearer(payer)).json()
    assert found["credits_per_1k_tokens"] == {
        "prompt": 1000,
        "cached_prompt": 100,
        "cache_write": 1250,
        "audio_prompt": 0.5,
        "completion": 5000,
    }
    assert found["credits_each"] == {"request": 7}
    assert found["long_prompt"] == {
        "from_tokens": 100,
        "credits_per_1k_tokens": {
            "prompt": 2000,
            "cached_prompt": 100,
            "cache_write": 1250,
            "audio_prompt": 1,
            "completion": 10_000,
        },
    }
