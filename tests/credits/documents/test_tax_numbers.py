"""Thai tax numbers and their check digit."""

import pytest

from credits.documents.tax_numbers import format_thai_number, is_thai_number, normalise_number


@pytest.mark.parametrize(
    "number",
    [
        "1101700230708",  # a citizen
        "0994000617721",
        "0105556000001",
        "0000000000001",
    ],
)
def test_the_check_digit_is_that_of_the_revenue_department(number: str) -> None:
    expected = _check_digit(number[:12])
    assert is_thai_number(number[:12] + expected)
    others = set("0123456789") - {expected}
    assert not any(is_thai_number(number[:12] + digit) for digit in others)


def _check_digit(first_twelve: str) -> str:
    """Return the last digit by the steps that a person would take on paper."""
    total = 0
    for weight, digit in zip(range(13, 1, -1), first_twelve, strict=True):
        total += weight * int(digit)
    return str(11 - total % 11)[-1]


@pytest.mark.parametrize("number", ["0994000617721", "0994000160097", "1101700230708"])
def test_numbers_that_are_in_use_pass(number: str) -> None:
    assert is_thai_number(number)


@pytest.mark.parametrize(
    "number",
    ["", "0", "099400061772", "09940006177210", "099400061772a", "٠٩٩٤٠٠٠٦١٧٧٢١", "-" * 13],
)
def test_anything_else_is_no_number(number: str) -> None:
    assert not is_thai_number(number)


@pytest.mark.parametrize(
    "typed",
    [
        "0-9940-00617-72-1",
        " 0994000617721\n",
        "๐๙๙๔๐๐๐๖๑๗๗๒๑",
        "0 9940 00617 72 1",
        "０９９４０００６１７７２１",
    ],
)
def test_a_number_may_be_typed_as_it_is_printed(typed: str) -> None:
    assert normalise_number(typed) == "0994000617721"


def test_a_number_is_printed_in_its_groups() -> None:
    assert format_thai_number("0994000617721") == "0-9940-00617-72-1"
    assert format_thai_number("DE123456789") == "DE123456789"
