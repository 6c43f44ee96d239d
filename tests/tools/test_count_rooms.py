"""tools/count_rooms.py counts the modules whose functions run, and no others."""

from llmproxy.metering import pricing
from tools import count_rooms
from tools.count_rooms import Rooms


def test_modules_whose_functions_run_are_counted() -> None:
    rooms: Rooms = {}
    with count_rooms.noting_calls(rooms):
        pricing.held_tokens(10)
    assert rooms == {"llmproxy.metering.pricing": {"held_tokens"}}


def test_the_code_of_a_module_that_is_imported_is_not_counted() -> None:
    rooms: Rooms = {}
    module = compile("name = 1", "views.py", "exec")
    with count_rooms.noting_calls(rooms):
        exec(module, {"__name__": "llmproxy.views"})
    assert rooms == {}


def test_the_list_names_the_functions_and_ends_with_the_count() -> None:
    text = count_rooms.describe({"llmproxy.views": {"b", "a"}, "accounts.mails": {"tell"}})
    assert text.splitlines() == ["accounts.mails: tell", "llmproxy.views: a, b", "2 rooms"]
