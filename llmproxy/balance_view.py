"""`GET /v1/credits`: the user's balance, and the budget of the device or API key that asks."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import ApiKey, User
from accounts.toolbox.dialects import ENVELOPE, speaks
from credits import budgets
from credits.api import answers, openapi
from deviceauth.models import DeviceSession


@speaks(ENVELOPE)
class CreditsView(APIView):
    @openapi.balance
    def get(self, request: Request) -> Response:
        """The balance, with `budget` if the caller's device or API key has one."""
        user = request.user
        assert isinstance(user, User)  # noqa: S101 – IsAuthenticated has checked it
        caller = _find_caller(request)
        limit = caller.monthly_budget if caller else None
        budget = (
            {"budget": budgets.read_budget(user, caller.credential, limit)}
            if caller and limit
            else {}
        )
        return Response(answers.read_balance(user) | budget)


def _find_caller(request: Request) -> ApiKey | DeviceSession | None:
    """The API key or device of a request; None for a browser and for a token without a device."""
    if isinstance(request.auth, ApiKey):
        return request.auth
    refresh_token = getattr(request.auth, "refresh_token", None)
    return (
        DeviceSession.objects.filter(token_family=refresh_token.token_family).first()
        if refresh_token
        else None
    )
