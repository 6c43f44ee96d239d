"""Indexes for the administrators' lists. Charging an answer, the hot path, writes to none of them:
usage rows, and open or captured holds, are outside of what they cover.
"""

from django.db import migrations

INDEXES = {
    # One type, newest first: a purchase among ten million answers.
    "credit_transactions_other_by_type": "credit_transactions (type, id) WHERE type <> 'usage'",
    # What one user bought, was given and got back, among a million answers of that user.
    "credit_transactions_other_by_user": "credit_transactions (user_id, seq) WHERE type <> 'usage'",
    # A payment; the reference of an answer is found by its completion.
    "credit_transactions_by_payment": "credit_transactions (reference_id) WHERE type <> 'usage' AND reference_id <> ''",
    # Holds that ended uncaptured, the rare ones.
    "credit_holds_uncaptured_by_state": "credit_holds (state, id) WHERE state IN ('released', 'expired')",
}


class Migration(migrations.Migration):
    dependencies = [("credits", "0004_the_database_refuses_more")]

    operations = [
        migrations.RunSQL(f"CREATE INDEX {name} ON {what}", f"DROP INDEX {name}") for name, what in INDEXES.items()
    ]
