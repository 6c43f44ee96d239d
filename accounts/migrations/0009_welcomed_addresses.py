from django.db import migrations, models


def record_existing_addresses(apps, schema_editor):
    """Record the addresses of existing users, so that a second account gets no second bonus."""
    from accounts.bonus_addresses import digest_mailbox

    User = apps.get_model("accounts", "User")
    WelcomedAddress = apps.get_model("accounts", "WelcomedAddress")
    emails = User.objects.values_list("email", flat=True).iterator(1000)
    rows = (WelcomedAddress(digest=digest_mailbox(email)[0]) for email in emails)
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
        migrations.RunPython(record_existing_addresses, migrations.RunPython.noop, elidable=True),
    ]
