#!/bin/sh
# Everything that can be said about the code without running it. mypy takes longer than
# all the rest together, so it runs beside it and its answer comes last.
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
