"""Tables that all workers share: rates and Django's cache. UNLOGGED rates cost no flush to disk;
after a crash of PostgreSQL they are empty, which forgives a minute."""

from typing import Any

from django.core.management import call_command
from django.db import migrations

RATE_LIMITS = """
CREATE UNLOGGED TABLE rate_limits (key text PRIMARY KEY, arrival timestamptz NOT NULL) WITH (fillfactor = 50);
"""


def create_cache_table(apps: Any, schema_editor: Any) -> None:
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_free_plan")]
    operations = [
        migrations.RunSQL(RATE_LIMITS, "DROP TABLE rate_limits"),
        migrations.RunPython(create_cache_table, migrations.RunPython.noop),
    ]
