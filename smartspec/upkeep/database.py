"""The database: whether it takes writes, its tables, connections, size, standbys and archive."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from smartspec.upkeep.conditions import Condition, Level, Look, choose_level, format_count

# Of the connections that the server grants. From the first share on there is time to look; beyond
# the second one, a worker that restarts may find none.
MANY_CONNECTIONS, MOST_CONNECTIONS = 0.8, 0.95
# A standby that is so far behind loses that much in a failover.
FAR_BEHIND_BYTES = 64 * 1024 * 1024

_CONNECTIONS = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::integer
           - current_setting('superuser_reserved_connections')::integer,
       pg_database_size(current_database())
"""
# Without pg_monitor the rows of standbys are there, and their positions are NULL.
_STANDBYS = """
SELECT (SELECT count(*) FROM pg_stat_replication),
       (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint
          FROM pg_stat_replication),
       (SELECT count(*) FROM pg_replication_slots WHERE NOT active),
       (SELECT count(*) FROM pg_replication_slots WHERE wal_status IN ('unreserved', 'lost')),
       (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint
          FROM pg_replication_slots)
 WHERE NOT pg_is_in_recovery()
"""
_ARCHIVE = """
SELECT last_failed_time > COALESCE(last_archived_time, '-infinity'), last_failed_time
  FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'
"""


def check_database(look: Look) -> Iterator[Condition]:
    """Whether the database takes writes."""
    (is_writable,) = _query("SELECT current_setting('transaction_read_only') = 'off'")
    says = (
        _("The database takes writes.")
        if is_writable
        else _("The database is read-only: a standby, or set so.")
    )
    values = {"writable": bool(is_writable)}
    yield Condition("database", choose_level(red=not is_writable), says, values)


def check_migrations(look: Look) -> Iterator[Condition]:
    """Whether the tables are those that this code expects."""
    names = _list_missing()
    says = _("The tables are those of this version.")
    if names:
        says = ngettext(
            "%(number)s migration is missing, the first is %(name)s. Run manage.py prepare.",
            "%(number)s migrations are missing, the first is %(name)s. Run manage.py prepare.",
            len(names),
        ) % (format_count(len(names)) | {"name": names[0]})
    yield Condition("migrations", choose_level(red=names), says, {"missing": names})


def _list_missing() -> list[str]:
    """Return the names of missing migrations. The exact, slow way is taken only if one may be."""
    applied = MigrationRecorder(connection).applied_migrations()
    if all(key in applied for key in _list_known()):
        return []
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


@cache
def _list_known() -> tuple[tuple[str, str], ...]:
    """Return the migrations of this code, which do not change while it runs."""
    return tuple(MigrationLoader(None).graph.nodes)


def check_connections(look: Look) -> Iterator[Condition]:
    """How many connections are in use of those that the server grants, and its size."""
    used, room, size = _query(_CONNECTIONS)
    says = _("%(used)s of %(room)s connections are in use.") % {"used": used, "room": room}
    level = choose_level(red=used >= MOST_CONNECTIONS * room, amber=used >= MANY_CONNECTIONS * room)
    if level:
        says += " " + _("Lower DATABASE_POOL_SIZE or WEB_CONCURRENCY, or raise max_connections.")
    yield Condition("connections", level, says, {"used": used, "room": room})
    says = _("The database has %(size)s.") % {"size": filesizeformat(size)}
    yield Condition("size", Level.GREEN, says, {"bytes": size})


def check_standbys(look: Look) -> Iterator[Condition]:
    """The standbys that are connected, how far they are behind, and those that are missing."""
    standbys, behind, away, lost, kept = _query(_STANDBYS) or (0, None, 0, 0, None)
    values = {"standbys": standbys, "behind_bytes": behind, "away": away, "lost": lost}
    if lost:
        says = _("A standby has lost its place: copy it again, and make its replication slot anew.")
    elif away:
        says = ngettext(
            "%(number)s replication slot has no standby, and the server keeps %(size)s for it.",
            "%(number)s replication slots have no standby, and the server keeps %(size)s for them.",
            away,
        ) % (format_count(away) | {"size": filesizeformat(kept or 0)})
    elif behind is not None and behind > FAR_BEHIND_BYTES:
        says = _("A standby is %(size)s behind.") % {"size": filesizeformat(behind)}
    elif standbys:
        says = ngettext(
            "%(number)s standby is connected.", "%(number)s standbys are connected.", standbys
        ) % format_count(standbys)
    else:
        says = _("There is no standby.")
    level = choose_level(red=lost, amber=away or (behind or 0) > FAR_BEHIND_BYTES)
    yield Condition("standbys", level, says, values)


def check_archive(look: Look) -> Iterator[Condition]:
    """Whether the server's own archive of its log works, where there is one."""
    found = _query(_ARCHIVE)
    if found is None:
        return
    is_failing, failed_at = found
    says = _("The archive of the database's log works.")
    if is_failing:
        says = _(
            "The archive of the database's log failed %(ago)s and has not worked since: a restore"
            " would lose what came after. Look at the log of PostgreSQL."
        ) % {"ago": look.describe_age(failed_at)}
    yield Condition("archive", choose_level(red=is_failing), says, {"failing": bool(is_failing)})


def _query(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()
