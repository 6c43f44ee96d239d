#!/bin/sh
# programs.sh PACKAGE...: print a folder with these Debian packages, for tests of real servers.
# Nothing is installed in the system: the packages are unpacked into the folder. Without them the
# reason is printed to stderr, and the tests of those that are missing are skipped.
folder=$PWD/.venv/programs

fetch() {
    apt-get download "$@" >/dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] && timeout 60 apt-get update >/dev/null 2>&1
    timeout 120 apt-get download "$@" >/dev/null 2>&1
}

unpack() {
    [ -e "$folder/unpacked/$1" ] && return
    echo "Fetching $1 for the tests (a minute at most) ..." >&2
    names=$(apt-get --simulate --no-install-recommends install "$1" 2>/dev/null |
        sed -n 's/^Inst \([^ ]*\).*/\1/p')
    mkdir -p "$folder/packages" "$folder/root" "$folder/unpacked"
    (cd "$folder/packages" && fetch ${names:-"$1"}) || return
    for package in "$folder"/packages/*.deb; do
        dpkg --extract "$package" "$folder/root" || return
    done
    rm -r "$folder/packages"
    touch "$folder/unpacked/$1"
}

if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
    for name in "$@"; do
        unpack "$name" || echo "$name cannot be fetched: its tests are skipped." >&2
    done
    echo "$folder/root"
else
    echo "There are no Debian packages here: the tests of $* use what is installed." >&2
fi
