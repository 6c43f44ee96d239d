"""Passkeys of a host that PUBLIC_ORIGIN no longer names are counted by a check."""

from hashlib import sha256

import pytest
from allauth.mfa.models import Authenticator
from django.core.checks import run_checks
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AuthenticatorData, CollectedClientData

pytestmark = pytest.mark.django_db


def add_passkey(user, host):
    """Store a passkey as a browser at this host makes it."""
    data = AuthenticatorData.create(sha256(host.encode()).digest(), AuthenticatorData.FLAG.UP, 0)
    client = CollectedClientData.create("webauthn.create", b"x" * 16, f"https://{host}")
    response = {
        "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
        "clientDataJSON": websafe_encode(client),
    }
    credential = {"id": "YQ", "rawId": "YQ", "type": "public-key", "response": response}
    Authenticator.objects.create(
        user=user, type="webauthn", data={"name": host, "credential": credential}
    )


def list_warnings():
    messages = run_checks(databases=["default"], include_deployment_checks=True)
    return [message.msg for message in messages if message.id == "smartspec.W012"]


def test_a_move_to_another_host_is_warned_of_with_a_number(settings, make_user, monkeypatch):
    monkeypatch.setattr("smartspec.checks._ask_for_proxy_problem", lambda url: "")
    settings.DEBUG, settings.PUBLIC_HOST = False, "old.example"
    ann = make_user()
    for host in ("old.example", "old.example", "new.example"):
        add_passkey(ann, host)
    Authenticator.objects.create(user=ann, type="webauthn", data={"name": "x", "credential": {}})
    assert [text.partition(" ")[0] for text in list_warnings()] == ["1"]
    settings.PUBLIC_HOST = "new.example"
    assert [text.partition(" ")[0] for text in list_warnings()] == ["2"]


def test_passkeys_of_the_public_host_are_no_warning(settings, make_user, monkeypatch):
    monkeypatch.setattr("smartspec.checks._ask_for_proxy_problem", lambda url: "")
    settings.DEBUG, settings.PUBLIC_HOST = False, "site.example"
    add_passkey(make_user(), "site.example")
    assert list_warnings() == []
