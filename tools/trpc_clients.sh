#!/bin/sh
# Prints the folder of the tRPC clients that talk to /api/trpc in the tests; installs them
# if it can. Nothing is printed when there is no Node or no network: those tests are skipped.
sources=tests/credits/trpc_client
clients=.venv/trpc-clients

install() { # the stamp is inside node_modules, which npm empties before it starts
    cmp -s "$sources/$1/package-lock.json" "$clients/$1/node_modules/installed" && return
    echo "Installing the tRPC clients $1 for the tests (a minute at most) ..." >&2
    mkdir -p "$clients/$1" &&
        cp "$sources/$1/package.json" "$sources/$1/package-lock.json" "$clients/$1" &&
        (cd "$clients/$1" && timeout 60 npm ci --legacy-peer-deps --ignore-scripts --no-audit --no-fund) >/dev/null 2>&1 &&
        cp "$sources/$1/package-lock.json" "$clients/$1/node_modules/installed"
}

if command -v node >/dev/null && command -v npm >/dev/null && install v10 && install v11; then
    echo "$PWD/$clients"
else
    echo "There are no tRPC clients: their tests are skipped. They need Node 18, npm and a network." >&2
fi
