#!/bin/sh
# Print the path of the Chromium for the browser tests; install Chromium if it is missing.
# Without Chromium nothing is printed and the browser tests are skipped; on CI that is a failure.
# The headless shell of an installed Chromium is preferred, because it needs less time.
find_browser() {
    for name in "$CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do
        [ -n "$name" ] && command -v "$name" && return
    done
    .venv/bin/python - <<'PYTHON'
import pathlib, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    path = playwright.chromium.executable_path
    sys.exit(print(path) if pathlib.Path(path).exists() else 1)
PYTHON
}

print_browser() {
    browser=$(find_browser) || return
    tools/headless_shell.sh "$browser" || echo "$browser"
}

print_browser && exit
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install --yes --no-install-recommends chromium fonts-thai-tlwg; } \
        >/dev/null 2>&1
    print_browser && exit
fi
echo "Fetching a Chromium for the browser tests (two minutes at most) ..." >&2
timeout 120 .venv/bin/python -m playwright install chromium >/dev/null 2>&1
print_browser && exit
echo "There is no Chromium: the browser tests cannot run. Install the package chromium." >&2
[ "$CI" != true ]
