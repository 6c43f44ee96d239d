"""Files of providers are read as they are, and whatever is not certain is refused in words."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from llmproxy.reconciliation.cells import FileRefused
from llmproxy.reconciliation.files import File, read_file
from tests.llmproxy.reconciliation import exports

DAY = date(2025, 3, 2)


def add_up(file: File, name: str) -> Any:
    values = [getattr(line, name) for line in file.lines if line.day == DAY]
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def read_sums(text: str | bytes) -> tuple[Any, ...]:
    file = read_file(text if isinstance(text, bytes) else text.encode())
    names = ("requests", "prompt_tokens", "completion_tokens", "cost")
    return file.format.name, *(add_up(file, name) for name in names)


def test_each_export_is_recognised_and_summed_up() -> None:
    for name, (text, *sums, cost) in exports.ALL.items():
        expected = (name, *sums, None if cost is None else Decimal(cost))
        assert read_sums(text) == expected


def reorder(text: str) -> str:
    return "\n".join(",".join(reversed(line.split(","))) for line in text.splitlines())


SPELT: dict[str, Callable[[str], str | bytes]] = {
    "order of columns": reorder,
    "BOM and CRLF": lambda text: ("\ufeff" + text.replace("\n", "\r\n")).encode(),
    "UTF-16 with tabs": lambda text: text.replace(",", "\t").encode("utf-16"),
    "semicolons": lambda text: text.replace(",", ";"),
    "quotes and thousands": lambda text: text.replace(",300,", ',"0,300",').replace(
        '"0,300"', '" 300 "'
    ),
    "dollars": lambda text: text.replace("0.0055", "$0.0055"),
    "a time zone": lambda text: text.replace("2025-03-02,", "2025-03-01T20:00:00-07:00,"),
    "totals": lambda text: text + "Total,,0.0055,0.001,2,300,30,0\n,Grand total:,9,9,9,9,9,9\n",
    "blank lines and a second header": lambda text: f"\n\n{text}\n\n{text.splitlines()[0]}\n",
    "upper case": lambda text: text.replace("Prompt Tokens", "PROMPT_TOKENS"),
    "old Mac": lambda text: text.replace("\n", "\r"),
}


@pytest.mark.parametrize("spell", SPELT.values(), ids=SPELT)
def test_spellings_of_a_file_say_the_same(spell: Callable[[str], str | bytes]) -> None:
    expected = ("openrouter_days", 2, 300, 30, Decimal("0.0065"))
    assert read_sums(spell(exports.OPENROUTER_DAYS)) == expected


def test_thousands_are_read_in_groups_of_three() -> None:
    for number in ('"1,234,567"', "1 234 567", "1'234'567", "1234567", "1234567.0", "$1234567"):
        text = exports.OPENROUTER_DAYS.replace(",300,", f",{number},")
        assert read_sums(text)[2] == 1_234_567, number


def test_a_request_that_is_in_the_file_twice_counts_once() -> None:
    again = exports.OPENROUTER + exports.OPENROUTER.splitlines()[1] + "\n"
    assert read_sums(again) == read_sums(exports.OPENROUTER)
    assert read_file(again.encode()).left_out == {"repeated": 1}


# What is done to the file by day, and words of the refusal.
BAD: dict[str, tuple[Callable[[str], Any], str]] = {
    "nothing": (lambda text: "", "empty"),
    "only a header": (lambda text: text.splitlines()[0], "no usage"),
    "a workbook": (lambda text: b"PK\x03\x04rest", "workbook"),
    "a picture": (lambda text: b"\x89PNG\r\n\x1a\n", "no text"),
    "NUL": (lambda text: text + "\0", "no text"),
    "another CSV": (lambda text: "name,age\nAnn,5\n", "no usage export of OpenAI"),
    "a missing column": (lambda text: text.replace("Requests", "Reqs"), "missing: requests"),
    "a column twice": (lambda text: text.replace("Slug", "Date"), "“date” is in the file twice"),
    "a line cut off": (lambda text: text[:-9], "Line 2 has 6 cells, the header 8"),
    "a formula": (lambda text: text.replace("openai/gpt-4o", '"=HYPERLINK(1)"'), "is a formula"),
    "a hidden formula": (lambda text: text.replace("openai/gpt-4o", "@SUM(1)"), "is a formula"),
    "a formula as number": (lambda text: text.replace(",300,", ",=1+2,"), "is a formula"),
    "negative": (lambda text: text.replace(",300,", ",-300,"), "is negative"),
    "in brackets": (lambda text: text.replace("0.0055", "(0.0055)"), "is negative"),
    "a part of a token": (lambda text: text.replace(",300,", ",300.5,"), "no whole number"),
    "NaN": (lambda text: text.replace(",300,", ",NaN,"), "no number that is certain"),
    "1e300": (lambda text: text.replace("0.0055", "1e300"), "no number that is certain"),
    "1e99": (lambda text: text.replace("0.0055", "1e99"), "too high"),
    "a decimal comma": (lambda text: text.replace("0.0055", '"0,0055"'), "no number"),
    "commas between semicolons": (
        lambda text: text.replace(",", ";").replace(";300;", ";1,300;"),
        "no number",
    ),
    "euros": (lambda text: text.replace("0.0055", "€0.0055"), "no number"),
    "no tokens": (lambda text: text.replace(",300,", ",,"), "“prompt_tokens”: “” is empty"),
    "an American date": (lambda text: text.replace("2025-03-02", "11/02/2026"), "no date"),
    "another calendar": (lambda text: text.replace("2025-03-02", "0001-01-01"), "no day of a bill"),
    "no calendar": (lambda text: text.replace("2025-03-02", "2026-02-31"), "no date"),
    "the future": (lambda text: text.replace("2025-03-02", "9999-12-31"), "no day of a bill"),
    "a name too long": (lambda text: text.replace("openai/gpt-4o", "x" * 201), "is no name"),
    "a control character": (lambda text: text.replace("gpt-4o", "gpt\x1b[31m"), "is no name"),
    "a cell too long": (lambda text: text.replace("gpt-4o", "x" * 200_000), "is no CSV"),
    "two years": (lambda text: text + "2024-01-01,m,1,0,1,1,1,0\n", "more than 400 days"),
}


@pytest.mark.parametrize(("spoil", "words"), BAD.values(), ids=BAD)
def test_what_is_not_certain_is_refused_in_words(spoil: Callable[[str], Any], words: str) -> None:
    spoilt = spoil(exports.OPENROUTER_DAYS)
    with pytest.raises(FileRefused, match=words.replace("(", r"\(")):
        read_file(spoilt if isinstance(spoilt, bytes) else spoilt.encode())


def test_other_formats_have_refusals_of_their_own() -> None:
    costs, usage = exports.OPENAI_COSTS, exports.OPENAI_USAGE
    changed = exports.OPENROUTER + exports.OPENROUTER.splitlines()[1].replace(",100,", ",101,")
    for text, words in {
        costs.replace(",usd,", ",eur,"): "only US dollars",
        usage.replace("1740960000", "1743465600"): "more than one day",
        usage.replace("1740873600,1740960000", "1740900000,1740986400"): "more than one day",
        "start_time,end_time,start_time_iso,end_time_iso\n1,2,3,4\n": "export of OpenAI has no",
        changed: "is in the file twice, and differs",
        exports.OPENROUTER.replace("gen-1", ""): "“generation_id”: “” is empty",
    }.items():
        with pytest.raises(FileRefused, match=words):
            read_file(text.encode())


def test_numbers_that_no_column_holds_are_refused() -> None:
    lines = exports.OPENROUTER_DAYS.splitlines(keepends=True)
    many = lines[0] + "".join(lines[1].replace("gpt-4o", f"m{number}") for number in range(3))
    for text in (
        many.replace(",300,", f",{4 * 10**14},"),
        many.replace(",0.0055,", f",{4 * 10**7},"),
        exports.OPENROUTER.replace(",0.0025,", ",1000000,"),
    ):
        with pytest.raises(FileRefused, match="too high"):
            read_file(text.encode())
