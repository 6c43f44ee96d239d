"""Every function, predicate and unique key names the account that pays (docs/decisions/0022)."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

ROOT = Path(__file__).parents[3]
RULES = runpy.run_path(str(ROOT / "tools" / "sql_rules.py"))

FUNCTION = """
CREATE OR REPLACE FUNCTION ledger_x({arguments}) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    {statement};
END $$;
"""
UNIQUE_KEYS = """
SELECT i.indexrelid::regclass::text
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'user_id'
 WHERE i.indisunique
   AND i.indrelid::regclass::text ~ '^(credit_|completions|llm_|api_keys|device_)'
   AND COALESCE(pg_get_indexdef(i.indexrelid, 1, true), '')
       NOT IN ('user_id', 'COALESCE(user_id, 0::bigint)')
"""
# Keys from before the rule: two accounts cannot have the same value. Do not add the key of a new
# table. Its key begins with the account, or the value gets a separate table.
KEYS_OVER_ALL_ACCOUNTS = {
    "api_keys_checksum_key",
    "api_keys_pkey",
    "completions_hold_id_key",
    "completions_once",
    "completions_pkey",
    "credit_allocations_pkey",
    "credit_approvals_users_approval_id_user_id_11163a57_uniq",
    "credit_approvals_users_pkey",
    "credit_grants_pkey",
    "credit_holds_pkey",
    "credit_operations_pkey",
    "credit_spending_pkey",
    "credit_transactions_once_per_payment",
    "credit_transactions_pkey",
    "device_codes_approval_key",
    "device_codes_pkey",
    "device_codes_user_code_while_pending",
    "device_sessions_approval_key",
    "device_sessions_pkey",
    "device_sessions_token_family_key",
    "deviceauth_devicecode_unique_device_code",
    "llm_idempotency_keys_pkey",
    "llm_rates_pkey",
}


def problems(statement: str, arguments: str = "p_account bigint, p_hold bigint") -> Any:
    return RULES["find_problems"](FUNCTION.format(statement=statement, arguments=arguments))


def test_the_functions_keep_the_rules() -> None:
    assert len(RULES["FILES"]) >= 7
    assert [
        problem for file in RULES["FILES"] for problem in RULES["find_problems"](file.read_text())
    ] == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit_holds SET state = 'open' WHERE user_id = p_account AND id = p_hold",
        "UPDATE users SET credits = credits + 1, open_holds = COALESCE(open_holds, 0) "
        "WHERE id = p_account",
        "PERFORM 1 FROM credit_grants g JOIN credit_holds h ON h.user_id = g.user_id "
        "WHERE g.user_id = p_account",
        "INSERT INTO credit_grants (user_id, amount) VALUES (p_account, 1)",
    ],
)
def test_what_keeps_the_rules_is_nothing_to_say(statement: str) -> None:
    assert problems(statement) == []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE credit_holds SET state = 'open' WHERE id = p_hold",
            "credit_holds does not name the account",
        ),
        ("PERFORM 1 FROM credit_grants g JOIN credit_holds h ON h.user_id = g.user_id", None),
        (
            "PERFORM 1 FROM credit_grants g JOIN credit_holds h ON g.user_id = p_account",
            "credit_holds does not name",
        ),
        ("DELETE FROM llm_rates WHERE credential = ''", "llm_rates does not name the account"),
        ("UPDATE users SET credits = 1 WHERE email = ''", "users does not name the account"),
        (
            "INSERT INTO credit_grants (amount) VALUES (1)",
            "credit_grants is written without its account",
        ),
        (
            "UPDATE users SET ledger_digest = sha256(ledger_digest) WHERE id = p_account",
            "sha256 on the right of SET",
        ),
        (
            "UPDATE users SET credits = (SELECT 1) WHERE id = p_account",
            "SELECT on the right of SET",
        ),
        (
            "UPDATE credit_holds h SET ended_at = COALESCE(ended_at, clock_timestamp()) "
            "WHERE h.user_id = p_account",
            "clock_timestamp on the right of SET",
        ),
    ],
)
def test_what_breaks_a_rule_is_found(statement: str, problem: str | None) -> None:
    messages = problems(statement)
    assert [problem in message for message in messages] == ([True] if problem else [])


@pytest.mark.parametrize("arguments", ["", "p_hold bigint", "p_user bigint"])
def test_a_function_without_the_account_is_found(arguments: str) -> None:
    messages = problems(
        "UPDATE credit_holds SET state = 'open' WHERE user_id = p_user AND id = 1", arguments
    )
    assert any("has no argument p_account" in message for message in messages)
    assert any("is called p_account" in message for message in messages)


def keys_over_all_accounts() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(UNIQUE_KEYS)
        return {index for (index,) in cursor.fetchall()}


@pytest.mark.django_db
def test_a_new_table_has_a_key_that_begins_with_the_account() -> None:
    assert keys_over_all_accounts() == KEYS_OVER_ALL_ACCOUNTS


@pytest.mark.django_db
def test_a_key_that_does_not_begin_with_the_account_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE credit_new"
            " (user_id bigint, id bigint, name text, PRIMARY KEY (user_id, id))"
        )
        assert keys_over_all_accounts() == KEYS_OVER_ALL_ACCOUNTS
        cursor.execute("ALTER TABLE credit_new ADD CONSTRAINT credit_new_name UNIQUE (name)")
        assert keys_over_all_accounts() == KEYS_OVER_ALL_ACCOUNTS | {"credit_new_name"}
