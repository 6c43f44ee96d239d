#!/bin/sh
# Print a folder with a WebKitGTK and a page with the SDKs of OpenAI and Anthropic in it, for the
# test of the webview. Nothing is installed in the system: Debian's packages that are missing are
# unpacked into the folder, which run.sh lays over /usr for its own processes only. If something
# cannot be had, nothing is printed but the reason, and the test is skipped.
here=$(dirname "$0")
folder=$PWD/.venv/webview
packages="libwebkit2gtk-4.1-0 gir1.2-webkit2-4.1 python3-gi xvfb xauth"

skip() {
    echo "There is no webview: $1. Its test is skipped." >&2
    exit 0
}

for tool in apt-get dpkg unshare node npm; do
    command -v "$tool" >/dev/null || skip "$tool is missing"
done
unshare -rm true 2>/dev/null || skip "this machine allows no namespaces"

if ! [ -e "$folder/unpacked" ]; then
    echo "Fetching a WebKitGTK for the test of the webview (a minute at most) ..." >&2
    rm -rf "$folder" && mkdir -p "$folder/packages" "$folder/root/usr" "$folder/root/etc"
    names=$(apt-get --simulate --no-install-recommends install $packages 2>/dev/null |
        sed -n 's/^Inst \([^ ]*\).*/\1/p') || skip "Debian's packages cannot be listed"
    if [ -n "$names" ]; then
        (cd "$folder/packages" && timeout 300 apt-get download $names >/dev/null 2>&1) ||
            skip "Debian's packages cannot be fetched: apt-get update may help"
        for package in "$folder"/packages/*.deb; do
            dpkg --extract "$package" "$folder/root" || skip "$package cannot be unpacked"
        done
        rm -r "$folder/packages"
    fi
    touch "$folder/unpacked"
fi

if ! cmp -s "$here/package-lock.json" "$folder/page/installed" ||
    ! cmp -s "$here/page/calls.mjs" "$folder/page/calls.mjs"; then
    mkdir -p "$folder/node" "$folder/page"
    cp "$here/package.json" "$here/package-lock.json" "$folder/node"
    cp "$here"/page/* "$folder/page"
    (cd "$folder/node" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund >/dev/null 2>&1) ||
        skip "the SDKs cannot be fetched"
    (cd "$folder/node" && cp ../page/calls.mjs . && node_modules/.bin/esbuild calls.mjs --bundle \
        --format=esm --platform=browser --log-level=error --outfile=../page/bundle.js >&2) ||
        skip "the page cannot be bundled"
    cp "$here/package-lock.json" "$folder/page/installed"
fi
echo "$folder"
