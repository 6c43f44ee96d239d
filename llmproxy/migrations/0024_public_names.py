from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('llmproxy', '0023_usage_roll_ups'),
    ]

    operations = [
        migrations.AddField(
            model_name='provider',
            name='public_name',
            field=models.CharField(blank=True, db_default='', help_text='For visitors who are not logged in. If empty, they read “Provider 1”.', max_length=100, verbose_name='name on the public page'),
        ),
    ]
