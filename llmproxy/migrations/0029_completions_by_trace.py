import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # an index that is built while completions are written

    dependencies = [
        ("llmproxy", "0028_pauses_by_administrators"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='completion',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['trace_id'], name='completions_by_trace', opclasses=['text_bloom_ops']),
        ),
    ]
