import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # an index that is built while completions are written

    dependencies = [
        ('llmproxy', '0021_request_ids'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='completion',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['request_id'], name='completions_by_request', opclasses=['text_bloom_ops']),
        ),
    ]
