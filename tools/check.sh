#!/bin/sh
# All static checks of the code. mypy takes longer than the others together, so it runs at the same
# time as they do, and its result is printed last.
set -e
PATH="$PWD/.venv/bin:$PATH"

step() {
    echo "== $*"
    "$@"
}

types=$(mktemp)
mypy . >"$types" 2>&1 &
mypy=$!
trap 'kill $mypy 2>/dev/null || true; rm -f "$types"' EXIT

step ruff format --check .
step ruff check .
step lint-imports
step python tools/sql_rules.py
step python tools/line_lengths.py
step djlint templates --lint --quiet
python -m smartspec.local.embedded_postgres -- sh -ec '
    echo "== python manage.py makemigrations --check --dry-run"
    python manage.py makemigrations --check --dry-run
    echo "== python manage.py spectacular --validate --fail-on-warn --file /dev/null"
    python manage.py spectacular --validate --fail-on-warn --file /dev/null
'
(
    set -a
    . ./.env.example
    step python manage.py check --deploy --fail-level WARNING
)
echo "== mypy ."
wait $mypy && code=0 || code=$?
cat "$types"
exit $code
