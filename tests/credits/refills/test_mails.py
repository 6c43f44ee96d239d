"""The mails about refills and plans read well, in both languages."""

import pytest
from django.utils import translation

from accounts.mails import decrypt_body
from accounts.models import OutgoingMail, User
from credits.refills import charging
from tests.credits.refills.conftest import use_up


def read_mail() -> str:
    return decrypt_body(OutgoingMail.objects.get())


def test_a_failed_refill_names_the_card_and_the_package(switch_on, ann):
    switch_on("chargeCustomerFail")
    use_up(ann)
    charging.run_due()
    body = read_mail()
    assert "Visa •••• 0341 was declined, so Pro was not bought and nothing was charged." in body
    assert "/account/credits/refill" in body


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Your bank wants to see you"), ("th", "ธนาคารของคุณต้องการให้คุณยืนยัน")],
)
def test_a_paused_refill_says_why_in_the_language_of_the_buyer(switch_on, ann, language, words):
    User.objects.filter(pk=ann.pk).update(language=language)
    switch_on("authenticationRequired")
    use_up(ann)
    with translation.override("en"):
        charging.run_due()
    assert words in read_mail()
