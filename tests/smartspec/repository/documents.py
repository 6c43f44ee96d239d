"""Finds the links, files, commands and settings that the Markdown documents name.

Only files of the repository are read.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[3]
# Paths in billing.md are relative to tests/, paths in device-login.md to its application.
BASES = tuple(
    ROOT / base for base in ("", "tests", "tests/deviceauth", "deviceauth", "templates/deviceauth")
)
FOLDERS = frozenset(
    """
    .ci accounts bench credits deploy deviceauth docs llmproxy locale smartspec static templates
    tests tools admin completion oauth receipts routes
    """.split()  # noqa: SIM905 – a list of twenty strings would take twenty lines
)
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"([.\w-]+)(/[.\w-]+)*/?")
FILE_NAME = re.compile(r"[\w-]+\.(py|sql|html|sh|toml|md|yaml|mjs|css|js|po|mo)")
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
ASSIGNED = re.compile(r"^ *([A-Z][A-Z0-9_]+)\b[^=\n]*=", re.MULTILINE)


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def broken_links(document: Path, text: str) -> list[str]:
    """Return the relative links whose file or heading does not exist."""
    targets = (link for link in LINK.findall(FENCE.sub("", text)) if "://" not in link)
    return [link for link in targets if not _leads_somewhere(document, link)]


def _leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text())


def anchors(text: str) -> set[str]:
    """Return the ids that GitHub gives the headings."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_files(text: str) -> list[str]:
    """Return the paths and file names in backticks that are not in the repository."""
    return [name for name in map(_file_of, SPAN.findall(text)) if name and not _exists(name)]


def _file_of(span: str) -> str | None:
    """Return the span if it is a path or file name, without the name of a test after it."""
    name = span.partition("::")[0]
    is_path = PATH.fullmatch(name) and "/" in name and name.partition("/")[0] in FOLDERS
    return name if is_path or FILE_NAME.fullmatch(name) else None


def _exists(name: str) -> bool:
    if "/" in name:
        return any((base / name).exists() for base in BASES)
    return name in file_names()


@cache
def file_names() -> frozenset[str]:
    """Return the names of all files in the root and the folders of the repository."""
    below = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))
    return frozenset(file.name for file in (*ROOT.iterdir(), *below) if file.is_file())


def missing_commands(text: str) -> list[str]:
    """Return the `manage.py` commands, make targets and modules of bench that do not exist."""
    commands = [
        name for name in re.findall(r"manage\.py ([a-z_]+)", text) if name not in get_commands()
    ]
    targets = [
        name
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)
        if name not in make_targets()
    ]
    modules = [name for name in re.findall(r"-m (bench(?:\.\w+)*)", text) if not _is_module(name)]
    return [*commands, *targets, *modules]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def missing_variables(text: str) -> list[str]:
    """Return the settings, environment variables and constants in backticks that are undefined."""
    spans = (span.partition("=")[0] for span in SPAN.findall(text))
    names = (name for name in spans if VARIABLE.fullmatch(name))
    return [name for name in names if not (_is_setting(name) or name in defined_names())]


def _is_setting(name: str) -> bool:
    return hasattr(settings, name) or name in settings.DATABASES["default"]


@cache
def defined_names() -> frozenset[str]:
    """Return the names in capitals that .env.example, a shell script or a module assigns."""
    sources = [ROOT / ".env.example", ROOT / "Makefile", *ROOT.glob("*.py"), *ROOT.glob("tools/*")]
    for folder in ("accounts", "credits", "deviceauth", "llmproxy", "smartspec", "tests"):
        sources += (ROOT / folder).rglob("*.py")
    texts = (source.read_text() for source in sources if source.is_file())
    return frozenset(name for text in texts for name in ASSIGNED.findall(text))


Layers = dict[str, list[str]]


def contracts() -> Layers:
    """Return the layers of each import contract by its name, from top to bottom."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {
        contract["name"]: contract["layers"]
        for contract in linter["contracts"]
        if contract["type"] == "layers"
    }


def drawn_layers(text: str) -> Layers:
    """Read the picture in architecture.md: a contract's name, then one indented line per layer."""
    (picture,) = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return dict(_blocks(picture.splitlines()))


def _blocks(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    name, layers = "", list[str]()
    for line in lines:
        if line.startswith(" "):
            layers.append(line.strip())
        elif line:
            name, layers = line, []
            yield name, layers
