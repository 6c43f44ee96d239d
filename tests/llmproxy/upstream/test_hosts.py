"""The host of a provider or a proxy in Unicode is the one that browsers would ask."""

import pytest

from llmproxy.http1.proxies import parse_proxy
from llmproxy.http1.sockets import NotReachableError
from llmproxy.upstream.places import _locate


def test_a_host_with_eszett_is_another_one_than_with_double_s() -> None:
    place = _locate("https://straße.example/v1", "direct", ("", ""))
    assert place.address.host == "xn--strae-oqa.example"
    assert parse_proxy("http://straße.example:3128").host == "xn--strae-oqa.example"


@pytest.mark.parametrize("host", ["a☕.example", "ä" * 70, "ä..example"])
def test_a_host_that_cannot_be_is_not_reachable(host: str) -> None:
    with pytest.raises(NotReachableError):
        _locate(f"https://{host}/v1", "direct", ("", ""))
    with pytest.raises(NotReachableError):
        parse_proxy(f"http://{host}")
