"""Indexes for the box that finds anything, and for the administrators' log of one row.

Django does not describe the last two in a model: one is of an expression with an operator class for
beginnings, the other is of a table of its own.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

BY_NAME = "api_keys_by_name ON api_keys (lower(name) text_pattern_ops, id DESC)"
OF_ROWS = "django_admin_log_by_object ON django_admin_log (object_id, content_type_id, id)"


class Migration(migrations.Migration):
    atomic = False  # indexes that are built while the site is running

    dependencies = [
        ("accounts", "0020_acts_of_administrators"),
        ('admin', '0003_logentry_add_action_flag_choices'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='apikey',
            index=models.Index(fields=['last_characters', '-id'], name='api_keys_by_ending'),
        ),
        AddIndexConcurrently(
            model_name='outgoingmail',
            index=models.Index(fields=['to'], name='outgoing_mails_by_address'),
        ),
        migrations.RunSQL(
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {BY_NAME}",
            "DROP INDEX CONCURRENTLY IF EXISTS api_keys_by_name",
        ),
        migrations.RunSQL(
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {OF_ROWS}",
            "DROP INDEX CONCURRENTLY IF EXISTS django_admin_log_by_object",
        ),
    ]
