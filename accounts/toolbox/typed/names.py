"""Names that people give to keys, devices, passkeys and themselves, in any script.

Joiners and word separators are spelling in Persian, Thai and emoji, and stay. Characters that
change how the text around them is read are refused, because names stand in mails and lists.
"""

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# Embeddings, overrides and isolates of direction (UAX 9 §2), deprecated formatting, annotations.
_REFUSED_RANGES = ((0x202A, 0x202E), (0x2066, 0x206F), (0xFFF9, 0xFFFB), (0xFDD0, 0xFDEF))
_REFUSED_CATEGORIES = {"Cc", "Cs", "Co"}
_KINDS: dict[str, str | Promise] = {
    "Cc": gettext_lazy("control character"),
    "Cs": gettext_lazy("half of a character"),
    "Co": gettext_lazy("private-use character"),
    "Cn": gettext_lazy("not a character"),
}
# Letters and symbols that look like nothing: fillers of Hangul, the blank of Braille.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def clean_name(typed: str) -> str:
    """Return a name on one line, because mails have it in their subject.

    Raises ValidationError, which says which character is refused.
    """
    name = " ".join(typed.split())
    for each in name:
        if _is_refused(each):
            raise ValidationError(
                _("A name cannot contain the character %(code)s (%(name)s). Remove it.")
                % {"code": f"U+{ord(each):04X}", "name": _name_character(each)}
            )
    if name and all(_is_invisible(each) for each in name):
        raise ValidationError(_("A name needs a character that can be seen."))
    return name


def _is_refused(each: str) -> bool:
    number = ord(each)
    return (
        unicodedata.category(each) in _REFUSED_CATEGORIES
        or any(first <= number <= last for first, last in _REFUSED_RANGES)
        or number & 0xFFFE == 0xFFFE  # noncharacters (Unicode §23.7)
    )


def _is_invisible(each: str) -> bool:
    return unicodedata.category(each) in {"Cf", "Zs", "Mn", "Me"} or each in _BLANKS


def _name_character(each: str) -> str:
    return unicodedata.name(each, "") or str(_KINDS[unicodedata.category(each)])


class NameField(forms.CharField):
    """A field for a name, which clean_name cleans before its length is checked."""

    def to_python(self, value: Any) -> str:
        return clean_name(str(super().to_python(value) or ""))
