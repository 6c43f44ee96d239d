"""Tables that all workers share: rate limits and Django's cache.

The table of rate limits is UNLOGGED, so a write costs no flush to disk. After a crash of PostgreSQL
it is empty, so callers get a new limit for that minute.
"""

from typing import Any

from django.core.management import call_command
from django.db import migrations

RATE_LIMITS = """
CREATE UNLOGGED TABLE rate_limits (key text PRIMARY KEY, arrival timestamptz NOT NULL)
  WITH (fillfactor = 50);
"""


def create_cache_table(apps: Any, schema_editor: Any) -> None:
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_free_plan")]
    operations = [
        migrations.RunSQL(RATE_LIMITS, "DROP TABLE rate_limits"),
        migrations.RunPython(create_cache_table, migrations.RunPython.noop),
    ]
