"""Mail about what happened to an account, in the language of whoever did it. Never called inside a transaction."""

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.devices import Source
from accounts.models import ApiKey


def key_created(*, key: ApiKey, source: Source) -> None:
    """Raises what the mail server answers, or OSError."""
    context = {
        "key": key,
        "source": source,
        "link": f"{settings.PUBLIC_ORIGIN}{reverse('account_keys')}",
    }
    subject = render_to_string("accounts/email/key_created_subject.txt", context).strip()
    message = render_to_string("accounts/email/key_created_message.txt", context)
    send_mail(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}", message, None, [key.user.email])
