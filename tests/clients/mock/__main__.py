"""Serve the provider on loopback until Ctrl-C, and write what it was asked to a file."""

import argparse
import json
import time
from contextlib import suppress
from pathlib import Path

from tests.clients.mock.server import serve

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--records", type=Path, help="the file for the requests, a line each")
options = parser.parse_args()
with serve(options.port) as serving, suppress(KeyboardInterrupt):
    print(serving.url, flush=True)
    seen = 0
    while True:
        time.sleep(0.2)
        records = serving.provider.records[seen:]
        seen += len(records)
        if options.records and records:
            with options.records.open("a") as file:
                for r in records:
                    file.write(json.dumps({"path": r.asked.path, "headers": r.asked.headers, "body": r.asked.body, "status": r.status, "refusal": r.refusal, "usage": str(r.usage)}) + "\n")
