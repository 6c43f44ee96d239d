"""Serve the provider on loopback until Ctrl-C, and write what it was asked to a file."""

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.clients.mock.provider import write_record
from tests.clients.mock.server import serve

WRITE_SECONDS = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--records", type=Path, help="the file for the requests, a line for each")
    options = parser.parse_args()
    with serve(options.port) as serving, suppress(KeyboardInterrupt):
        sys.stdout.write(f"{serving.url}\n")
        sys.stdout.flush()
        written = 0
        while True:
            time.sleep(WRITE_SECONDS)
            records = serving.provider.records[written:]
            written += len(records)
            if options.records:
                with options.records.open("a") as file:
                    file.writelines(map(write_record, records))


if __name__ == "__main__":
    main()
