"""The status for programs: as JSON, and as gauges in the text format of Prometheus.

Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, 0.0.4)
"""

from collections.abc import Iterator
from typing import Any

from smartspec.upkeep.conditions import Condition, Level
from smartspec.upkeep.status import AreaStatus, find_level

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Each gauge: its name, what it says, and the condition and value that it is read from.
GAUGES = (
    ("smartspec_holds_open", "Holds of running completions.", "holds", "open"),
    ("smartspec_holds_overdue", "Open holds past their end.", "holds", "overdue"),
    ("smartspec_credits_outstanding", "Credits in all accounts.", "debts", "outstanding"),
    ("smartspec_credits_held", "Credits that open holds reserve.", "debts", "held"),
    ("smartspec_credits_debt", "Credits that users owe.", "debts", "debt"),
    ("smartspec_ledger_audit_problems", "Problems that the last audit found.", "audit", "problems"),
    ("smartspec_ledger_audit_checked", "Rows that the last audit read.", "audit", "checked"),
    (
        "smartspec_ledger_audit_finished_timestamp_seconds",
        "End of the last audit.",
        *("audit", "finished_at"),
    ),
    ("smartspec_spool_waiting", "Charges that wait on this machine's disk.", "spool", "waiting"),
    ("smartspec_providers_down", "Providers that are down.", "providers", "down"),
    ("smartspec_purchases_in_review", "Payments in review.", "review", "in_review"),
    ("smartspec_payment_events_failed", "Failed events of Stripe.", "events", "failed_events"),
    ("smartspec_payment_events_late", "Late events of Stripe.", "events", "late_events"),
    ("smartspec_refunds_waiting", "Refunds without an answer.", "refunds", "waiting"),
    ("smartspec_database_connections", "Connections in use.", "connections", "used"),
    ("smartspec_database_connections_max", "Connections granted.", "connections", "room"),
    ("smartspec_database_size_bytes", "Size of the database.", "size", "bytes"),
    ("smartspec_database_standbys", "Connected standbys.", "standbys", "standbys"),
    ("smartspec_log_ins_failed_last_hour", "Failed log-ins of an hour.", "log-ins", "failed"),
    ("smartspec_administrators_without_factor", "Of active ones.", "factors", "without"),
)
# Gauges with one label: the conditions of this prefix or these names, the label, the value.
OUTBOX = {"mails": "mail", "alerts": "alert", "webhooks": "webhook"}
DISKS = {"disk of the spool": "spool", "disk of the database": "database"}
LABELLED: tuple[tuple[str, str, str, str | dict[str, str], str], ...] = (
    ("smartspec_tick_finished_timestamp_seconds", "End of a job.", "job", "job ", "finished_at"),
    ("smartspec_outbox_waiting", "What waits to be sent.", "kind", OUTBOX, "waiting"),
    ("smartspec_outbox_oldest_seconds", "Age of the oldest.", "kind", OUTBOX, "oldest"),
    ("smartspec_outbox_given_up", "What will not be sent.", "kind", OUTBOX, "given_up"),
    ("smartspec_disk_free_bytes", "Free bytes of a disk.", "disk", DISKS, "free_bytes"),
    ("smartspec_disk_size_bytes", "Size of a disk.", "disk", DISKS, "total_bytes"),
    ("smartspec_provider_down", "1 while it is down.", "provider", "provider ", "down"),
    ("smartspec_provider_failures", "Failures in a row.", "provider", "provider ", "failures"),
    ("smartspec_provider_failed_ratio", "Of 15 minutes.", "provider", "provider ", "recent_share"),
)


def build_document(found: list[AreaStatus]) -> dict[str, Any]:
    """Return the status as JSON: `fine` unless something is red, and each condition by its name."""
    return {
        "fine": find_level(found) < Level.RED,
        "level": find_level(found).key,
        "areas": {part.area.key: part.level.key for part in found},
        "facts": {
            row.name: {
                "fine": row.level < Level.RED,
                "level": row.level.key,
                "area": part.area.key,
                "says": row.says,
                **row.values,
            }
            for part in found
            for row in part.conditions
        },
    }


def write_metrics(found: list[AreaStatus]) -> str:
    """Return the gauges. What could not be told has none, and its `smartspec_status` is 2."""
    rows = {row.name: row for part in found for row in part.conditions}
    lines = [*_write_levels(found), *_write_version(rows)]
    for name, describes, condition, value in GAUGES:
        if condition in rows:
            lines += _write(name, describes, [("", rows[condition].values.get(value))])
    for name, describes, label, which, value in LABELLED:
        samples = [
            (f'{{{label}="{_escape(own)}"}}', row.values.get(value))
            for own, row in _choose(rows, which)
        ]
        lines += _write(name, describes, samples)
    return "\n".join(lines) + "\n"


def _write_levels(found: list[AreaStatus]) -> Iterator[str]:
    samples = [
        (f'{{area="{part.area.key}",condition="{_escape(row.name)}"}}', int(row.level))
        for part in found
        for row in part.conditions
    ]
    yield from _write("smartspec_status", "0 good, 1 to be looked at, 2 wrong.", samples)


def _write_version(rows: dict[str, Condition]) -> Iterator[str]:
    if "version" in rows:
        version = _escape(str(rows["version"].values.get("version", "")))
        samples: list[tuple[str, Any]] = [(f'{{version="{version}"}}', 1)]
        yield from _write("smartspec_build_info", "The version that runs.", samples)


def _choose(
    rows: dict[str, Condition], which: str | dict[str, str]
) -> Iterator[tuple[str, Condition]]:
    """Yield the label and the condition of those that are meant by a prefix or by their names."""
    for name, row in rows.items():
        if isinstance(which, dict) and name in which:
            yield which[name], row
        elif isinstance(which, str) and name.startswith(which):
            yield name.removeprefix(which), row


def _write(name: str, describes: str, samples: list[tuple[str, Any]]) -> Iterator[str]:
    told = [(labels, value) for labels, value in samples if value is not None]
    if told:
        yield f"# HELP {name} {describes}"
        yield f"# TYPE {name} gauge"
    for labels, value in told:
        yield f"{name}{labels} {float(value):.15g}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
