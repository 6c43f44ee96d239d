"""Records which texts of libraries reach a page."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import allauth
import django
import polib
import pytest
import rest_framework
import unfold
from django.utils import translation
from django.utils.html import escape

from smartspec.management.commands.translations import CATALOGUE, ENGLISH

LIBRARIES = (allauth, django, rest_framework, unfold)
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}|%%")


@cache
def read_library_texts() -> frozenset[str]:
    """Return every English text in a catalogue of a library."""
    found: set[str] = set()
    for library in LIBRARIES:
        for path in Path(str(library.__file__)).parent.rglob("locale/th/LC_MESSAGES/django.po"):
            for entry in polib.pofile(str(path)):
                found.update({entry.msgid, entry.msgid_plural} - {""})
    return frozenset(found)


@cache
def read_our_texts(language: str) -> frozenset[str]:
    """Return the texts for which we have words of our own in this language."""
    own = list(polib.pofile(str(CATALOGUE)))
    if language == "en":
        marked = ["accounts/library_texts.py"]  # these have our Thai, and English in another file
        own = [entry for entry in own if [file for file, _ in entry.occurrences] != marked]
        own = [*own, *polib.pofile(str(ENGLISH))]
    return frozenset(text for entry in own for text in (entry.msgid, entry.msgid_plural))


class Recorder:
    """The texts of libraries that were asked for, with what was answered."""

    def __init__(self) -> None:
        self.asked: dict[str, set[str]] = {}

    def list_on(self, page: str, language: str) -> set[str]:
        """Return the texts of libraries that stand on this page in words of the library."""
        words = " ".join(page.split())
        return {
            text
            for text, answers in self.asked.items()
            if text in read_library_texts() - read_our_texts(language)
            if any(_stands_on(answer, words) for answer in answers)
        }


def _stands_on(text: str, page: str) -> bool:
    """Return whether each part of the text between its placeholders is on the page as words."""
    parts = [" ".join(part.split()) for part in PLACEHOLDER.split(str(text))]
    parts = [part for part in parts if any(each.isalpha() for each in part)]
    return bool(parts) and all(
        any(
            re.search(rf"(?<![\w-]){re.escape(form)}(?![\w-])", page)
            for form in (part, str(escape(part)))
        )
        for part in parts
    )


@contextmanager
def record_texts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()

    def record(translate: Callable[..., str], place: int, *args: Any) -> str:
        answer = translate(*args)
        recorder.asked.setdefault(str(args[place]), set()).add(str(answer))
        return answer

    catalogue: Any = vars(translation)["_trans"]
    with monkeypatch.context() as patch:
        for name, place in (("gettext", 0), ("pgettext", 1), ("ngettext", 0), ("npgettext", 1)):
            patch.setattr(catalogue, name, partial(record, getattr(catalogue, name), place))
        yield recorder
