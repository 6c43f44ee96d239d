"""Media in a request: counted by kind, held, estimated, and charged as the provider reports.

Prompt 1 credit a token, completion 5. An image counts 2000 tokens, a page 3000, a second of audio
32 and one of video 300, where the model does not say.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from accounts.models import User
from llmproxy.models import LanguageModel
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Script, Upstream
from tests.llmproxy.wild import files
from tests.llmproxy.wild.conftest import Ask, read_all, settled
from tests.llmproxy.wild.rows import CHAT, MESSAGES, RESPONSES

pytestmark = pytest.mark.django_db(transaction=True)

DEFAULT = dict.fromkeys(
    ("prompt_price", "cached_prompt_price", "cache_write_price", "completion_price")
)
PDF = files.encode(files.pdf(10, 300_000))
SEALED = files.encode(files.pdf(10, 300_000, form="sealed"))


@dataclass(frozen=True)
class Sent:
    """A part of a message, and the tokens that are held for it."""

    id: str
    reference: str
    path: str
    part: dict[str, Any]
    held: int

    def __str__(self) -> str:
        return self.id


def chat(id: str, reference: str, held: int, kind: str, **part: Any) -> Sent:  # noqa: A002
    return Sent(id, reference, CHAT, {"type": kind, **part}, held)


def responses(id: str, reference: str, held: int, kind: str, **part: Any) -> Sent:  # noqa: A002
    return Sent(id, reference, RESPONSES, {"type": kind, **part}, held)


def messages(id: str, reference: str, held: int, kind: str, **source: Any) -> Sent:  # noqa: A002
    part = {"type": kind, "source": source}
    return Sent(id, reference, MESSAGES, part, held)


def data_url(content: bytes, media_type: str) -> str:
    return files.encode(content, media_type)


SENT = [
    chat("a PDF", "langchain #38227", 30_000, "file", file={"filename": "a.pdf", "file_data": PDF}),
    chat(
        "a PDF as a data URL",
        "OpenAI: File inputs",
        30_000,
        "file",
        file={"file_data": "data:application/pdf;base64," + PDF},
    ),
    chat(
        "a PDF where an image is expected",
        "Gemini's compatible API",
        30_000,
        "image_url",
        image_url={"url": "data:application/pdf;base64," + PDF},
    ),
    chat(
        "a PDF whose pages cannot be counted", "own", 3000 * 151, "file", file={"file_data": SEALED}
    ),
    chat(
        "a PDF behind a URL",
        "the desktop application",
        300_000,
        "file_url",
        file_url={"url": "https://x.example/a.pdf", "mime_type": "application/pdf"},
    ),
    chat(
        "a recording behind a URL",
        "the desktop application",
        3600 * 32,
        "file_url",
        file_url={"url": "https://x.example/a.mp3", "mime_type": "audio/mpeg"},
    ),
    chat(
        "a document of Mistral's",
        "Mistral: Document QnA",
        300_000,
        "document_url",
        document_url="https://x.example/a",
    ),
    chat(
        "an image",
        "OpenAI: Images and vision",
        2000,
        "image_url",
        image_url={"url": data_url(files.PNG * 50, "image/png"), "detail": "high"},
    ),
    chat(
        "an image that is a text",
        "Mistral",
        2000,
        "image_url",
        image_url=data_url(files.JPEG * 50, "image/jpeg"),
    ),
    chat(
        "an image behind a URL",
        "OpenAI",
        2000,
        "image_url",
        image_url={"url": "https://x.example/" + "a" * 4000},
    ),
    chat(
        "a wav",
        "OpenAI: Audio",
        20 * 32,
        "input_audio",
        input_audio={"data": files.encode(files.wav(20)), "format": "wav"},
    ),
    chat(
        "an mp3",
        "OpenAI: Audio",
        30 * 32,
        "input_audio",
        input_audio={"data": files.encode(files.mp3(30)), "format": "mp3"},
    ),
    chat(
        "audio of unknown length",
        "own",
        33 * 32,
        "input_audio",
        input_audio={"data": files.encode(files.OGG), "format": "ogg"},
    ),
    chat(
        "audio that has no object",
        "Mistral: Voxtral",
        20 * 32,
        "input_audio",
        input_audio=files.encode(files.wav(20)),
    ),
    chat(
        "audio of vLLM's",
        "vLLM: Multimodal Inputs",
        20 * 32,
        "audio_url",
        audio_url={"url": data_url(files.wav(20), "audio/wav")},
    ),
    chat(
        "a film",
        "vLLM, Qwen: video_url",
        25 * 300,
        "video_url",
        video_url={"url": data_url(files.MP4, "video/mp4")},
    ),
    chat(
        "a film behind a URL",
        "Z.ai: video_url",
        3600 * 300,
        "video_url",
        video_url={"url": "https://x.example/film.mp4"},
    ),
    chat(
        "a text file",
        "own",
        30_000,
        "file",
        file={"filename": "a.txt", "file_data": files.encode(b"word " * 6000)},
    ),
    responses(
        "a PDF on responses",
        "OpenAI: input_file",
        30_000,
        "input_file",
        filename="a.pdf",
        file_data="data:application/pdf;base64," + PDF,
    ),
    responses(
        "a PDF behind a URL on responses",
        "OpenAI: file_url",
        300_000,
        "input_file",
        file_url="https://x.example/a.pdf",
    ),
    responses(
        "an image on responses",
        "OpenAI: input_image",
        2000,
        "input_image",
        image_url=data_url(files.PNG * 50, "image/png"),
    ),
    responses(
        "audio on responses",
        "OpenAI: input_audio",
        20 * 32,
        "input_audio",
        input_audio={"data": files.encode(files.wav(20)), "format": "wav"},
    ),
    messages(
        "a PDF on messages",
        "Anthropic: PDF support",
        30_000,
        "document",
        type="base64",
        media_type="application/pdf",
        data=PDF,
    ),
    messages(
        "a PDF behind a URL on messages",
        "Anthropic: PDF support",
        300_000,
        "document",
        type="url",
        url="https://x.example/a.pdf",
    ),
    messages(
        "an image on messages",
        "Anthropic: Vision",
        2000,
        "image",
        type="base64",
        media_type="image/png",
        data=files.encode(files.PNG * 50),
    ),
    messages(
        "an image behind a URL on messages",
        "Anthropic: Vision",
        2000,
        "image",
        type="url",
        url="https://x.example/a",
    ),
]


def body(sent: Sent) -> dict[str, Any]:
    member = "input" if sent.path == RESPONSES else "messages"
    limit = "max_output_tokens" if sent.path == RESPONSES else "max_tokens"
    return {member: [{"role": "user", "content": [sent.part]}], limit: 16}


def used(path: str, prompt: int, completion: int = 5) -> Script:
    make = scripted_routes.ANSWERS.get(path, script.answer)
    made: Script = make(usage=(prompt, completion))
    return made


@pytest.mark.parametrize("sent", SENT, ids=str)
def test_each_medium_is_held_by_its_kind_and_charged_by_its_usage(
    sent: Sent, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = used(sent.path, 7777)
    response = ask(sent.path, **body(sent))
    assert response.status_code == 200, response.content
    row = settled(payer)
    assert (row.charged, row.usage_source) == (7777 + 25, "exact")
    held = (row.held - 16 * 5) / 1.25  # at the dearest price, that of a cache write
    assert sent.held <= held <= sent.held + 400
    member = "input" if sent.path == RESPONSES else "messages"
    assert upstream.sent[member][0]["content"][0] == sent.part  # it arrives unchanged


@pytest.mark.parametrize("sent", SENT, ids=str)
def test_a_hundred_credits_suffice_for_each_at_the_default_price(
    sent: Sent, ask: Ask, make_user: Any, bearer: Any, upstream: Upstream
) -> None:
    LanguageModel.objects.update(**DEFAULT)
    upstream.script = used(sent.path, 7777)
    user = make_user("hundred@example.com", credits=100)
    response = ask(sent.path, headers=bearer(user), **body(sent))
    assert response.status_code == 200, response.content
    user.refresh_from_db()
    assert (user.credits, user.credits_held) == (92, 0)


@pytest.mark.parametrize("sent", SENT, ids=str)
def test_without_usage_each_is_estimated_in_the_users_favour(
    sent: Sent, ask: Ask, payer: User, upstream: Upstream
) -> None:
    make = scripted_routes.ANSWERS.get(sent.path, script.answer)
    upstream.script = make(usage=None)
    ask(sent.path, **body(sent))
    row = settled(payer)
    assert row.usage_source == "estimated"
    # Much less than its base64 as text, and no more than what was held.
    assert 0 < row.prompt_tokens < max(sent.held, 200)


def test_a_conversation_without_its_files_is_estimated_much_lower(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=None)
    parts = [SENT[0].part, SENT[7].part, SENT[10].part]
    ask(messages=[{"role": "user", "content": parts}])
    assert 10 * 258 + 85 + 20 * 10 <= settled(payer).prompt_tokens <= 3200


LIES = [
    ("text that calls itself a PDF", files.encode(b"word " * 50_000), 250_000),
    (
        "text behind the first bytes of a PDF",
        files.encode(b"%PDF-1.4 /Type /Page " + b"word " * 9000),
        45_000,
    ),
    ("one page with a book on it", files.encode(files.pdf(1, 200_000)), 400_000),
    ("a bomb", files.encode(files.pdf(2000, form="compressed")), 60_000),
]


@pytest.mark.parametrize(("name", "data", "tokens"), LIES, ids=[lie[0] for lie in LIES])
def test_a_lie_gives_no_free_tokens(
    name: str, data: str, tokens: int, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=(tokens, 5))
    ask(messages=[{"role": "user", "content": [{"type": "file", "file": {"file_data": data}}]}])
    row = settled(payer)
    assert (row.prompt_tokens, row.charged, row.usage_source) == (tokens, tokens + 25, "exact")


def test_a_book_behind_a_url_is_charged_in_full(ask: Ask, payer: User, upstream: Upstream) -> None:
    upstream.script = script.answer(usage=(900_000, 5))
    ask(messages=[{"role": "user", "content": [SENT[4].part]}])
    assert (settled(payer).charged, settled(payer).usage_source) == (900_025, "exact")


def test_a_provider_that_lies_about_an_image_is_not_believed(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=(10**9, 5))
    ask(messages=[{"role": "user", "content": [SENT[7].part]}])
    row = settled(payer)
    assert row.usage_source == "capped"
    assert row.prompt_tokens < 60_000


def test_a_balance_that_ends_is_charged_to_its_end(
    ask: Ask, make_user: Any, bearer: Any, upstream: Upstream
) -> None:
    poor = make_user("poor@example.com", credits=40_000)
    upstream.script = script.answer(usage=(90_000, 5))
    read_all(
        ask(
            headers=bearer(poor),
            max_tokens=10,
            messages=[{"role": "user", "content": [SENT[0].part]}],
        )
    )
    poor.refresh_from_db()
    assert (poor.credits, poor.credits_held) == (0, 0)


UNKNOWN = [
    (CHAT, {"type": "file", "file": {"file_id": "file-1"}}),
    (CHAT, {"type": "file", "file": {}}),
    (CHAT, {"type": "file", "file": None}),
    (CHAT, {"type": "file", "file": {"file_data": 5}}),
    (CHAT, {"type": "file", "file": {"file_data": PDF, "file_id": "file-1"}}),
    (CHAT, {"type": "file_url", "file_url": {"url": None}}),
    (CHAT, {"type": "input_audio"}),
    (CHAT, {"type": "input_audio", "input_audio": {"id": "audio_1"}}),
    (CHAT, {"type": "video_url", "video_url": ["https://x.example"]}),
    (RESPONSES, {"type": "input_file", "file_id": "file-1"}),
    (RESPONSES, {"type": "input_file"}),
    (MESSAGES, {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
    (MESSAGES, {"type": "document", "source": {"type": "base64"}}),
    (MESSAGES, {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
]


@pytest.mark.parametrize(("path", "part"), UNKNOWN)
def test_what_is_behind_an_id_or_is_nothing_is_refused(
    path: str, part: dict[str, Any], ask: Ask, upstream: Upstream
) -> None:
    response = ask(path, **body(Sent("", "", path, part, 0)))
    assert response.status_code == 400
    assert upstream.requests == []


def test_a_document_in_two_ways_counts_as_two(ask: Ask, payer: User, upstream: Upstream) -> None:
    upstream.script = used(CHAT, 20)
    both = {"file_data": files.encode(files.pdf(2)), "file_url": "https://x.example/a.pdf"}
    ask(messages=[{"role": "user", "content": [{"type": "file", "file": both}]}], max_tokens=16)
    assert settled(payer).held >= (2 + 100) * 3000
