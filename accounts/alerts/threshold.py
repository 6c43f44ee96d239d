"""The balance below which a user wants an alert."""

from django.db.models import BooleanField, ExpressionWrapper, Q, Value

from accounts.models import User

MAX_BELOW = 1_000_000_000  # credits


def set_threshold(user: User, below: int) -> bool:
    """Store the threshold, 0 for none; False if the balance is below it already.

    If the balance is below it already, no alert is sent; the threshold is armed when the balance
    has risen. This is one statement, so a charge at the same moment comes before or after it.
    """
    is_above = ExpressionWrapper(Q(credits__gte=below), output_field=BooleanField())
    armed = is_above if below > 0 else Value(value=False)
    User.objects.filter(pk=user.pk).update(alert_below=below, alert_armed=armed)
    user.refresh_from_db(fields=["alert_below", "alert_armed"])
    return user.alert_armed or below == 0
