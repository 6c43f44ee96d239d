"""Proxies, compressed answers, base URLs with a query, JSON for events and the reverse, names.

Sources: curl(1) and everything.curl.dev for the environment; RFC 9110 §8.4.1, §9.3.6; RFC 9112
§3.2.2; the references of Azure (`?api-version=`) and Cloudflare.
"""

import base64
import gzip
import json
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from accounts.models import User
from credits import ledger
from llmproxy.http1 import inflation, proxies, sockets
from llmproxy.http1.framing import Malformed, Sized
from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from llmproxy.upstream import model_listing
from tests.llmproxy import scripted_proxy, scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_proxy import Proxy
from tests.llmproxy.scripted_upstream import Handler, Script
from tests.llmproxy.several import Several, tried
from tests.llmproxy.upstream.test_providers_over_tls import certificate  # noqa: F401 – a fixture

pytestmark = pytest.mark.django_db(transaction=True)
VARIABLES = [name for pair in proxies.NAMES.values() for name in pair] + ["no_proxy", "NO_PROXY"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: Any) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    proxies.read_environment.cache_clear()
    yield
    proxies.read_environment.cache_clear()
    sockets.pool.clear()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with scripted_proxy.proxying() as served:
        yield served


@pytest.fixture
def several() -> Iterator[Several]:
    with ExitStack() as stack:
        yield Several(stack)


