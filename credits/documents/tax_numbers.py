"""The tax numbers of Thailand: 13 digits, of which the last checks the others."""

import re
import unicodedata

LENGTH = 13
# The branch of a company: five digits; the head office is number 00000 (Notification of the
# Director-General on VAT No. 199).
BRANCH = re.compile(r"[0-9]{5}\Z")
HEAD_OFFICE = "00000"
_SEPARATORS = re.compile(r"[\s.\-‐-―]+")


def normalise_number(typed: str) -> str:
    """Return a number without spaces and hyphens, in Arabic digits also if it had Thai ones."""
    return "".join(_replace_digit(each) for each in _SEPARATORS.sub("", typed))


def _replace_digit(each: str) -> str:
    value = unicodedata.digit(each, None) if each.isdecimal() else None
    return each if value is None else str(value)


def is_thai_number(number: str) -> bool:
    """True for 13 digits with the right check digit.

    Citizens and companies have the same form: digit k of the first twelve counts 14 − k times, and
    the last digit is 11 minus the sum modulo 11, of which only the last figure stays.
    """
    if len(number) != LENGTH or not (number.isascii() and number.isdigit()):
        return False
    digits = [int(each) for each in number]
    weighted = sum((LENGTH - place) * digit for place, digit in enumerate(digits[:-1]))
    return (11 - weighted % 11) % 10 == digits[-1]


def format_thai_number(number: str) -> str:
    """Return 0-1055-12345-67-8 for the 13 digits of a Thai number, any other text as it is."""
    if not is_thai_number(number):
        return number
    return f"{number[0]}-{number[1:5]}-{number[5:10]}-{number[10:12]}-{number[12]}"
