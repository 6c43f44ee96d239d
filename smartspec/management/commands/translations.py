"""The catalogues without the gettext programs: collect the texts, update and build it.

The command needs polib from requirements-dev.txt. A running service reads only the built file.
"""

import ast
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation.template import templatize

APPS = ("accounts", "credits", "deviceauth", "llmproxy", "smartspec")
CATALOGUE = settings.BASE_DIR / "locale/th/LC_MESSAGES/django.po"
# Our English for texts of libraries. It is written by hand.
ENGLISH = settings.BASE_DIR / "locale/en/LC_MESSAGES/django.po"
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
STRING = r"""u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf"\b(?:n?gettext|_)\({STRING}(?:,\s*{STRING})?", re.DOTALL)


class Text(NamedTuple):
    """A text to translate. `plural` is empty for a text without numbers."""

    text: str
    plural: str = ""


class Command(BaseCommand):
    help = (
        "Bring locale/th/…/django.po up to date with the code and build both files django.mo. Fails"
        " while a text has no Thai translation."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        import polib

        catalogue = polib.pofile(str(CATALOGUE))
        update(catalogue, collect())
        if not options["check"]:
            catalogue.save(str(CATALOGUE))
        for path, texts in ((CATALOGUE, catalogue), (ENGLISH, polib.pofile(str(ENGLISH)))):
            built = path.with_suffix(".mo")
            if not options["check"]:
                texts.save_as_mofile(str(built))
            elif texts.to_binary() != built.read_bytes():
                raise CommandError("The built catalogue is old. Run: manage.py translations")
        if missing := [entry.msgid for entry in catalogue.untranslated_entries()]:
            raise CommandError("No Thai yet for:\n" + "\n".join(missing))
        self.stdout.write(f"{len(catalogue)} texts, all in Thai.")


def update(catalogue: Any, files_by_text: dict[Text, set[str]]) -> None:
    """Add new texts and remove unused ones. Entries name files, not lines, which change daily."""
    from polib import POEntry

    known = {Text(entry.msgid, entry.msgid_plural): entry for entry in catalogue}
    del catalogue[:]
    for text, files in sorted(files_by_text.items(), key=lambda item: (sorted(item[1]), item[0])):
        plural = {"msgid_plural": text.plural, "msgstr_plural": {0: ""}} if text.plural else {}
        entry = known.get(text) or POEntry(msgid=text.text, **plural)
        entry.occurrences = [(file, "") for file in sorted(files)]
        catalogue.append(entry)


def collect() -> dict[Text, set[str]]:
    """Map every marked text of the code and the templates to the files that contain it."""
    files_by_text: dict[Text, set[str]] = {}
    for path in _list_sources():
        texts = read_python(path) if path.suffix == ".py" else read_template(path)
        for text in texts:
            files = files_by_text.setdefault(text, set())
            files.add(path.relative_to(settings.BASE_DIR).as_posix())
    return files_by_text


def _list_sources() -> Iterator[Path]:
    for app in APPS:
        yield from (
            path
            for path in (settings.BASE_DIR / app).rglob("*.py")
            if "migrations" not in path.parts
        )
    for suffix in ("html", "txt"):
        yield from (settings.BASE_DIR / "templates").rglob(f"*.{suffix}")


def read_python(path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            texts = [
                arg.value
                for arg in node.args[:2]
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if texts:
                yield Text(*texts)


def read_template(path: Path) -> Iterator[Text]:
    # templatize returns what Django's makemessages would pass to xgettext.
    for match in CALL.finditer(templatize(path.read_text(), origin=str(path))):
        yield Text(*(ast.literal_eval(string) for string in match.groups() if string))
