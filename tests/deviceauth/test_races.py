"""Races: several devices or windows send requests at the same time, on real connections."""

import pytest
from django.test import Client
from oauth2_provider.models import AccessToken, RefreshToken

from accounts.models import User
from accounts.toolbox.typed.codes import ALPHABET
from deviceauth import device_flow, device_sessions
from deviceauth.exceptions import UserCodeRefusal
from deviceauth.models import DeviceSession
from tests.concurrently import concurrently
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_six_redemptions_at_once_one_wins(desktop: Device, user: User) -> None:
    for _ in range(5):
        device = Device().start().approved_by(user)
        answers = concurrently(lambda _: device.poll(), threads=6)  # noqa: B023
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400, 400]
        assert {answer.json().get("error") for answer in answers} == {None, "invalid_grant"}
    assert AccessToken.objects.count() == DeviceSession.objects.count() == 5


def test_four_refreshes_at_once_get_one_and_the_same_pair(logged_in: Device) -> None:
    for generation in range(1, 6):
        answers = concurrently(lambda _: logged_in.refresh(), threads=4)
        assert [answer.status_code for answer in answers] == [200] * 4
        bodies = [answer.json() for answer in answers]
        assert len({(body["access_token"], body["refresh_token"]) for body in bodies}) == 1
        assert logged_in.me(bodies[0]["access_token"]).status_code == 200
        assert RefreshToken.objects.count() == generation + 1
        logged_in.tokens = bodies[0]


def test_a_session_revoked_during_refreshes_is_over(logged_in: Device) -> None:
    session = DeviceSession.objects.get()

    def act(number: int) -> int:
        if number == 0:
            device_sessions.revoke(session=session)
            return 0
        return int(logged_in.refresh().status_code)

    assert set(concurrently(act, threads=4)) <= {0, 200, 400}
    assert not AccessToken.objects.exists()
    for token in {logged_in.tokens["refresh_token"]}:
        assert logged_in.refresh(token).json()["error"] == "invalid_grant"


def test_of_two_users_with_one_code_one_gets_the_device(desktop: Device, user: User) -> None:
    users = [user, User.objects.create_user("bob@example.com")]

    def approve(number: int) -> int:
        try:
            device_flow.approve(code=desktop.row, user=users[number])
        except UserCodeRefusal:
            return 0
        return users[number].pk

    desktop.start()
    assert sorted(concurrently(approve, threads=2)) == [0, desktop.row.user_id]


def test_of_many_guesses_at_once_only_as_many_are_looked_at_as_may_be(user: User) -> None:
    browser = Client()
    browser.force_login(user)
    cookies = browser.cookies

    def guess(number: int) -> int:
        one = Client()
        one.cookies = cookies
        return int(
            one.post("/auth/device", {"user_code": f"BBBB-BBB{ALPHABET[number]}"}).status_code
        )

    answers = concurrently(guess, threads=16)
    assert sorted(answers) == [404] * 5 + [429] * 11


def test_a_right_code_among_wrong_ones_gives_none_of_them_back(desktop: Device, user: User) -> None:
    desktop.start()

    def attempt(number: int) -> str:
        right = number % 2
        try:
            device_flow.find(
                user_code=desktop.codes["user_code"] if right else "BBBBBBBB", user=user
            )
        except UserCodeRefusal as refusal:
            return refusal.code
        return "found"

    answers = [attempt(number) for number in range(11)]
    assert answers == ["unknown_user_code", "found"] * 4 + [
        "unknown_user_code",
        *["rate_limit_exceeded"] * 2,
    ]
