from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmproxy.spool import folder


@pytest.fixture
def spool(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for the spool. Nothing drains it by itself."""
    settings.SPOOL_DIR = tmp_path / "spool"
    monkeypatch.setattr(folder, "on_keep", [])
    folder.release_files()
    yield settings.SPOOL_DIR
    folder.release_files()
