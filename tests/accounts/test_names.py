"""Names in any script: which characters are spelling, and which are refused by their name."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils.translation import override

from accounts.login.factor_forms import OptionalNameField
from accounts.models import ApiKey
from accounts.toolbox.typed.names import NameField, clean_name
from deviceauth.models import DeviceSession
from tests.accounts.conftest import change_in_admin, reauthenticate
from tests.deviceauth.conftest import Device

ACCEPTED = [
    "CI",
    "می‌خواهم",
    "👨‍👩‍👦",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿 ❤️ 1️⃣",
    "คอม\u200bพิวเตอร์\u200bของ\u200bฉัน",
    "นํ้าใจ ที่บ้าน",
    "क्‍ष श्री",
    "עברית\u200f 2",
    "\u061cعربي\u200e",
    "Zoë’s Ça va",
    "a\u2060b\u00adc",
    "日本語\u3000端末",
    "\U0002f9f4 \U0001fae8 \U0001fae9",
    "<b>&amp;",
    "x" * 100,
]
REFUSED = {
    "a\x00b": "U+0000",
    "a\x07b": "U+0007 (control character)",
    "a\x1b[31mb": "U+001B",
    "a\x7fb": "U+007F",
    "a\u202eb": "U+202E (RIGHT-TO-LEFT OVERRIDE)",
    "a\u202ab": "U+202A (LEFT-TO-RIGHT EMBEDDING)",
    "a\u2066b": "U+2066 (LEFT-TO-RIGHT ISOLATE)",
    "a\u2069b": "U+2069 (POP DIRECTIONAL ISOLATE)",
    "a\u206ab": "U+206A",
    "a\ufff9b": "U+FFF9 (INTERLINEAR ANNOTATION ANCHOR)",
    "a\ud800b": "U+D800 (half of a character)",
    "a\ue000b": "U+E000 (private-use character)",
    "a\U0010fffdb": "U+10FFFD (private-use character)",
    "a\ufffeb": "U+FFFE (not a character)",
    "a\ufdd0b": "U+FDD0 (not a character)",
    "a\U0001ffffb": "U+1FFFF (not a character)",
    "\u200d\u200b": "can be seen",
    "\u3164": "can be seen",
    "\u2800 \u200f": "can be seen",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_name_of_any_script_stays_as_it_is(name: str) -> None:
    assert clean_name(name) == name.replace("\u3000", " ")


@pytest.mark.parametrize(("name", "named"), REFUSED.items())
def test_a_refused_character_is_named(name: str, named: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        clean_name(name)
    assert named in refusal.value.messages[0]


def test_it_is_named_in_thai_too() -> None:
    with override("th"), pytest.raises(ValidationError) as refusal:
        clean_name("a\u202eb")
    assert "U+202E (RIGHT-TO-LEFT OVERRIDE)" in refusal.value.messages[0]
    assert "อักขระ" in refusal.value.messages[0]


def test_a_name_is_on_one_line() -> None:
    assert clean_name(" a\r\nb\u2028c\td\u00a0e ") == "a b c d e"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["می‌خواهم", "👨‍👩‍👦", "คอม\u200bพิวเตอร์"])
def test_a_key_and_a_device_may_have_it(client: Client, make_user: Any, name: str) -> None:
    user = make_user()
    Device().start().approved_by(user).redeem()
    client.force_login(user)
    reauthenticate(client)
    assert client.post("/account/keys/new", {"name": name, "form": "f"}).status_code == 302
    device = DeviceSession.objects.get()
    assert client.post(f"/account/devices/{device.pk}", {"name": name}).status_code == 302
    assert (ApiKey.objects.get().name, DeviceSession.objects.get().name) == (name, name)


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "named"), [("a\x00b", "U+0000"), ("a\u202eb", "U+202E")])
def test_every_form_with_a_name_says_what_is_refused(
    client: Client, make_user: Any, name: str, named: str
) -> None:
    user = make_user(is_staff=True, is_superuser=True)
    Device().start().approved_by(user).redeem()
    client.force_login(user)
    reauthenticate(client)
    device = DeviceSession.objects.get()
    answers = [
        client.post("/account/keys/new", {"name": name, "form": "f"}),
        client.post(f"/account/devices/{device.pk}", {"name": name}),
    ]
    assert all(named in answer.content.decode() for answer in answers)


@pytest.mark.parametrize(
    ("field", "kept"), [(OptionalNameField(required=False), ""), (NameField(), None)]
)
def test_a_new_passkey_is_not_lost_for_its_name(field: NameField, kept: str | None) -> None:
    try:
        cleaned: str | None = field.clean("a\u202eb")
    except ValidationError:
        cleaned = None
    assert (cleaned, field.clean("می‌خواهم")) == (kept, "می‌خواهم")


@pytest.mark.django_db
def test_an_administrator_is_told_too(client: Client, make_user: Any) -> None:
    user = make_user(is_staff=True, is_superuser=True)
    client.force_login(user)
    answer = change_in_admin(client, user, name="a\u202eb", is_active="on")
    assert "U+202E (RIGHT-TO-LEFT OVERRIDE)" in answer.content.decode()
