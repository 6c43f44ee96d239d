"""What says that it is compressed is, whoever wrote it last."""

import gzip

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        *("/readyz?full", "/healthz/x", "/metrics", "/v1/nothing", "/api/nothing", "/nothing"),
        *("/.well-known/nothing", "/admin/nothing/", "/accounts/login/", "/static/nothing.css"),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_a_text_has_the_encoding_that_it_names(client: Client, path: str, accept: str) -> None:
    answer = client.get(path, headers={"accept-encoding": "gzip", "accept": accept})
    body = answer.content
    assert int(answer.get("content-length", str(len(body)))) == len(body)
    if "content-encoding" in answer:
        assert answer["content-encoding"] == "gzip"
        body = gzip.decompress(body)
    body.decode()
