from django.db import migrations, models

CLOSED = """
UPDATE users
   SET closed_at = coalesce(
         (SELECT max(created_at) FROM auth_events WHERE user_id = users.id AND kind = 'closed'),
         now())
 WHERE email LIKE 'deleted-%@deleted.invalid' AND NOT is_active
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0009_welcomed_addresses'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='closed_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='deleted'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(
                condition=models.Q(('closed_at', None), ('is_active', False), _connector='OR'),
                name='users_closed_stays_closed',
            ),
        ),
        migrations.RunSQL(CLOSED, migrations.RunSQL.noop, elidable=True),
    ]
