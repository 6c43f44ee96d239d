"""Lists at Stripe, page by page."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypedDict

from credits.stripe_api.client import Answer, ask

if TYPE_CHECKING:
    from stripe import StripeClient, StripeObject

PAGE = 100  # The objects in one answer, the most that Stripe gives.
MAX_PAGES = 1000  # Of one list.


class After(TypedDict, total=False):
    """The parameter that asks for the page after an object; empty for the first page."""

    starting_after: str


def read_pages(
    make_call: "Callable[[After], Callable[[StripeClient], StripeObject]]",
) -> Iterator[Answer]:
    """Yield the objects of a list, at most MAX_PAGES pages of them.

    `make_call` returns the call for the page after an object. Raises as `ask` does.
    """
    after: After = {}
    for _ in range(MAX_PAGES):
        page = ask(make_call(after))
        yield from page["data"]
        if not page["has_more"]:
            return
        after = {"starting_after": page["data"][-1]["id"]}
