"""The run of one client: its steps, and what its requests were charged."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from smartspec.local.site import say
from tests.clients import books
from tests.clients.books import Charges
from tests.clients.client import Client, Step
from tests.clients.gateway import Gateway
from tests.clients.installing import AbsentError
from tests.clients.mock.provider import write_record
from tests.clients.mock.usage import Usage
from tests.clients.versions import find_version

NOTHING = Charges(0, 0, 0, [])


@dataclass(frozen=True)
class Run:
    """`absent` is the reason if the client cannot be had on this machine."""

    client: Client
    version: str = ""
    steps: list[Step] = field(default_factory=list)
    charges: Charges = NOTHING
    seconds: float = 0
    absent: str = ""

    @property
    def problems(self) -> list[str]:
        failed = [f"{step.name}: {step.problem}" for step in self.steps if step.problem]
        differs = self.charges.due != self.charges.charged
        total = (
            [f"{self.charges.due} credits due, {self.charges.charged} charged"] if differs else []
        )
        return [*failed, *self.charges.wrong, *total]

    @property
    def is_right(self) -> bool:
        return bool(self.steps) and not self.problems


def run_client(
    client: Client, gateway: Gateway, installed: Path | AbsentError, parent: Path
) -> Run:
    """Run the client in a new folder below `parent`, and compare what it was charged."""
    if isinstance(installed, AbsentError):
        return Run(client, absent=str(installed))
    say(f"  {client.name} ...")
    folder = parent / client.name.lower().replace(" ", "-")
    folder.mkdir(parents=True)
    first, last_id, started = len(gateway.records), books.find_last_id(), time.monotonic()
    steps = client.run(gateway, installed, folder)
    seconds = time.monotonic() - started
    gateway.wait_until_settled()
    records = gateway.records[first:]
    _keep_requests(gateway, first, folder / "requests.jsonl")
    steps = [_check_usage(step, {_pair(record.usage) for record in records}) for step in steps]
    charges = books.compare(records, last_id)
    return Run(client, find_version(client, installed), steps, charges, seconds)


def _pair(usage: Usage | None) -> tuple[int, int] | None:
    return (usage.prompt, usage.completion) if usage else None


def _check_usage(step: Step, known: set[tuple[int, int] | None]) -> Step:
    """Return the step with a problem if the client read a usage that no answer had."""
    wrong = [usage for usage in step.usages if usage not in known]
    if wrong and not step.problem:
        return Step(step.name, f"it read a usage of {wrong[0]}, which no answer had", step.usages)
    return step


def _keep_requests(gateway: Gateway, first: int, file: Path) -> None:
    """Write what the provider was asked, a line of JSON for each request."""
    with file.open("w") as lines:
        lines.writelines(map(write_record, gateway.records[first:]))
