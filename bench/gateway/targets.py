"""The servers that are measured, all with the same requests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle

from bench import streams

OURS, DIRECT = "SmartSpec", "mock alone"
PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Target:
    """A server on loopback.

    `process` is the id of the serving process, whose CPU and memory are counted. `tokens` are used
    in turn if there are any.
    """

    name: str
    port: int
    process: int
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    database: int | None = None  # The process id of its postmaster.

    def requests(self, prompt: str) -> Iterator[bytes]:
        """Yield requests for streamed completions without end, each by the next user."""
        return cycle(self._request(prompt, headers) for headers in self._all_headers())

    def _request(self, prompt: str, headers: Mapping[str, str]) -> bytes:
        return streams.build_request(f"127.0.0.1:{self.port}", PATH, headers, prompt, stream=True)

    def _all_headers(self) -> Iterator[Mapping[str, str]]:
        if not self.tokens:
            yield self.headers
        for token in self.tokens:
            yield {**self.headers, "Authorization": f"Bearer {token}"}
