"""Form fields for codes that people type from a mail or an app.

A text that cannot be a code is refused before it is compared, so it uses up no attempt.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.toolbox.typed.codes import find_digits, find_letters

MALFORMED = "malformed_code"  # the code of the ValidationError


class CodeField(forms.CharField):
    """A field whose value is the code that `find` finds in the text."""

    def __init__(
        self, find: Callable[[str], str | None], refusal: str | Promise, *, like: forms.Field
    ) -> None:
        super().__init__(label=like.label, widget=like.widget)
        self.find, self.refusal = find, refusal

    def to_python(self, value: Any) -> str:
        typed = str(super().to_python(value) or "")
        if not typed:
            return ""
        code = self.find(typed)
        if code is None:
            raise ValidationError(str(self.refusal), code=MALFORMED)
        return code


def build_letters_field(like: forms.Field) -> CodeField:
    """Return a field for the eight letters of a mail."""
    return CodeField(
        find_letters,
        _(
            "The code has eight letters, like BCDF-GHJK. If other letters appear when you type, "
            "switch the keyboard to English."
        ),
        like=like,
    )


def build_digits_field(like: forms.Field, *, recovery: bool) -> CodeField:
    """Return a field for the six digits of an app, and with `recovery` for a recovery code too."""
    lengths = (6, 8) if recovery else (6,)
    refusal = (
        _("A code from the app has six digits, a recovery code has eight.")
        if recovery
        else _("A code from the app has six digits.")
    )
    return CodeField(partial(find_digits, lengths=lengths), refusal, like=like)
