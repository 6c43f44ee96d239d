"""The ledger's audit after each test of a folder, whose conftest imports the fixture.

A test that leaves a violation on purpose says so, with the numbers of the invariants and a reason:

    @pytest.mark.audit_finds(15, because="…")
"""

from collections.abc import Iterator

import pytest
from django.db import connection

from credits.proof import audit

USE_DATABASE = {"db", "transactional_db"}
# The audit takes 20 ms of processor time. Without any of these rows it has nothing to say.
HAS_ROWS = """
SELECT EXISTS (SELECT FROM credit_operations) OR EXISTS (SELECT FROM credit_transactions)
    OR EXISTS (SELECT FROM purchases) OR EXISTS (SELECT FROM document_counters)
"""


@pytest.fixture(autouse=True)
def audited(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check all invariants when the test has ended, before its rows are rolled back."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None and not USE_DATABASE & set(request.fixturenames):
        yield
        return
    request.getfixturevalue("_django_db_helper")  # It ends after this fixture.
    yield
    planted = request.node.get_closest_marker("audit_finds")
    report = audit.run() if _has_rows() else audit.Report()
    found = "\n".join(str(finding) for finding in report.findings)
    assert set(report.problems) == set(planted.args if planted else ()), found


def _has_rows() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(HAS_ROWS)
        return bool(cursor.fetchone()[0])
