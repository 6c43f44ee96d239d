#!/bin/sh
# Print the first Python whose version the locked packages support. PYTHON=... overrides it.
for python in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$python" -c \
        'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
        echo "$python"
        exit
    fi
done
echo "SmartSpec needs Python 3.11 (3.12 and 3.13 do too), and" \
    "$("${PYTHON:-python3}" --version 2>&1 | head -n 1) is what is here: install python3.11," \
    "or say where one is: PYTHON=/path/to/python make run." >&2
exit 1
