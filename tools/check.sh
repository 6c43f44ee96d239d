#!/bin/sh
# Everything that can be said about the code without running it.
set -e
PATH="$PWD/.venv/bin:$PATH"

step() {
    echo "== $*"
    "$@"
}

step ruff format --check .
step ruff check .
step mypy .
step lint-imports
step python tools/sql_rules.py
step djlint templates --lint --quiet
step python -m smartspec.local.embedded_postgres -- python manage.py makemigrations --check --dry-run
step python -m smartspec.local.embedded_postgres -- python manage.py spectacular --validate --fail-on-warn --file /dev/null
set -a
. ./.env.example
set +a
step python manage.py check --deploy --fail-level WARNING