@pytest.fixture
def over_tls(certificate: Any, monkeypatch: Any) -> None:  # noqa: F811
    """Providers listen with TLS, and their certificate is trusted."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    monkeypatch.setattr(script, "TLS", server)
    trusted = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(sockets, "get_tls_context", lambda: trusted)


@pytest.fixture
def ask(chat: Callable[..., Any], user: User) -> Callable[..., Any]:
    return lambda path="/v1/chat/completions", **body: chat(
        user, path, model="bright", **{"max_tokens": 10, **body}
    )


def get_text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return str(answer.json()["choices"][0]["message"]["content"])


# --- Proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_http_goes_through_the_proxy_of_the_environment(
    ask: Any, several: Several, proxy: Proxy, monkeypatch: Any, name: str
) -> None:
    upstream = several.add("first")
    monkeypatch.setenv(name, proxy.url)
    assert get_text(ask()) == "first"
    assert proxy.asked == [f"POST {upstream.url}/chat/completions HTTP/1.1"]
    assert upstream.requests[0][1]["Host"] in upstream.url


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("stream", [False, True])
def test_https_goes_through_a_tunnel(
    over_tls: None,
    ask: Any,
    several: Several,
    proxy: Proxy,
    monkeypatch: Any,
    name: str,
    stream: bool,
) -> None:
    upstream = several.add("first")
    monkeypatch.setenv(name, proxy.url.replace("http://", "http://user:p%40ss@"))
    proxy.login = "Basic " + base64.b64encode(b"user:p@ss").decode()
    for _ in range(3):
        answer = ask(stream=stream)
        assert "first" in (text_of(answer) if stream else get_text(answer))
    port = upstream.url.split(":")[2].split("/")[0]
    assert proxy.asked == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"]  # one tunnel, which is kept
    assert "proxy-authorization" not in {name.lower() for name in upstream.requests[0][1]}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("http_proxy", "HTTP_PROXY", 1),
        ("http_proxy", "all_proxy", 1),
        ("HTTP_PROXY", "all_proxy", 1),
    ],
)
def test_of_two_variables_the_more_specific_one_in_lower_case_wins(
    ask: Any,
    several: Several,
    proxy: Proxy,
    monkeypatch: Any,
    first: str,
    second: str,
    expected: int,
) -> None:
    several.add("first")
    monkeypatch.setenv(first, proxy.url)
    monkeypatch.setenv(second, "http://127.0.0.1:9")
    assert get_text(ask()) == "first"
    assert len(proxy.asked) == expected


EXCEPTIONS = [
    ("127.0.0.1", True),
    ("other.example,127.0.0.1", True),
    (" other.example , 127.0.0.1 ", True),
    ("other.example 127.0.0.1", True),
    ("127.0.0.0/8", True),
    ("*", True),
    ("127.0.0.1:PORT", True),
    ("127.0.0.1:1", False),
    ("10.0.0.0/8,::1,localhost", False),
    ("0.0.1", False),
    ("1", False),
    ("", False),
    (",,", False),
]


@pytest.mark.parametrize(("exceptions", "is_direct"), EXCEPTIONS)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_exceptions_are_asked_directly(
    ask: Any,
    several: Several,
    proxy: Proxy,
    monkeypatch: Any,
    name: str,
    exceptions: str,
    is_direct: bool,
) -> None:
    upstream = several.add("first")
    monkeypatch.setenv("http_proxy", proxy.url)
    port = upstream.url.split(":")[2].split("/")[0]
    monkeypatch.setenv(name, exceptions.replace("PORT", port))
    assert get_text(ask()) == "first"
    assert len(proxy.asked) == (0 if is_direct else 1)


@pytest.mark.parametrize(
    ("host", "port", "exceptions", "expected"),
    [
        ("api.example.com", 443, "example.com", True),
        ("api.example.com", 443, ".example.com", True),
        ("api.example.com", 443, "*.example.com", True),
        ("example.com", 443, ".example.com", True),
        ("API.Example.COM.", 443, "example.com", True),
        ("badexample.com", 443, "example.com", False),
        ("example.com.evil.org", 443, "example.com", False),
        ("api.example.com", 8443, "example.com:8443", True),
        ("api.example.com", 443, "example.com:8443", False),
        ("::1", 443, "::1", True),
        ("::1", 8080, "[::1]:8080", True),
        ("fd00::12", 443, "fd00::/8", True),
        ("10.1.2.3", 443, "10.1.0.0/16", True),
        ("10.2.2.3", 443, "10.1.0.0/16", False),
        ("10.1.2.3", 443, "10.1.2.3/33", False),
        ("localhost", 80, "localhost", True),
        ("model.svc.cluster.local", 80, ".cluster.local,.svc", True),
        ("xn--b3c.example", 80, "example", True),
        ("api.example.com", 443, "..", False),
        ("api.example.com", 443, ":443", False),
    ],
)
def test_exceptions_follow_the_rules_of_curl(
    host: str, port: int, exceptions: str, expected: bool
) -> None:
    assert proxies.is_excepted(host, port, exceptions) is expected


def test_a_name_is_resolved_by_the_proxy(ask: Any, several: Several, proxy: Proxy) -> None:
    upstream = several.add("first", url="http://models.invalid:8000/v1")
    Provider.objects.update(proxy=proxy.url)
    proxy.place = ("127.0.0.1", int(upstream.url.split(":")[2].split("/")[0]))
    assert get_text(ask()) == "first"
    assert proxy.asked == ["POST http://models.invalid:8000/v1/chat/completions HTTP/1.1"]
    assert upstream.requests[0][1]["Host"] == "models.invalid:8000"


def test_a_provider_may_have_its_own_proxy_and_login(
    over_tls: None, ask: Any, several: Several, proxy: Proxy, monkeypatch: Any
) -> None:
    several.add("first", proxy=proxy.url)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    row = Provider.objects.get()
    row.set_proxy_login("ann:s3cret:with/signs@")
    row.save()
    proxy.login = "Basic " + base64.b64encode(b"ann:s3cret:with/signs@").decode()
    assert get_text(ask()) == "first"
    assert proxy.logins == [proxy.login]


def test_a_provider_may_be_asked_directly(ask: Any, several: Several, monkeypatch: Any) -> None:
    several.add("first", proxy="direct")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert get_text(ask()) == "first"


def test_connections_through_two_proxies_are_not_mixed(
    over_tls: None, ask: Any, several: Several, proxy: Proxy
) -> None:
    several.add("first", proxy=proxy.url)
    assert get_text(ask()) == "first"
    with scripted_proxy.proxying() as other:
        Provider.objects.update(proxy=other.url)
        assert get_text(ask()) == "first"
        Provider.objects.update(proxy="direct")
        assert get_text(ask()) == "first"
        assert (len(proxy.asked), len(other.asked)) == (1, 1)


@pytest.mark.parametrize(
    "refuses",
    [b"HTTP/1.1 407 No", b"HTTP/1.1 502 Bad Gateway", b"HTTP/1.1 403 No", b"nonsense", b"\x00"],
)
@pytest.mark.parametrize("is_tls", [True, False])
def test_a_proxy_that_refuses_is_no_fault_of_the_caller(
    request: Any,
    ask: Any,
    several: Several,
    user: User,
    proxy: Proxy,
    caplog: Any,
    refuses: bytes,
    is_tls: bool,
) -> None:
    if is_tls:
        request.getfixturevalue("over_tls")
    several.add("first", proxy=proxy.url)
    row = Provider.objects.get()
    row.set_proxy_login("ann:s3cret")
    row.save()
    proxy.refuses = refuses
    assert ask().status_code in (502, 503)
    assert ledger.balance(user).held == 0
    assert "s3cret" not in caplog.text
    assert base64.b64encode(b"ann:s3cret").decode() not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "socks5://127.0.0.1:1",
        "https://127.0.0.1:1",
        "http://",
        "http://:80",
        "http://u:hunter2@x:y/",
        "127.0.0.1:9",
    ],
)
def test_a_proxy_that_cannot_be_used_is_503(
    ask: Any, several: Several, monkeypatch: Any, caplog: Any, url: str
) -> None:
    several.add("first")
    monkeypatch.setenv("http_proxy", url)
    assert ask().status_code == 503
    assert "hunter2" not in caplog.text


def test_a_silent_proxy_is_left_after_the_seconds_to_connect(ask: Any, several: Several) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        several.add("first", url="https://models.invalid/v1", connect_seconds=1, proxy=url)
        several.add("second")
        started = time.monotonic()
        assert get_text(ask()) == "second"
    assert 0.9 < time.monotonic() - started < 3
    assert tried()[0] == ("first", "upstream_unavailable")


@pytest.mark.parametrize("is_tls", [True, False])
def test_the_list_of_models_goes_through_the_proxy_too(
    request: Any, several: Several, proxy: Proxy, is_tls: bool
) -> None:
    if is_tls:
        request.getfixturevalue("over_tls")
    upstream = several.add("first", proxy=proxy.url)
    assert model_listing.list_models(Provider.objects.get()).names == ["small", "large"]
    assert len(proxy.asked) == 1
    assert upstream.gets[0][0] == "/v1/models"


# --- Compressed answers --------------------------------------------------------------------------


def _deflate_raw(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "GZIP": ("GZIP", gzip.compress),
    "gzip, identity": ("gzip, identity", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", _deflate_raw),
    "two members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "padding": ("gzip", lambda data: gzip.compress(data) + b"\0\0\0"),
    "a lie": ("gzip", lambda data: data),
    "a lie about deflate": ("deflate", lambda data: data),
    "gzip called deflate": ("deflate", gzip.compress),
    "identity": ("identity", lambda data: data),
}


def compressed(body: bytes, coding: tuple[str, Callable[[bytes], bytes]], **named: Any) -> Script:
    name, compress = coding
    return script.raw(compress(body), headers={"Content-Encoding": name}, **named)


ANSWER = b'{"choices": [{"message": {"content": "small"}, "finish_reason": "stop"}]}'


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS.keys())
def test_a_compressed_answer_is_read(ask: Any, several: Several, coding: Any) -> None:
    several.add("first", compressed(ANSWER, coding))
    assert get_text(ask()) == "small"


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS.keys())
def test_a_compressed_refusal_is_read(ask: Any, several: Several, coding: Any) -> None:
    several.add("first", compressed(b'{"error": {"message": "too long"}}', coding, status=400))
    answer = ask()
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "too long")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_compressed_stream_is_inflated_event_by_event(
    ask: Any, several: Several, coding: str, size: int
) -> None:
    """Each event is flushed by the provider, and reaches the caller before the next one."""
    wbits = {"gzip": 31, "deflate": 15, "raw deflate": -15}[coding]
    deflate = zlib.compressobj(wbits=wbits)
    events = [
        script.chunk("Hel"),
        script.chunk("lo", finish="stop"),
        script.usage_chunk(),
        script.DONE,
    ]
    pieces = [deflate.compress(one) + deflate.flush(zlib.Z_SYNC_FLUSH) for one in events]
    pieces.append(deflate.flush())
    whole = b"".join(pieces)
    cut = [whole[at : at + size] for at in range(0, len(whole), size)] if size else pieces

    def act(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Encoding", coding.split()[-1])
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in cut:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    several.add("first", act)
    text = text_of(ask(stream=True))
    assert '"Hel"' in text
    assert "[DONE]" in text
    assert Completion.objects.get().usage_source == "exact"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "compress"])
def test_a_coding_that_is_not_known_is_left_for_the_next(
    ask: Any, several: Several, coding: str
) -> None:
    several.add("first", script.raw(b"\x8b\x01\x80", headers={"Content-Encoding": coding}))
    several.add("second")
    assert get_text(ask()) == "second"


@pytest.mark.parametrize(
    "body",
    [b"\x1f\x8b rubbish that is no gzip", gzip.compress(ANSWER)[:-20]],
    ids=["rubbish", "cut"],
)
def test_a_broken_coding_is_left_for_the_next(ask: Any, several: Several, body: bytes) -> None:
    several.add("first", script.raw(body, headers={"Content-Encoding": "gzip"}))
    several.add("second")
    assert get_text(ask()) == "second"


def test_a_bomb_takes_no_memory(ask: Any, several: Several, user: User) -> None:
    bomb = gzip.compress(b" " * 200_000_000, 9)
    several.add("first", script.raw(bomb, headers={"Content-Encoding": "gzip"}))
    assert ask().status_code == 502
    assert ledger.balance(user).held == 0


@pytest.mark.parametrize(
    ("text", "members"), [(b"0" * 10**8, 1), (b"", 100_000)], ids=["large", "many"]
)
def test_each_read_inflates_to_a_bounded_size(text: bytes, members: int) -> None:
    bomb = gzip.compress(text) * members
    body = inflation.Inflated(Sized(None))
    try:
        sizes = [len(body.feed(bomb[at : at + 65536])) for at in range(0, len(bomb), 65536)]
    except Malformed:
        return
    assert max(sizes) <= inflation.MAX_INFLATED_BYTES


def test_a_compressed_list_of_models_is_read(several: Several) -> None:
    upstream = several.add("first")
    listed = gzip.compress(b'{"data": [{"id": "one"}]}')
    upstream.offers = script.raw(listed, headers={"Content-Encoding": "gzip"})
    assert model_listing.list_models(Provider.objects.get()).names == ["one"]


# --- Base URLs, headers of the key, names --------------------------------------------------------

QUERIES = [
    ("/v1?api-version=2024-10-21", "/v1/chat/completions?api-version=2024-10-21"),
    ("/v1/?api-version=2024-10-21", "/v1/chat/completions?api-version=2024-10-21"),
    (
        "/openai/deployments/gpt-4o?a=1&b=x%20y",
        "/openai/deployments/gpt-4o/chat/completions?a=1&b=x%20y",
    ),
    ("?a=b", "/chat/completions?a=b"),
    ("/v1?", "/v1/chat/completions"),
    ("/v1?a=b#c", "/v1/chat/completions?a=b"),
    ("/v1?a=ü b", "/v1/chat/completions?a=%C3%BC%20b"),
    ("/v1?a=b?c/d", "/v1/chat/completions?a=b?c/d"),
]


@pytest.mark.parametrize(("end", "path"), QUERIES)
def test_the_query_of_a_base_url_comes_after_the_path(
    ask: Any, several: Several, end: str, path: str
) -> None:
    upstream = several.add("first")
    Provider.objects.update(base_url=upstream.url.removesuffix("/v1") + end)
    assert get_text(ask()) == "first"
    assert upstream.paths == [path]


def test_the_environments_url_may_have_a_query(
    chat: Callable[..., Any], user: User, upstream: Any, settings: Any
) -> None:
    settings.LLM_UPSTREAM_BASE_URL = upstream.url + "?api-version=preview"
    chat(user)
    assert upstream.paths == ["/v1/chat/completions?api-version=preview"]


@pytest.mark.parametrize(
    ("header", "own", "expected"),
    [
        ("bearer", "", ("authorization", "Bearer sk-1")),
        ("x-api-key", "", ("x-api-key", "sk-1")),
        ("api-key", "", ("api-key", "sk-1")),
        ("bearer", "X-Goog-Api-Key", ("x-goog-api-key", "sk-1")),
        ("api-key", "Ocp-Apim-Subscription-Key", ("ocp-apim-subscription-key", "sk-1")),
        ("bearer", "Authorization", ("authorization", "sk-1")),
    ],
)
def test_the_key_goes_into_the_header_that_was_chosen(
    ask: Any, several: Several, header: str, own: str, expected: tuple[str, str]
) -> None:
    upstream = several.add("first", key_header=header, own_key_header=own)
    row = Provider.objects.get()
    row.set_key("sk-1")
    row.save()
    assert get_text(ask()) == "first"
    sent = {name.lower(): value for name, value in upstream.requests[0][1].items()}
    assert sent[expected[0]] == expected[1]
    assert sum(value.endswith("sk-1") for value in sent.values()) == 1


NAMES = [
    "โมเดล-ไทย",
    "模型/大",
    "модель:7b",
    "模型 大",
    "🦙-3",
    "a b",
    "x" * 200,
    "ก" * 200,
    "Ω?#%&=+",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_may_have_a_name_in_any_script(
    chat: Callable[..., Any], client: Any, bearer: Any, user: User, several: Several, name: str
) -> None:
    upstream = several.add("first")
    row = LanguageModel.objects.get()
    row.name = name
    row.full_clean()
    row.save()
    Deployment.objects.update(upstream_name="")
    answer = chat(user, model=name, max_tokens=10)
    assert get_text(answer) == "first"
    assert upstream.sent["model"] == name
    listed = client.get("/v1/models", headers=bearer(user)).json()["data"]
    assert [one["id"] for one in listed] == [name]
    assert Completion.objects.get().model == name
    for value in answer.headers.values():
        assert value.isascii()


@pytest.mark.parametrize(
    "name",
    [" a", "a ", "a\n", "a\tb", "a\x00", "\u200ba", "a\u202e", "\ud800", "x" * 201, " ", "\xa0a"],
)
def test_what_is_no_name_is_not_found(
    chat: Callable[..., Any], user: User, several: Several, name: str
) -> None:
    several.add("first")
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "x"}]})
    answer = chat(user, **json.loads(body)) if "\ud800" not in name else None
    assert answer is None or answer.status_code == 404
    with pytest.raises(Exception, match=r"name|characters"):
        LanguageModel(name=name).full_clean()


# --- JSON for events, events for JSON -------------------------------------------------------------

ROUTES: dict[str, tuple[dict[str, Any], Script, list[bytes]]] = {
    "/v1/chat/completions": (
        {},
        script.answer("Hello"),
        [
            script.chunk("Hel"),
            script.chunk("lo"),
            script.chunk(finish="stop"),
            script.usage_chunk(),
            script.DONE,
        ],
    ),
    "/v1/completions": (
        {"prompt": "Hi", "messages": None},
        scripted_routes.text_answer("Hello"),
        scripted_routes.text_pieces("Hel", "lo"),
    ),
    "/v1/responses": (
        {"input": "Hi", "messages": None},
        scripted_routes.response_answer("Hello"),
        scripted_routes.response_pieces("Hel", "lo"),
    ),
    "/v1/messages": (
        {"max_tokens": 100},
        script.raw(json.dumps(scripted_routes.message("Hello")).encode()),
        scripted_routes.message_pieces("Hel", "lo"),
    ),
}
TYPES = ["application/json", "text/event-stream", "text/plain", "text/html; charset=x"]


def as_type(then: Script, content_type: str) -> Script:
    """The same response with another Content-Type, true or not."""

    def act(handler: Handler) -> None:
        send = handler.send_header

        def replace(keyword: str, value: str) -> None:
            send(keyword, content_type if keyword == "Content-Type" else value)

        handler.send_header = replace  # type: ignore[method-assign]
        then(handler)

    return act


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("path", ROUTES)
def test_json_for_events_is_relayed_as_events(
    ask: Any, several: Several, path: str, content_type: str
) -> None:
    body, json_answer, _events = ROUTES[path]
    several.add("first", as_type(json_answer, content_type))
    second = several.add("second")
    text = text_of(ask(path, stream=True, **body))
    assert "Hello" in text
    assert "error" not in text.replace('"error":null', "")
    row = Completion.objects.get()
    assert (row.status, row.usage_source) == ("completed", "exact")
    assert (row.prompt_tokens, row.completion_tokens, second.requests) == (20, 5, [])


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("path", ROUTES)
def test_events_for_json_are_assembled(
    ask: Any, several: Several, path: str, content_type: str
) -> None:
    body, _json_answer, events = ROUTES[path]
    several.add("first", as_type(script.events(*events), content_type))
    second = several.add("second")
    answer = ask(path, stream=False, **body)
    assert answer.status_code == 200
    assert "Hello" in answer.content.decode()
    assert answer.json()["_credits"]["used"] == 1
    row = Completion.objects.get()
    assert (row.status, row.usage_source) == ("completed", "exact")
    assert (row.prompt_tokens, row.completion_tokens, second.requests) == (20, 5, [])


def test_tools_and_thoughts_survive_the_change_of_form(ask: Any, several: Several) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [call],
    }
    whole = {
        "id": "c",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    several.add("first", script.raw(orjson.dumps(whole)))
    lines = [line for line in text_of(ask(stream=True)).split("\n") if line.startswith("data: {")]
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in lines]
    assert deltas[0]["tool_calls"] == [{"index": 0, **call}]
    assert deltas[0]["reasoning_content"] == "hm"


def test_pieces_of_tools_are_put_together(ask: Any, several: Several) -> None:
    def piece(**function: Any) -> bytes:
        call = {"index": 0, "id": "call_1" if "name" in function else "", "function": function}
        choice = {"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}
        return b"data: " + orjson.dumps({"id": "c", "choices": [choice]}) + b"\n\n"

    pieces = [piece(name="f", arguments=""), piece(arguments='{"a"'), piece(arguments=":1}")]
    several.add("first", script.events(*pieces, script.chunk(finish="tool_calls"), script.DONE))
    choice = ask().json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert choice["message"]["tool_calls"][0]["id"] == "call_1"


@pytest.mark.parametrize("path", ROUTES)
def test_events_for_json_that_are_cut_are_left_for_the_next(
    ask: Any, several: Several, user: User, path: str
) -> None:
    body, json_answer, events = ROUTES[path]
    several.add("first", script.events(*events[:2]))
    several.add("second", json_answer)
    assert ask(path, stream=False, **body).status_code == 200
    assert Completion.objects.get().provider == "second"


def test_events_for_json_may_end_without_an_end_of_the_connection(
    ask: Any, several: Several, settings: Any
) -> None:
    settings.LLM_IDLE_SECONDS = 3
    events = ROUTES["/v1/chat/completions"][2]
    upstream = several.add("first", script.until_hung_up(*events))
    assert get_text(ask()) == "Hello"
    assert upstream.hung_up.wait(2)


def test_lines_of_json_are_events(ask: Any, several: Several) -> None:
    lines = b"\n".join(
        one.removeprefix(b"data: ").strip() for one in ROUTES["/v1/chat/completions"][2][:-1]
    )
    several.add("first", script.raw(lines, content_type="application/x-ndjson"))
    text = text_of(ask(stream=True))
    assert '"Hel"' in text
    assert "[DONE]" in text
    assert Completion.objects.get().status == "completed"


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": "x"}',
        b"{}",
        b"[]",
        b'{"object": "list", "data": []}',
        b"{half",
        b"<html>no</html>",
        b"",
        b" ",
        b"null",
        b'{"base_resp": {"status_code": 1000}}',
    ],
    ids=repr,
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_no_answer_is_left_for_the_next(
    ask: Any, several: Several, body: bytes, stream: bool
) -> None:
    several.add("first", script.raw(body))
    several.add("second")
    answer = ask(stream=stream)
    assert "second" in (text_of(answer) if stream else get_text(answer))
