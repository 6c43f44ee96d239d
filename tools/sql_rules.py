"""Checks the SQL functions for the rules that keep them ready for several databases.

    python tools/sql_rules.py

prints each place that breaks a rule, and exits with 1 if there is one. The reasons are in
docs/decisions/0022-the-account-that-pays-is-named.md. The keys of tables are checked by
tests/smartspec/repository/test_sql_rules.py.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    file
    for folder in ("accounts", "credits", "llmproxy")
    for file in (ROOT / folder / "database" / "sql").glob("*.sql")
)

# Tables of which each row belongs to one account, and the column that says to which.
ACCOUNT_COLUMN = {"users": "id"} | dict.fromkeys(
    (
        "api_keys",
        "completions",
        "credit_allocations",
        "credit_grants",
        "credit_holds",
        "credit_operations",
        "credit_spending",
        "credit_transactions",
        "device_sessions",
        "llm_idempotency_keys",
        "llm_rates",
    ),
    "user_id",
)
# Look-ups that cannot name the account, because they find it or look at all of them.
ACROSS_ACCOUNTS = {
    ("accounts_credential_owner", "api_keys"): "it says whose a key is",
    ("accounts_credential_owner", "users"): "it says whose a key or token is",
    ("ledger_add", "credit_transactions"): "a payment buys once, whoever it is booked for",
}
# These take one JSON object, and find the account first.
OF_JSON = {"gateway_admit", "gateway_admit_free", "gateway_settle"}

_FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION (\w+)\((.*?)\bAS \$\$(.*?)\$\$", re.DOTALL)
_ARGUMENT = re.compile(r"\bp_account bigint\b|\b(users|credit_holds|credit_transactions|record)\b")
_TABLES = "|".join(ACCOUNT_COLUMN)
_KEYWORDS = "WHERE|SET|ON|JOIN|LEFT|ORDER|FOR|GROUP|USING|VALUES|SELECT|OVERRIDING|LIMIT|LOOP"
_READ = re.compile(rf"\b(?:FROM|JOIN|UPDATE)\s+({_TABLES})\b(?:\s+(?!(?:{_KEYWORDS})\b)(\w+))?")
_INSERT = re.compile(rf"\bINSERT INTO ({_TABLES})\b")
_SET = re.compile(r"\bSET\b(.*?)(?:\bFROM\b|\bWHERE\b|\bRETURNING\b|$)", re.DOTALL)
_CALL = re.compile(r"\b(?!(?:COALESCE|GREATEST|LEAST|NULLIF)\b)([a-z]\w*)\s*\(|\(\s*(SELECT)\b")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a file; `body` has no comments."""

    name: str
    arguments: str
    body: str

    @property
    def statements(self) -> list[str]:
        return re.split(r";|\b(?:BEGIN|LOOP|THEN|ELSE)\s*\n", self.body)


def read_functions(text: str) -> list[Function]:
    """The functions in this SQL, triggers apart: they see the row that fired them."""
    text = re.sub(r"--.*", "", text)
    functions = [Function(*found) for found in _FUNCTION.findall(text)]
    return [function for function in functions if "RETURNS trigger" not in function.arguments]


def find_problems(text: str) -> list[str]:
    """What breaks a rule in this SQL, by function."""
    problems = []
    for function in read_functions(text):
        checks = (
            _account_is_an_argument,
            _predicates_name_the_account,
            _nothing_is_computed_in_set,
        )
        problems += [
            f"{function.name}: {problem}" for check in checks for problem in check(function)
        ]
    return problems


def _account_is_an_argument(function: Function) -> Iterator[str]:
    if re.search(r"\bp_user\b", function.arguments + function.body):
        yield "the account that pays is called p_account"
    uses = {table for table, _alias in _READ.findall(function.body)} | set(
        _INSERT.findall(function.body)
    )
    uses = {table for table in uses if (function.name, table) not in ACROSS_ACCOUNTS}
    if uses and function.name not in OF_JSON and not _ARGUMENT.search(function.arguments):
        yield f"uses {', '.join(sorted(uses))} and has no argument p_account, nor a row with it"


def _predicates_name_the_account(function: Function) -> Iterator[str]:
    for statement in function.statements:
        for table, alias in _READ.findall(statement):
            column = ACCOUNT_COLUMN[table]
            named = (
                rf"\b{alias}\.{column}\b"
                if alias
                else rf"(?<!\.)\b{column}\b(?=\s*(?:=|,|IS))|\({column}, 0\)"
            )
            if (function.name, table) not in ACROSS_ACCOUNTS and not re.search(named, statement):
                yield f"a statement on {table} does not name the account: {_short(statement)}"
        for table in _INSERT.findall(statement):
            if "user_id" not in statement and "(completion).*" not in statement:
                yield f"a row of {table} is written without its account: {_short(statement)}"


def _nothing_is_computed_in_set(function: Function) -> Iterator[str]:
    for statement in function.statements:
        for assigned in _SET.findall(statement) if re.search(r"\bUPDATE\b", statement) else []:
            for name, select in _CALL.findall(assigned):
                problem = f"{name or select} on the right of SET: compute it into a variable first"
                yield f"{problem}: {_short(statement)}"


def _short(statement: str) -> str:
    return " ".join(statement.split())[:80]


def main() -> int:
    """Print the problems of all files; how many there are decides the exit code."""
    problems = [
        f"{file.relative_to(ROOT)}: {problem}"
        for file in FILES
        for problem in find_problems(file.read_text())
    ]
    print("\n".join(problems) or f"{len(FILES)} files keep the rules")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
