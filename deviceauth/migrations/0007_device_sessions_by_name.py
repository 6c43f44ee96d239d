"""An index of names and their beginnings, for the box of the admin that finds anything."""

from django.db import migrations

BY_NAME = "device_sessions_by_name ON device_sessions (lower(name) text_pattern_ops, id DESC)"


class Migration(migrations.Migration):
    atomic = False  # an index that is built while the site is running

    dependencies = [
        ('deviceauth', '0006_plain_texts'),
    ]

    operations = [
        migrations.RunSQL(
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {BY_NAME}",
            "DROP INDEX CONCURRENTLY IF EXISTS device_sessions_by_name",
        ),
    ]
