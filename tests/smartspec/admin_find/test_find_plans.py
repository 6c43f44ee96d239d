"""Each lookup of the box reads an index, however many rows there are."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.smartspec.admin_find.world import (
    CODE,
    KEY,
    World,
    add_completions,
    explain_without_scans,
)

pytestmark = pytest.mark.django_db
BOUNDED = ("llm_providers", "language_models")  # tables of which every row is at hand
TERMS = {
    "ann.lee@example.com": "users_email",
    "ann.l": "users_email",
    "usr_0123": "users_public_id",
    "gen_1": "completions_once",
    "req_gen_1": "completions_by_request",
    "trace-of-gen_1": "completions_by_trace",
    "17": "completions_pkey",
    "pi_paid": "purchases_once_per_payment",
    "cs_test_1": "purchases_checkout_session",
    "in_1": "purchases_once_per_invoice",
    "re_1": "payment_refunds_by_stripe_id",
    "du_1": "disputes_stripe_id",
    "sub_1": "subscriptions_once",
    "cus_1": "customers_once_at_stripe",
    "evt_1": "payment_events_stripe_id",
    "R-1": "documents_number",
    KEY: "api_keys_checksum",
    "wxyz": "api_keys_by_ending",
    "PQRS": "redemption_codes_by_ending",
    "CI server": "api_keys_by_name",
    "macbook": "device_sessions_by_name",
    CODE: "redemption_codes_digest",
}


def test_each_term_is_looked_up_by_an_index(client: Client, world: World) -> None:
    add_completions(3000)
    client.get("/admin/find/")
    for term, index in TERMS.items():
        with CaptureQueriesContext(connection) as queries:
            client.post("/admin/find/", {"q": term, "box": "1"})
        read = [q["sql"] for q in queries if q["sql"].startswith("SELECT")]
        plans = "\n".join(explain_without_scans(sql) for sql in read)
        fitting = "\n".join(explain_without_scans(sql, whole_indexes=False) for sql in read)
        assert index in fitting, (term, fitting)
        scanned = set(re.findall(r"Seq Scan on (\w+)", plans)) - {*BOUNDED, "plans"}
        assert not scanned, (term, scanned)
        assert len(queries) < 40, term
