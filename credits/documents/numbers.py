"""The numbers of documents: each kind counts from 1 in each year, without gaps."""

from django.db import connection

from credits.models.documents import DocumentKind

PREFIXES = {
    DocumentKind.RECEIPT: "RE",
    DocumentKind.TAX_INVOICE: "TI",
    DocumentKind.ABBREVIATED: "AB",
    DocumentKind.CREDIT_NOTE: "CN",
    DocumentKind.REFUND_NOTE: "RN",
}

_COUNT = """
INSERT INTO document_counters AS counter (kind, year, last) VALUES (%s, %s, 1)
ON CONFLICT (kind, year) DO UPDATE SET last = counter.last + 1
RETURNING last
"""


def take_serial(kind: str, year: int) -> int:
    """Return the next serial number, which is taken when the transaction commits.

    Until then the counter's row is locked: another document of the kind waits. A transaction that
    is rolled back leaves no gap. Lock users and purchases before, never after.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [kind, year])
        row: tuple[int] = cursor.fetchone()
    return row[0]


def format_number(kind: str, year: int, serial: int) -> str:
    """Return a number such as TI2026-000042, which no other document has."""
    return f"{PREFIXES[DocumentKind(kind)]}{year}-{serial:06}"
