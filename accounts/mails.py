"""Mail to a user: written down in the transaction of its cause, sent after it by `manage.py send_mail` (in `tick`).

So a mail server that is away delays a mail and loses none, and no request waits for it. Whether a server
that hung up had taken a mail cannot be known: it is sent again rather than never.
"""

import logging
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation

from accounts.models import OutgoingMail, User
from accounts.toolbox import encryption

logger = logging.getLogger(__name__)

PURPOSE = "mails"
TRIES = (
    10  # each a minute times a power of two after the one before: the last after some eight hours
)


def tell(
    user: User, template: str, *, to: str = "", language: str | None = None, **context: Any
) -> None:
    """Have the user get `<template>_subject.txt` and `<template>_message.txt`, in `language` or the one in force.

    `to` is another address than the one they have now.
    """
    with translation.override(language or translation.get_language()):
        facts = {"user": user, "origin": settings.PUBLIC_ORIGIN, **context}
        subject = " ".join(render_to_string(f"{template}_subject.txt", facts).split())
        body = render_to_string(f"{template}_message.txt", facts).strip() + "\n"
    OutgoingMail.objects.create(
        to=to or user.email,
        subject=settings.ACCOUNT_EMAIL_SUBJECT_PREFIX + subject,
        body=encryption.encrypt(body, purpose=PURPOSE),
    )


def text(mail: OutgoingMail) -> str:
    """What a waiting mail says; it can hold a link that is its reader's alone. Raises encryption.Unreadable."""
    return encryption.decrypt(mail.body, purpose=PURPOSE)


def send_due(limit: int = 100) -> int:
    """Send up to `limit` mails that are due; how many went. Two at once never send the same one."""
    sent = 0
    for _ in range(limit):
        mail = _claim()
        if mail is None:
            break
        sent += _send(mail)
    return sent


_CLAIM = """
UPDATE outgoing_mails
   SET tries = tries + 1, next_try_at = clock_timestamp() + interval '1 minute' * 2 ^ tries
 WHERE id = (SELECT id FROM outgoing_mails WHERE next_try_at <= clock_timestamp() AND tries < %s
              ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""


def _claim() -> OutgoingMail | None:
    return next(iter(OutgoingMail.objects.raw(_CLAIM, [TRIES])), None)


def _send(mail: OutgoingMail) -> bool:
    try:
        EmailMessage(subject=mail.subject, body=text(mail), to=[mail.to]).send()
    except (OSError, SMTPException, encryption.Unreadable) as error:
        logger.log(
            logging.ERROR if mail.tries == TRIES else logging.WARNING,
            "mail %s was not sent: %s",
            mail.pk,
            error,
        )
        return False
    mail.delete()
    return True
