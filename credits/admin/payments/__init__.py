"""Buying in the admin: purchases, events, reversals, subscriptions, refills, documents, prices.

Only the program writes these rows. An administrator reads them, and acts by the buttons on a page.
"""

from credits.admin.payments import (  # noqa: F401 – they register
    comparisons,
    customers,
    documents,
    events,
    plans,
    purchases,
    refills,
    requests,
    reversals,
    subscriptions,
)
