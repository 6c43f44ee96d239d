"""The request validator that oauthlib calls to check clients, codes and tokens.

Sources: RFC 6749, RFC 8628.
"""

from typing import Any

from django.conf import settings
from django.db.transaction import atomic
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, RefreshToken
from oauth2_provider.oauth2_validators import OAuth2Validator

from accounts.models import User
from accounts.toolbox.credentials import checksum
from accounts.toolbox.request_source import UNKNOWN, Source
from deviceauth import device_flow, device_sessions
from deviceauth.exceptions import InvalidClient, InvalidGrant
from deviceauth.models import DeviceSession

AUTHORIZED = "authorized"  # oauthlib's DeviceCodeGrant.DEVICE_CODE_AUTHORIZED


class Validator(OAuth2Validator):
    """Validates OAuth requests. `source` is recorded with the device session and its events."""

    def __init__(self, source: Source = UNKNOWN) -> None:
        super().__init__()
        self.source = source

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Raise InvalidClient for an unknown client; oauthlib itself would answer
        `invalid_request`.
        """
        if not super().validate_client_id(client_id, request, *args, **kwargs):
            raise InvalidClient
        return True

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Return whether the client's secret is right.

        False for a public client, which has none.
        """
        known = super().authenticate_client(request, *args, **kwargs)
        return bool(known and request.client.client_type == Application.CLIENT_CONFIDENTIAL)

    def validate_device_code(
        self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any
    ) -> str:
        """Check a poll (RFC 8628 §3.5). Every state except "authorized" raises an OAuth2Error."""
        grant = device_flow.poll(device_code=code, client=request.client, source=self.source)
        request.device_grant = grant
        request.user = grant.user
        request.scopes = grant.scopes
        request.extra_credentials = _build_user_block(request)
        return AUTHORIZED

    def validate_refresh_token(
        self, refresh_token: str, client: Application, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Check a refresh token (RFC 6749 §6).

        A reuse after the grace period revokes the whole token family (RFC 9700 §4.14).
        """
        with atomic():
            if not super().validate_refresh_token(refresh_token, client, request, *args, **kwargs):
                device_sessions.end_replayed(
                    token_checksum=checksum(refresh_token), source=self.source
                )
                return False
        if not request.user.is_active or self._is_too_old(request.refresh_token_instance):
            return False
        request.extra_credentials = _build_user_block(request)
        return True

    def _is_too_old(self, token: RefreshToken) -> bool:
        """Return whether the session exceeds DEVICE_SESSION_MAX_DAYS; revoke it if it does."""
        if not settings.DEVICE_SESSION_MAX_DAYS:
            return False
        session = DeviceSession.objects.filter(token_family=token.token_family).first()
        if session is None or not session.has_outlived_its_limit():
            return False
        device_sessions.revoke(session=session, source=self.source)
        return True

    def get_original_scopes(
        self, refresh_token: str, request: Any, *args: Any, **kwargs: Any
    ) -> list[str]:
        """Return the scopes that the user approved.

        An access token with fewer scopes does not limit the tokens that follow it (RFC 6749 §6).
        """
        family = request.refresh_token_instance.token_family
        session = DeviceSession.objects.filter(token_family=family).first()
        return (
            session.scopes if session else list(super().get_original_scopes(refresh_token, request))
        )

    def _save_bearer_token(
        self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Save new tokens. An exception here rolls back django-oauth-toolkit's transaction."""
        created = dict(token)
        if request.grant_type == "refresh_token":
            _require_not_revoked(request.refresh_token_instance.pk)
        else:
            device_flow.consume(code=request.device_grant, source=self.source)
        super()._save_bearer_token(token, request, *args, **kwargs)
        if not token["access_token"]:  # reused in the grace period: the row has only a hash
            token.update(_derive_same_pair(created))

    def _create_refresh_token(
        self, request: Any, code: str, access_token: AccessToken, previous: RefreshToken | None
    ) -> RefreshToken:
        issued = super()._create_refresh_token(request, code, access_token, previous)
        if previous is None:
            device_sessions.begin(
                code=request.device_grant,
                user=request.user,
                token_family=issued.token_family,
                source=self.source,
            )
        else:
            device_sessions.touch(token_family=issued.token_family, source=self.source)
        return issued

    def revoke_token(
        self, token: str, token_type_hint: str, request: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Revoke the session of either token of a pair, even an old one (RFC 7009)."""
        device_sessions.revoke_token(
            token_checksum=checksum(token), client=request.client, source=self.source
        )


def build_profile(user: User) -> dict[str, Any]:
    """Return the user as the existing desktop application expects. `credits` is the balance."""
    return {
        "id": user.pk,
        "openId": user.public_id,
        "name": user.name,
        "email": user.email,
        "credits": user.credits,
        "plan": user.plan_id,
    }


def _build_user_block(request: Any) -> dict[str, Any] | None:
    first_party = request.client.client_id == settings.FIRST_PARTY_CLIENT_ID
    return {"user": build_profile(request.user)} if first_party else None


def _require_not_revoked(pk: int) -> None:
    """Lock the presented refresh token, and raise InvalidGrant if it may not be used any more.

    Since its validation the session may have been revoked or its successor used, and
    django-oauth-toolkit would then start a second branch of the family. The successor is locked
    too, because a row that another transaction is deleting can still be read, but not locked.
    """
    presented = RefreshToken.objects.select_for_update().get(pk=pk)
    successors = AccessToken.objects.select_for_update(of=("self",)).filter(
        source_refresh_token=presented
    )
    if presented.revoked and not list(successors):
        raise InvalidGrant


def _derive_same_pair(created: dict[str, Any]) -> dict[str, Any]:
    """Return the pair of the first refresh, derived again, with its remaining lifetime in seconds.

    Raises InvalidGrant if the derived pair differs, as when SECRET_KEY has changed in between.
    """
    stored = AccessToken.objects.filter(token_checksum=checksum(created["access_token"])).first()
    if stored is None:
        raise InvalidGrant
    remaining = int((stored.expires - timezone.now()).total_seconds())
    return {
        "access_token": created["access_token"],
        "refresh_token": created["refresh_token"],
        "expires_in": max(remaining, 0),
    }
