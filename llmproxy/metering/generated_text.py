"""Counts the text that a model has generated, piece by piece. Pure."""

from typing import Any

from llmproxy.metering.data_urls import START, STARTS, DataUrlFilter, count_bytes

MAX_FILTERS = 64


class GeneratedText:
    """The bytes of text that an answer has so far. A prompt that is echoed was not generated."""

    def __init__(self, echoed_bytes: int) -> None:
        self.generated_bytes = -echoed_bytes
        self.texts = 0  # pieces of text
        self.has_media = False
        # Some providers send a text in pieces, then whole. The largest sum was generated.
        self._repeated: dict[str, int] = {}
        self._echoed_bytes = echoed_bytes
        self._filters: dict[int | str, DataUrlFilter] = {}  # of texts that may be within a data URL

    def count_text(self, piece: str, place: Any = None) -> None:
        """Count a piece of generated text. The pieces of one text have the same `place`."""
        if piece:
            self.texts += 1
            if self._filters or START in piece or piece.endswith(STARTS):
                self.generated_bytes += self._filter(piece, place)
            else:
                self.generated_bytes += count_bytes(piece)

    def _filter(self, piece: str, place: Any) -> int:
        """The bytes of a piece without data URLs, of which this piece may be the middle."""
        place = place if isinstance(place, int | str) else ""
        data_urls = self._filters.pop(place, None) or DataUrlFilter()
        size = data_urls.count(piece)
        self.has_media = self.has_media or data_urls.has_found
        if not data_urls.is_idle and len(self._filters) < MAX_FILTERS:
            self._filters[place] = data_urls
        return size

    def count_again(self, pieces: list[str], source: str = "message") -> None:
        """Count texts of a source that may repeat what has come in pieces, or from another."""
        size = self._repeated.get(source, -self._echoed_bytes)
        for piece in pieces:
            self.texts += 1
            if START in piece:
                data_urls = DataUrlFilter()
                size += data_urls.count(piece)
                self.has_media = self.has_media or data_urls.has_found
            else:
                size += count_bytes(piece)
        self._repeated[source] = size
        self.generated_bytes = max(self.generated_bytes, size)
