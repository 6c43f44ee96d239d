"""What is measured, all of it asked the same question."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle

from bench import streams

OURS, DIRECT = "SmartSpec", "mock alone"
PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Target:
    """A server on loopback; `process` serves (its CPU and memory are counted), `tokens` go round if there are any."""

    name: str
    port: int
    process: int
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    database: int | None = None  # its postmaster

    def requests(self, text: str) -> Iterator[bytes]:
        """One streamed completion after another, each by the next user."""
        return cycle(self._request(text, headers) for headers in self._all_headers())

    def _request(self, text: str, headers: Mapping[str, str]) -> bytes:
        return streams.request(f"127.0.0.1:{self.port}", PATH, headers, text, stream=True)

    def _all_headers(self) -> Iterator[Mapping[str, str]]:
        if not self.tokens:
            yield self.headers
        for token in self.tokens:
            yield {**self.headers, "Authorization": f"Bearer {token}"}
