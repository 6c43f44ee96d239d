"""The tests and files that docs/device-login.md names exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = (ROOT / "docs" / "device-login.md").read_text()


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    defined = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 50
    assert not [name for name in sorted(named) if f"def {name}(" not in defined]


def test_every_file_that_it_names_exists() -> None:
    named = re.findall(r"`((?:[\w/]+/)?\w+\.(?:py|html))`", DOCUMENT)
    folders = [ROOT, ROOT / "deviceauth", ROOT / "templates/deviceauth", ROOT / "tests/deviceauth"]
    assert not [name for name in named if not any((folder / name).exists() for folder in folders)]
