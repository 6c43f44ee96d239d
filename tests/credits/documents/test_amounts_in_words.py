"""Amounts of baht in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.documents.amounts_in_words import write_baht


@pytest.mark.parametrize(
    ("satang", "thai", "english"),
    [
        (0, "ศูนย์บาทถ้วน", "Zero baht only"),
        (1, "หนึ่งสตางค์", "One satang"),
        (1_00, "หนึ่งบาทถ้วน", "One baht only"),
        (11_00, "สิบเอ็ดบาทถ้วน", "Eleven baht only"),
        (20_00, "ยี่สิบบาทถ้วน", "Twenty baht only"),
        (21_25, "ยี่สิบเอ็ดบาทยี่สิบห้าสตางค์", "Twenty-one baht and twenty-five satang"),
        (101_00, "หนึ่งร้อยเอ็ดบาทถ้วน", "One hundred one baht only"),
        (199_00, "หนึ่งร้อยเก้าสิบเก้าบาทถ้วน", "One hundred ninety-nine baht only"),
        (
            1_234_567_89,
            "หนึ่งล้านสองแสนสามหมื่นสี่พันห้าร้อยหกสิบเจ็ดบาทแปดสิบเก้าสตางค์",
            "One million two hundred thirty-four thousand five hundred sixty-seven baht and"
            " eighty-nine satang",
        ),
        (1_000_001_00, "หนึ่งล้านเอ็ดบาทถ้วน", "One million one baht only"),
        (21_000_000_00, "ยี่สิบเอ็ดล้านบาทถ้วน", "Twenty-one million baht only"),
    ],
)
def test_an_amount_is_written_as_on_a_cheque(satang: int, thai: str, english: str) -> None:
    assert write_baht(satang, "th") == thai
    assert write_baht(satang, "en") == english


@given(st.integers(min_value=0, max_value=10**13), st.integers(min_value=0, max_value=10**13))
def test_two_amounts_never_have_the_same_words(one: int, other: int) -> None:
    for language in ("th", "en"):
        assert (write_baht(one, language) == write_baht(other, language)) == (one == other)
