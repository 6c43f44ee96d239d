#!/bin/sh
# node_clients.sh FOLDER NAME...: prints where the Node packages of FOLDER/NAME are, for tests of real clients;
# installs them if it can. Nothing is printed when there is no Node or no network: those tests are skipped.
sources=$1
clients=.venv/node-clients
shift

install() { # the stamp is inside node_modules, which npm empties before it starts
    cmp -s "$sources/$1/package-lock.json" "$clients/$1/node_modules/installed" && return
    echo "Installing the clients in $sources/$1 for the tests (a minute at most) ..." >&2
    mkdir -p "$clients/$1" &&
        cp "$sources/$1/package.json" "$sources/$1/package-lock.json" "$clients/$1" &&
        (cd "$clients/$1" && timeout 60 npm ci --legacy-peer-deps --ignore-scripts --no-audit --no-fund) >/dev/null 2>&1 &&
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
    echo "There are no clients of $sources: their tests are skipped. They need Node 20, npm and a network." >&2
fi
