"""Mails to users: stored in the transaction of their cause, sent later by `manage.py send_mail`.

So a mail server that is down delays mails but loses none, and no request waits for it. If the
server disconnects, it is unknown whether it accepted the mail: the mail is sent again, so it may
come twice. `manage.py tick` calls `send_mail` every minute
(docs/decisions/0014-mails-wait-in-a-table.md).
"""

import logging
from datetime import timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.utils import timezone, translation

from accounts.languages import choose_language
from accounts.mail_html import build_mail
from accounts.models import OutgoingMail, User
from accounts.toolbox import encryption

logger = logging.getLogger(__name__)

PURPOSE = "mails"
UNDER_WAY = timedelta(minutes=1)  # the longest time that an attempt takes
TRIES = 10  # the wait doubles from one minute on, so the last try is after about eight hours


def queue_mail(
    user: User, template: str, *, to: str = "", language: str | None = None, **context: Any
) -> None:
    """Store a mail to the user, made from `<template>_subject.txt` and `<template>_message.txt`.

    `to` is used instead of the user's address, `language` instead of the one that choose_language
    finds. `context` is passed to both templates.
    """
    with translation.override(language or choose_language(user)):
        facts = {"user": user, "origin": settings.PUBLIC_ORIGIN, **context}
        subject = " ".join(render_to_string(f"{template}_subject.txt", facts).split())
        body = render_to_string(f"{template}_message.txt", facts).strip() + "\n"
    OutgoingMail.objects.create(
        to=to or user.email,
        subject=settings.ACCOUNT_EMAIL_SUBJECT_PREFIX + subject,
        body=encryption.encrypt(body, purpose=PURPOSE),
    )


def decrypt_body(mail: OutgoingMail) -> str:
    """Return the text of a stored mail, which may contain a secret link.

    Raises encryption.Unreadable.
    """
    return encryption.decrypt(mail.body, purpose=PURPOSE)


def send_due(limit: int = 100) -> int:
    """Send up to `limit` due mails; return the number sent.

    Two processes never send the same mail at the same time.
    """
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


def is_under_way(mail: OutgoingMail) -> bool:
    """Whether an attempt to send this mail began less than a minute ago."""
    wait = timedelta(minutes=2 ** (mail.tries - 1)) if mail.tries else timedelta(0)
    return mail.tries > 0 and mail.next_try_at - wait > timezone.now() - UNDER_WAY


def send_again(mail: OutgoingMail) -> bool:
    """Make a mail due now, with all its tries before it. False if it has changed or was sent."""
    same = OutgoingMail.objects.filter(pk=mail.pk, tries=mail.tries, next_try_at=mail.next_try_at)
    return bool(same.update(tries=0, next_try_at=Now()))


def _send(mail: OutgoingMail) -> bool:
    try:
        build_mail(EmailMessage(mail.subject, decrypt_body(mail), to=[mail.to])).send()
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
