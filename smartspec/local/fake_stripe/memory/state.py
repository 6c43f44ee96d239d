"""Everything that the fake Stripe remembers: objects, its clock, and what is due when."""

import heapq
import secrets
import string
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smartspec.local.fake_stripe.memory.faults import Faults, WebhookFaults
from smartspec.local.fake_stripe.memory.journal import Journal
from smartspec.local.fake_stripe.wire.refusals import UnknownObject

Json = dict[str, Any]
CLOCK = "_clock"
DUE = "_due"
LETTERS = string.ascii_letters + string.digits


@dataclass
class Entry:
    """One object: what Stripe tells of it, and what it knows besides."""

    object: Json
    hidden: Json = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.object["id"])

    @property
    def livemode(self) -> bool | None:
        """The mode of the object; None if it belongs to both, as an event's delivery does."""
        mode = self.object.get("livemode", self.hidden.get("livemode"))
        return None if mode is None else bool(mode)


def make_token(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


@dataclass
class Asked:
    """The API request that is being answered, as its events name it."""

    id: str | None = None
    idempotency_key: str | None = None


class State:
    """The objects by kind and id. Whoever reads or writes holds `lock`."""

    def __init__(self, *, origin: str, file: Path | None = None) -> None:
        self.origin = origin
        self.lock = threading.RLock()
        self.entries: dict[str, dict[str, Entry]] = {}
        self.ahead = 0
        # What becomes of a subscription whose last try to pay failed: cancel, unpaid, past_due.
        self.dunning_end = "cancel"
        self.frozen_at: int | None = None
        self.due: list[tuple[int, str]] = []
        self.asked = Asked()
        self.busy_keys: set[str] = set()
        self.revoked_keys: set[str] = set()
        self.faults = Faults()
        self.webhook_faults = WebhookFaults()
        self.touched: dict[str, str] = {}
        self.journal = None if file is None else Journal(file)
        if self.journal is not None:
            self._load(self.journal)

    def now(self) -> int:
        """Return the time of the fake's clock in seconds of the Unix epoch."""
        return int(time.time()) + self.ahead if self.frozen_at is None else self.frozen_at

    def make_id(self, prefix: str, length: int = 24) -> str:
        return f"{prefix}_{make_token(length)}"

    def add(self, obj: Json, **hidden: Any) -> Entry:
        """Keep a new object under its kind and id."""
        entry = Entry(obj, hidden)
        self.entries.setdefault(obj["object"], {})[entry.id] = entry
        self.touched[entry.id] = obj["object"]
        return entry

    def find(self, kind: str, object_id: str | None) -> Entry | None:
        entry = self.entries.get(kind, {}).get(object_id or "")
        if entry is not None:
            self.touched[entry.id] = kind
        return entry

    def get(self, kind: str, object_id: str | None) -> Entry:
        """Return an object that has to be there. Raises UnknownObject."""
        entry = self.find(kind, object_id)
        if entry is None:
            raise UnknownObject(f"No such {kind}: '{object_id}'", param="id")
        return entry

    def remove(self, entry: Entry) -> None:
        del self.entries[entry.object["object"]][entry.id]
        self.touched[entry.id] = entry.object["object"]

    def select(self, kind: str, **facts: Any) -> Iterator[Entry]:
        """Yield the objects with these attributes, the oldest first."""
        for entry in list(self.entries.get(kind, {}).values()):
            if all(entry.object.get(name) == fact for name, fact in facts.items()):
                self.touched[entry.id] = kind
                yield entry

    def find_any(self, object_id: str) -> Entry | None:
        """Return the object with this id, whatever it is."""
        return next((kind[object_id] for kind in self.entries.values() if object_id in kind), None)

    def schedule(self, at: int, act: str, object_id: str) -> None:
        """Remember that `act` is due for the object at this time."""
        obj = {"object": DUE, "id": self.make_id("due"), "at": at, "act": act, "about": object_id}
        heapq.heappush(self.due, (at, self.add(obj).id))

    def move_clock(self, seconds: int) -> None:
        self.ahead += seconds
        self.add({"object": CLOCK, "id": CLOCK, "ahead": self.ahead})

    def take_due(self, until: int) -> tuple[int, str, str] | None:
        """Return what is due next, no later than `until`, and forget it."""
        if not self.due or self.due[0][0] > until:
            return None
        at, object_id = heapq.heappop(self.due)
        due = self.get(DUE, object_id)
        self.remove(due)
        return at, due.object["act"], due.object["about"]

    def save(self) -> None:
        """Write what was touched to the file, if there is one."""
        touched, self.touched = self.touched, {}
        if self.journal is not None and touched:
            self.journal.append(self.origin, self._describe(touched))

    def _describe(self, touched: dict[str, str]) -> list[Json]:
        entries = [(kind, name, self.entries[kind].get(name)) for name, kind in touched.items()]
        return [
            {"kind": kind, "id": name, **(vars(entry) if entry else {})}
            for kind, name, entry in entries
        ]

    def restore(self, one: Json) -> None:
        """Put back, or remove, an entry as `save` has written it."""
        kind = self.entries.setdefault(one["kind"], {})
        if "object" not in one:
            kind.pop(one["id"], None)
            return
        if one["object"].get("status") == "sending":  # Nobody knows whether it arrived.
            one["object"]["status"] = "waiting"
        kind[one["id"]] = Entry(one["object"], one["hidden"])

    def _load(self, journal: Journal) -> None:
        for one in journal.read(self.origin):
            self.restore(one)
        clock = self.find(CLOCK, CLOCK)
        self.ahead = clock.object["ahead"] if clock else 0
        self.due = [(due.object["at"], due.id) for due in self.select(DUE)]
        heapq.heapify(self.due)
        everything = {name: kind for kind, names in self.entries.items() for name in names}
        journal.rewrite(self.origin, self._describe(everything))
        self.touched = {}
