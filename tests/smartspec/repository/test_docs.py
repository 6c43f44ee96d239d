"""What the documents link to and name exists, and their pictures agree with the code."""

import re
from pathlib import Path

import pytest

from tests.smartspec.repository import documents
from tests.smartspec.repository.documents import ROOT

DOCUMENTS = documents.documents()
INDEX = ROOT / "docs/README.md"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    assert documents.broken_links(document, document.read_text()) == []


@every_document
def test_every_named_file_exists(document: Path) -> None:
    assert documents.missing_files(document.read_text()) == []


@every_document
def test_every_named_command_exists(document: Path) -> None:
    assert documents.missing_commands(document.read_text()) == []


@every_document
def test_every_named_setting_exists(document: Path) -> None:
    assert documents.missing_variables(document.read_text()) == []


def test_what_is_not_there_is_noticed() -> None:
    text = "[a](docs/none.md) [b](docs/api.md#none) [c](#none) [d](docs/api.md#2-credits)\n# Here"
    assert documents.broken_links(ROOT / "README.md", text) == [
        "docs/none.md",
        "docs/api.md#none",
        "#none",
    ]
    assert documents.missing_files(
        "`credits/none.py` `none.sql` `credits/ledger.py` `admit.py`"
    ) == [
        "credits/none.py",
        "none.sql",
    ]
    assert documents.missing_commands("`manage.py none` `make none` `python -m bench.none`") == [
        "none",
        "none",
        "bench.none",
    ]
    assert documents.missing_variables("`NO_SUCH_NAME=1` `WEB_LLM_RPM`") == ["NO_SUCH_NAME"]


def test_what_stands_in_code_is_no_link() -> None:
    assert documents.broken_links(ROOT / "README.md", "```\n[a](none.md)\n```") == []


def test_the_picture_of_the_layers_is_that_of_the_import_contracts() -> None:
    assert documents.drawn_layers(ARCHITECTURE) == documents.contracts()


def test_a_picture_that_differs_is_noticed() -> None:
    turned = ARCHITECTURE.replace("    urls\n    login | admin", "    login | admin\n    urls")
    assert documents.drawn_layers(turned) != documents.contracts()


def test_every_wing_has_its_line_in_the_architecture() -> None:
    wings = (
        folder.parent.relative_to(ROOT).as_posix()
        for name in ("accounts", "credits", "deviceauth", "llmproxy", "smartspec")
        for folder in (ROOT / name).glob("*/__init__.py")
    )
    found_by_django = ("management", "migrations", "formats", "templatetags")
    named = [wing for wing in wings if not wing.endswith(found_by_django)]
    assert len(named) > 20
    assert [wing for wing in named if f"| `{wing}/` |" not in ARCHITECTURE] == []


def test_the_index_lists_every_document() -> None:
    targets = documents.LINK.findall(INDEX.read_text())
    linked = {(INDEX.parent / target).resolve() for target in targets}
    assert set(DOCUMENTS) - {INDEX} <= linked


def test_every_decision_has_a_status_and_a_date() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert len(decisions) >= 20
    form = re.compile(
        r"# .+\n\n\* Status: (Accepted|Superseded by \[\d{4}\])[^*]*\n"
        r"\* Date: \d{4}-\d{2}-\d{2}\n"
    )
    assert [path.name for path in decisions if not form.match(path.read_text())] == []


def test_the_first_page_is_short_and_shows_a_picture() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", text)
    assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")
    assert (ROOT / picture).stat().st_size < 200_000
