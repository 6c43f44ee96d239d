"""The disks that this machine can see: that of the spool, and that of the database if it is here.

The spool has the charges that wait until the database takes them (llmproxy/spool/).
"""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from llmproxy.spool import folder
from smartspec.upkeep.conditions import Condition, Level, Look, choose_level, format_count

# The free share of a disk. PostgreSQL stops at 0 and needs some to recover; the filesystems of
# Linux keep 5 % for root. Of a very large disk, FREE_BYTES are enough.
LITTLE_FREE, LEAST_FREE = 0.15, 0.05
FREE_BYTES = 100 * 1024**3
# The folder of the data, for a role with pg_monitor; a name that this role may not read has no row.
_FOLDER = "SELECT setting FROM pg_settings WHERE name = 'data_directory'"
LOCAL = ("", "localhost", "127.0.0.1", "::1")


def check_spool(look: Look) -> Iterator[Condition]:
    """What waits on the disk of this machine to be settled."""
    waiting = folder.count_waiting()
    values = {"waiting": waiting.records, "damaged": waiting.damaged, "since": waiting.since}
    if waiting.damaged:
        says = ngettext(
            "%(number)s file with charges is damaged. Look into the folder SPOOL_DIR.",
            "%(number)s files with charges are damaged. Look into the folder SPOOL_DIR.",
            waiting.damaged,
        ) % format_count(waiting.damaged)
        yield Condition("spool", Level.RED, says, values)
    elif waiting.records:
        says = ngettext(
            "%(number)s charge waits on the disk of this machine until the database takes it,"
            " since %(since)s.",
            "%(number)s charges wait on the disk of this machine until the database takes them,"
            " the oldest since %(since)s.",
            waiting.records,
        ) % (format_count(waiting.records) | {"since": _format_time(waiting.since)})
        yield Condition("spool", Level.RED, says, values)
    else:
        yield Condition("spool", Level.GREEN, _("No charge waits on this machine."), values)


def check_spool_disk(look: Look) -> Iterator[Condition]:
    """How much is free where charges wait."""
    yield _check_disk("disk of the spool", _("The disk of the spool"), folder.get_folder())


def check_data_disk(look: Look) -> Iterator[Condition]:
    """How much is free where the database's files are, if this machine can see that."""
    if data := find_data_folder():
        yield _check_disk("disk of the database", _("The disk of the database"), data)
    else:
        says = _("How full the disk of the database is, only its own machine can tell.")
        yield Condition("disk of the database", Level.GREEN, says)


def find_data_folder() -> Path | None:
    """Return the folder of the database's files, if it is on this machine and this role may know.

    The embedded database is in DATA_DIR. A server elsewhere tells nobody how full its disk is.
    """
    host = str(settings.DATABASES["default"].get("HOST") or "")
    if settings.EMBEDDED_DATABASE:
        return Path(settings.DATA_DIR)
    if not (host in LOCAL or host.startswith("/")):
        return None
    with connection.cursor() as cursor:
        cursor.execute(_FOLDER)
        row = cursor.fetchone()
    return Path(row[0]) if row and Path(row[0]).exists() else None


def _check_disk(name: str, what: str, path: Path) -> Condition:
    path = path.absolute()
    disk = shutil.disk_usage(next(each for each in (path, *path.parents) if each.exists()))
    free = disk.free / disk.total if disk.total else 1.0
    is_enough = disk.free >= FREE_BYTES
    level = choose_level(
        red=free < LEAST_FREE and not is_enough, amber=free < LITTLE_FREE and not is_enough
    )
    says = _("%(what)s has %(size)s free, %(percent)d %%.") % {
        "what": what,
        "size": filesizeformat(disk.free),
        "percent": int(100 * free),
    }
    if level:
        says += " " + _("Make room before it is full.")
    return Condition(name, level, says, {"free_bytes": disk.free, "total_bytes": disk.total})


def _format_time(since: int | None) -> str:
    moment = datetime.fromtimestamp(since or 0, tz=timezone.get_default_timezone())
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
