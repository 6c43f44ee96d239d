"""Lists of who or what used most."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One row: its name, a link to it, whose it is, and its credits and answers."""

    name: str
    link: str
    owner: str
    charged: int
    answers: int


@dataclass(frozen=True, slots=True)
class Places:
    """A list with the most credits first."""

    slug: str
    title: str
    places: Sequence[Place]

    @property
    def top(self) -> int:
        """The credits of the first place, which a full bar stands for."""
        return max((place.charged for place in self.places), default=0) or 1
