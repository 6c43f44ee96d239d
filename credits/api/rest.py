"""The credits API as JSON routes (api.md §2)."""

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.toolbox.dialects import ENVELOPE, speaks
from credits.api import answers, openapi


def _get_caller(request: Request) -> User:
    """Return the caller, whom the permission class IsAuthenticated has let through."""
    assert isinstance(request.user, User)  # noqa: S101 – for the type checker
    return request.user


@speaks(ENVELOPE)
class HistoryView(APIView):
    @openapi.history
    def get(self, request: Request) -> Response:
        return Response(answers.read_history(_get_caller(request), request.query_params))


@speaks(ENVELOPE)
class PackagesView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @openapi.packages
    def get(self, request: Request) -> Response:
        return Response(answers.list_packages())


@speaks(ENVELOPE)
class StatsView(APIView):
    @openapi.stats
    def get(self, request: Request) -> Response:
        return Response(answers.sum_transactions(_get_caller(request), request.query_params))
