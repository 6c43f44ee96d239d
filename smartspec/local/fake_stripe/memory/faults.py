"""Faults that a test asks for: of the API's next answers, and of webhooks."""

from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to the next `times` API requests whose method and path match.

    `kind`: delay, delay_after (`seconds` before or after the effect; the idempotency key is in use
    meanwhile) · error_before, error_after (500 without or with the effect) · drop_before,
    drop_after (the connection ends without an answer, without or with the effect) · rate_limit
    (429).
    """

    kind: str
    times: int = 1
    seconds: float = 0
    method: str = ""
    path: str = ""

    def matches(self, method: str, path: str) -> bool:
        return (not self.method or self.method == method) and path.startswith(self.path)


KINDS = (
    "delay",
    "delay_after",
    "error_before",
    "error_after",
    "drop_before",
    "drop_after",
    "rate_limit",
)


@dataclass
class WebhookFaults:
    """How webhooks are sent. With `hold` they wait until they are asked for.

    `parallel`: how many go at once.
    """

    hold: bool = False
    lose: int = 0
    duplicates: int = 0
    delay_seconds: int = 0
    reverse: bool = False
    shuffle: bool = False
    parallel: int = 1


@dataclass
class Faults:
    """The faults that are still to come, the next first."""

    waiting: list[Fault] = field(default_factory=list)

    def take(self, method: str, path: str) -> Fault:
        """Return the fault for this request; one of the kind "none" if there is none."""
        for fault in self.waiting:
            if fault.matches(method, path):
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                return fault
        return Fault("none")
