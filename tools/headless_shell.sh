#!/bin/sh
# headless_shell.sh CHROMIUM: print the path of Debian's headless shell of the same version as this
# Chromium. The shell needs a third of the processor time for the same pages. It is unpacked beside
# the files of the installed Chromium, which it shares; nothing is installed in the system. Nothing
# is printed where there is no such package or no network.
chromium=/usr/lib/chromium
folder=$PWD/.venv/headless-shell
shell=$folder/chromium-headless-shell

[ "$1" = /usr/bin/chromium ] && command -v dpkg-query >/dev/null || exit 1
version=$(dpkg-query --show --showformat='${Version}' chromium) || exit 1

fetch() { # Another apt-get may hold the lock of the lists.
    for seconds in 0 5 10; do
        sleep "$seconds"
        timeout 60 apt-get download "chromium-headless-shell=$version" && return
        [ "$(id -u)" = 0 ] && timeout 60 apt-get update
    done
    return 1
}

unpack() {
    rm -rf "$folder"
    mkdir -p "$folder/package" && cd "$folder/package" || return
    fetch &&
        dpkg --extract ./*.deb . &&
        mv usr/lib/chromium/* "$folder" || return
    ln -s "$chromium"/*.dat "$chromium"/*.bin "$chromium"/*.so* "$chromium"/*.pak \
        "$chromium/locales" "$folder" 2>/dev/null
    cd "$folder" && rm -r package && echo "$version" >unpacked
}

[ "$(cat "$folder/unpacked" 2>/dev/null)" = "$version" ] || (unpack) >/dev/null 2>&1 || exit
"$shell" --version >/dev/null 2>&1 && echo "$shell"
