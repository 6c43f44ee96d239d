"""Finds lines of more than 100 characters in SQL, templates and Markdown.

    python tools/line_lengths.py [FILE...]

Without files the whole repository is checked. Python is left to ruff. In Markdown only prose
counts: tables and blocks of code may be wider, and an address does not count, because it cannot be
broken. In templates a tag that is alone on its line does not count, because Django does not allow
a tag to be broken; `translate` counts, because `blocktranslate` can take its place. The exit status
is 1 if a line is too long.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST = 100
PATTERNS = (
    "*.md",
    "docs/**/*.md",
    "templates/**/*.html",
    "templates/**/*.txt",
    "deploy/*.sql",
    *(f"{name}/**/*.sql" for name in ("accounts", "credits", "deviceauth", "llmproxy")),
)
FENCE = re.compile(r"\s*(```|~~~)")
ADDRESS = re.compile(r"\]\([^)\s]*\)|<?https?://[^\s)>]+>?")
TAG_ALONE = re.compile(r"\s*\{% (?!translate\b)((?!%\}).)*%\}\s*")


def main(arguments: list[str]) -> int:
    files = [Path(argument) for argument in arguments] or all_files(ROOT)
    findings = [finding for file in files for finding in check_file(file)]
    for finding in findings:
        print(finding)  # noqa: T201 – this is a program
    return 1 if findings else 0


def all_files(root: Path) -> list[Path]:
    return sorted({file for pattern in PATTERNS for file in root.glob(pattern)})


def check_file(file: Path) -> Iterator[str]:
    """Yield a sentence for each line of the file that is too long."""
    text = file.read_text()
    lines = list_prose(text) if file.suffix == ".md" else list_breakable(text)
    for number, line in lines:
        if len(line) > MOST:
            yield f"{file}:{number}: {len(line)} characters, {MOST} are allowed"


def list_breakable(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line, except lines that are one template tag."""
    for number, line in enumerate(text.splitlines(), 1):
        if not TAG_ALONE.fullmatch(line):
            yield number, line


def list_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each Markdown line outside tables and code, without addresses."""
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            is_code = not is_code
        elif not (is_code or line.lstrip().startswith("|")):
            yield number, ADDRESS.sub("", line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
