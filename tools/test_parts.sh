#!/bin/sh
# Print the variables that name the real clients and servers which tests use, for `eval`. What is
# missing is installed first, all at the same time. Fails where tests may not go without a browser.
parts=$(mktemp -d)
trap 'rm -r "$parts"' EXIT

find_part() {
    name=$1
    shift
    "$@" >"$parts/$name" &
}

find_part TRPC_CLIENTS tools/node_clients.sh tests/credits/trpc_client v10 v11
find_part OAUTH_CLIENTS tools/node_clients.sh tests/deviceauth oauth_clients
find_part EVENT_CLIENTS tools/node_clients.sh tests/llmproxy/wild event_clients
find_part STRIPE_CLI tools/node_clients.sh tests/smartspec/local/fake_stripe stripe_cli
find_part PROGRAMS tools/programs.sh nginx-light caddy pgbouncer php-cli
tools/browser.sh >"$parts/CHROMIUM"
status=$?
wait
for file in "$parts"/*; do
    printf "export %s='%s'\n" "${file##*/}" "$(cat "$file")"
done
exit $status
