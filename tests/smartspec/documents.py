"""What the Markdown documents name, and whether it is there. Pure, but for the repository's own files."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
# billing.md says that its paths are below tests/; those of device-login.md are below its application.
BASES = tuple(
    ROOT / base for base in ("", "tests", "tests/deviceauth", "deviceauth", "templates/deviceauth")
)
FOLDERS = frozenset(
    """
    .ci accounts bench credits deploy deviceauth docs llmproxy locale smartspec static templates tests tools
    admin completion oauth receipts routes
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
    """Relative links whose file, or heading in it, does not exist."""
    targets = (link for link in LINK.findall(FENCE.sub("", text)) if "://" not in link)
    return [link for link in targets if not _leads_somewhere(document, link)]


def _leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text())


def anchors(text: str) -> set[str]:
    """The ids that GitHub gives the headings."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_files(text: str) -> list[str]:
    """Paths and file names in backticks that are not in the repository."""
    return [name for name in map(_file_of, SPAN.findall(text)) if name and not _exists(name)]


def _file_of(span: str) -> str | None:
    """The path or file name that a span is, without the test that may follow it."""
    name = span.partition("::")[0]
    is_path = PATH.fullmatch(name) and "/" in name and name.partition("/")[0] in FOLDERS
    return name if is_path or FILE_NAME.fullmatch(name) else None


def _exists(name: str) -> bool:
    if "/" in name:
        return any((base / name).exists() for base in BASES)
    return name in file_names()


@cache
def file_names() -> frozenset[str]:
    """The names of all files in the folders of the repository, and beside them."""
    below = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))
    return frozenset(file.name for file in (*ROOT.iterdir(), *below) if file.is_file())


def missing_commands(text: str) -> list[str]:
    """`manage.py` commands, make targets and modules of bench that do not exist."""
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
    """Settings, environment variables and constants in backticks that nothing defines."""
    spans = (span.partition("=")[0] for span in SPAN.findall(text))
    names = (name for name in spans if VARIABLE.fullmatch(name))
    return [name for name in names if not (_is_setting(name) or name in defined_names())]


def _is_setting(name: str) -> bool:
    return hasattr(settings, name) or name in settings.DATABASES["default"]


@cache
def defined_names() -> frozenset[str]:
    """Names in capitals that .env.example, a shell script or a module assigns."""
    sources = [ROOT / ".env.example", ROOT / "Makefile", *ROOT.glob("*.py"), *ROOT.glob("tools/*")]
    for folder in ("accounts", "credits", "deviceauth", "llmproxy", "smartspec", "tests"):
        sources += (ROOT / folder).rglob("*.py")
    texts = (source.read_text() for source in sources if source.is_file())
    return frozenset(name for text in texts for name in ASSIGNED.findall(text))


Layers = dict[str, list[str]]


def contracts() -> Layers:
    """The layers of each import contract, from the top to the bottom, by its name."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {
        contract["name"]: contract["layers"]
        for contract in linter["contracts"]
        if contract["type"] == "layers"
    }


def drawn_layers(text: str) -> Layers:
    """The picture in architecture.md: a name at the margin, and below it one indented line for each layer."""
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
