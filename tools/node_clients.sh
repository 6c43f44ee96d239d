#!/bin/sh
# node_clients.sh FOLDER NAME...: install the Node packages of FOLDER/NAME, for tests of real
# clients, and print the folder of the packages. Without Node or a network nothing is printed, and
# those tests are skipped.
sources=$1
clients=.venv/node-clients
shift

install() { # The stamp file is in node_modules, which npm empties before it starts.
    cmp -s "$sources/$1/package-lock.json" "$clients/$1/node_modules/installed" && return
    echo "Installing the clients in $sources/$1 for the tests (a minute at most) ..." >&2
    mkdir -p "$clients/$1" &&
        cp "$sources/$1/package.json" "$sources/$1/package-lock.json" "$clients/$1" &&
        (cd "$clients/$1" && timeout 60 npm ci --legacy-peer-deps --ignore-scripts --no-audit \
            --no-fund) >/dev/null 2>&1 &&
        cp "$sources/$1/package-lock.json" "$clients/$1/node_modules/installed"
}

install_all() {
    for name in "$@"; do
        install "$name" || return
    done
}

if command -v node >/dev/null && command -v npm >/dev/null && install_all "$@"; then
    echo "$PWD/$clients"
else
    echo "There are no clients of $sources: their tests are skipped." \
        "They need Node 20, npm and a network." >&2
fi
