"""The table of price kinds, which all code that uses prices reads.

How to add one: docs/adding-a-price-kind.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Unit:
    """What a price is for: `size` of the things that `name` names."""

    name: str
    size: int
    label: Any


TOKEN = Unit("token", 1000, _("per 1,000"))
IMAGE = Unit("image", 1, _("per image"))
PAGE = Unit("page", 1, _("per page"))
SECOND = Unit("second", 1, _("per second"))
REQUEST = Unit("request", 1, _("per request"))


@dataclass(frozen=True, slots=True)
class PriceKind:
    """A kind of tokens, or of other things, that has its own price.

    * `count`: the name of their number in `Usage`.
    * `part_of`: the kind that includes them. Such a kind costs what that kind costs while a model
      has no price for it. A kind of things other than tokens is part of nothing; it costs nothing
      without a price.
    * `always_possible`: True if every completion can have some of it, so that every hold has to
      cover it; False if it takes a request that asks for it.
    * `has_columns`: True if count and price are columns of `completions`. Those of all other kinds
      are members of `completions.extras`, which is NULL for most completions.
    """

    name: str
    label: Any
    label_on_receipts: Any
    count: str
    part_of: str | None = None
    unit: Unit = TOKEN
    has_columns: bool = False
    always_possible: bool = True

    @property
    def column(self) -> str:
        """The name of the price's column in the table of models, and of completions if there."""
        return f"{self.name}_price"

    @property
    def long_column(self) -> str:
        """The name of the column of models with the price of a long prompt. Tokens only."""
        return f"long_{self.name}_price"


# A kind comes before its parts. Where the reported parts of a whole overlap, the earlier one keeps
# its tokens. The order is that of forms and receipts.
PRICE_KINDS = (
    PriceKind("prompt", _("prompt price"), _("Your request"), "prompt_tokens", has_columns=True),
    PriceKind(
        "cached_prompt",
        _("cached prompt price"),
        _("Your request, cached"),
        "cached_tokens",
        part_of="prompt",
        has_columns=True,
    ),
    PriceKind(
        "cache_write",
        _("cache write price"),
        _("Your request, written to the cache"),
        "cache_write_tokens",
        part_of="prompt",
        has_columns=True,
    ),
    PriceKind(
        "cache_write_1h",
        _("cache write price, 1 hour"),
        _("Your request, written to the cache for an hour"),
        "cache_write_1h_tokens",
        part_of="cache_write",
        always_possible=False,
    ),
    PriceKind(
        "audio_prompt",
        _("audio prompt price"),
        _("Your request, audio"),
        "audio_prompt_tokens",
        part_of="prompt",
        always_possible=False,
    ),
    PriceKind(
        "image_prompt",
        _("image prompt price"),
        _("Your request, images"),
        "image_prompt_tokens",
        part_of="prompt",
        always_possible=False,
    ),
    PriceKind(
        "completion", _("completion price"), _("Answer"), "completion_tokens", has_columns=True
    ),
    PriceKind(
        "audio_completion",
        _("audio completion price"),
        _("Answer, audio"),
        "audio_completion_tokens",
        part_of="completion",
        always_possible=False,
    ),
    PriceKind(
        "image_completion",
        _("image completion price"),
        _("Answer, images"),
        "image_completion_tokens",
        part_of="completion",
    ),
    PriceKind(
        "image", _("price of an image"), _("Images"), "images", unit=IMAGE, always_possible=False
    ),
    PriceKind(
        "page",
        _("price of a page"),
        _("Pages of documents"),
        "pages",
        unit=PAGE,
        always_possible=False,
    ),
    PriceKind(
        "audio_second",
        _("price of a second of audio"),
        _("Seconds of audio"),
        "audio_seconds",
        unit=SECOND,
        always_possible=False,
    ),
    PriceKind("request", _("price of a request"), _("Request"), "requests", unit=REQUEST),
)
BY_NAME = {kind.name: kind for kind in PRICE_KINDS}
TOKEN_KINDS = tuple(kind for kind in PRICE_KINDS if kind.unit is TOKEN)
COLUMN_KINDS = tuple(kind for kind in PRICE_KINDS if kind.has_columns)
EXTRA_KINDS = tuple(kind for kind in PRICE_KINDS if not kind.has_columns)
PRICE_COLUMNS = tuple(kind.column for kind in PRICE_KINDS)
LONG_COLUMNS = tuple(kind.long_column for kind in TOKEN_KINDS)
PARTS = frozenset(kind.name for kind in PRICE_KINDS if kind.part_of)
COUNT_COLUMNS = (*(kind.count for kind in COLUMN_KINDS), "reasoning_tokens")
EXTRA_COUNTS = tuple(kind.count for kind in EXTRA_KINDS)


def list_parts(whole: PriceKind) -> list[PriceKind]:
    """The kinds that are included in this kind."""
    return [kind for kind in PRICE_KINDS if kind.part_of == whole.name]


def list_with_parts(whole: PriceKind, kinds: Iterable[PriceKind]) -> list[PriceKind]:
    """Those of `kinds` that are this kind, or a part of it, or a part of a part."""
    names = {whole.name}
    for kind in PRICE_KINDS:
        if kind.part_of in names:
            names.add(kind.name)
    return [kind for kind in kinds if kind.name in names]
