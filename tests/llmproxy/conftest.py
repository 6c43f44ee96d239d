from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.test import Client

from accounts.models import User
from tests.llmproxy import scripted_upstream
from tests.llmproxy.scripted_upstream import Upstream

MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def upstream(settings: Any) -> Iterator[Upstream]:
    with scripted_upstream.serving() as served:
        settings.LLM_UPSTREAM_BASE_URL = served.url
        settings.LLM_UPSTREAM_API_KEY = "sk-provider"
        settings.LLM_UPSTREAM_MODELS = ["small", "large"]
        yield served


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user(credits=50)


@pytest.fixture
def person(client: Client, user: User) -> Client:
    """A browser in which `user` is logged in."""
    client.force_login(user)
    return client


@pytest.fixture
def chat(client: Client, bearer: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    """Call a gateway route as a user; keyword arguments are the body's parameters."""

    def call(
        user: User, path: str = "/v1/chat/completions", *, headers: Any = None, **body: Any
    ) -> Any:
        return client.post(
            path,
            orjson.dumps({"messages": MESSAGES, **body}),
            content_type="application/json",
            headers={**bearer(user), **(headers or {})},
        )

    return call


def text_of(response: Any) -> str:
    """The body of a streamed response. Reads it to its end and closes it, as a client does."""
    body = b"".join(response.streaming_content).decode()
    response.close()
    return body
