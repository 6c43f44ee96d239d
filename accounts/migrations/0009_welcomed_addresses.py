from django.db import migrations, models


def note_those_of_today(apps, schema_editor):
    """Whoever has an account now needs no bonus for a second one with the same address."""
    from accounts.bonus_addresses import digests

    User = apps.get_model("accounts", "User")
    WelcomedAddress = apps.get_model("accounts", "WelcomedAddress")
    emails = User.objects.values_list("email", flat=True).iterator(1000)
    rows = (WelcomedAddress(digest=digests(email)[0]) for email in emails)
    WelcomedAddress.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0008_outgoing_mails'),
    ]

    operations = [
        migrations.CreateModel(
            name='WelcomedAddress',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
            ],
            options={
                'db_table': 'welcomed_addresses',
                'default_permissions': (),
            },
        ),
        migrations.RunPython(note_those_of_today, migrations.RunPython.noop, elidable=True),
    ]
