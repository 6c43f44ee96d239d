#!/bin/sh
# Write the lock files requirements*.txt for every platform and supported Python.
set -e
.venv/bin/python -m pip install --quiet uv
compile() {
    .venv/bin/python -m uv pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-config "$@"
}
compile requirements.in --output-file requirements.txt
compile requirements-local.in --output-file requirements-local.txt --no-deps
compile requirements-dev.in --output-file requirements-dev.txt
