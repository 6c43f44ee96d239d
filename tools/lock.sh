#!/bin/sh
# Write the lock files requirements*.txt for every platform and supported Python, and those of the
# clients for Node.
set -e
.venv/bin/python -m pip install --quiet uv
python=$PWD/.venv/bin/python
compile() {
    "$python" -m uv pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-config "$@"
}
compile requirements.in --output-file requirements.txt
compile requirements-local.in --output-file requirements-local.txt --no-deps
compile requirements-dev.in --output-file requirements-dev.txt
for group in tests/clients/packages/*/; do # the real clients of `make clients`
    if [ -f "$group/requirements.in" ]; then
        (cd "$group" && compile requirements.in --output-file requirements.txt)
    else
        (cd "$group" && npm install --package-lock-only --ignore-scripts --legacy-peer-deps \
            --omit-lockfile-registry-resolved --no-audit --no-fund --silent)
    fi
done
