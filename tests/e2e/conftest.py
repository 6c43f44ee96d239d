"""One running site for all end-to-end tests, which use different users."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import RunningSite, running_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    data: Path = tmp_path_factory.mktemp("site")
    with running_site(data) as running:
        yield running
