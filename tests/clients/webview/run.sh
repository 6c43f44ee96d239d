#!/bin/sh
# run.sh FOLDER SCHEME SECONDS: open the page of install.sh in its WebKitGTK, under Xvfb, in a mount
# namespace of its own, in which the unpacked packages lie over /usr and /etc.
set -e
here=$(cd "$(dirname "$0")" && pwd)
if [ "$4" != inside ]; then
    exec unshare -rm sh "$here/run.sh" "$1" "$2" "$3" inside
fi
for part in usr etc; do
    if [ -n "$(ls -A "$1/root/$part")" ]; then
        mount -t overlay overlay -o "lowerdir=$1/root/$part:/$part" "/$part"
    fi
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HOME="$scratch" XDG_RUNTIME_DIR="$scratch" NO_AT_BRIDGE=1 GIO_USE_VFS=local
# The sandbox of WebKit needs namespaces within this one, and there is no graphics processor.
export WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS=1 WEBKIT_DISABLE_COMPOSITING_MODE=1
export LIBGL_ALWAYS_SOFTWARE=1
xvfb-run --auto-servernum --server-args="-screen 0 800x600x24 -nolisten tcp" \
    /usr/bin/python3 "$here/browser.py" "$1/page" "$2" "$3"
