"""When a low balance needs no mail: a refill buys credits by itself."""

from accounts.models import AccountAlert
from credits.models import Refill
from credits.refills.ends import is_running


def find_silence(alert: AccountAlert) -> str:
    """Return why an alert is not mailed; empty if it is."""
    if alert.kind != AccountAlert.Kind.LOW:
        return ""
    refill = Refill.objects.filter(user=alert.user_id).first()
    return "refill" if refill is not None and is_running(refill) else ""
