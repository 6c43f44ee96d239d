"""The admin's tests of payments see rows of purchases."""

from tests.credits.purchase_rows import buyer, make_purchase, package  # noqa: F401 – fixtures
