"""Credit routes of the API (api.md §2). They only read."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from credits import ledger
from credits.models import Package, Transaction


def _user(request: Request) -> User:
    """Whoever passed IsAuthenticated."""
    assert isinstance(request.user, User)  # noqa: S101 – for the type checker
    return request.user


class BalanceView(APIView):
    def get(self, request: Request) -> Response:
        balance = ledger.balance(_user(request))
        return Response(
            {
                "credits": balance.credits,
                "plan": balance.plan,
                "held": balance.held,
                "available": balance.available,
            }
        )


class HistoryQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)
    cursor = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    type = serializers.ChoiceField(choices=Transaction.Type.values, required=False)
    start = serializers.DateTimeField(required=False)
    end = serializers.DateTimeField(required=False)


class TransactionSerializer(serializers.ModelSerializer[Transaction]):
    balanceAfter = serializers.IntegerField(source="balance_after")  # noqa: N815 – the wire's spelling
    createdAt = serializers.DateTimeField(source="created_at")  # noqa: N815

    class Meta:
        model = Transaction
        fields = ["id", "amount", "type", "description", "balanceAfter", "createdAt", "metadata"]


class HistoryView(APIView):
    """Newest first; `next` is the cursor of the following page or null."""

    def get(self, request: Request) -> Response:
        query = HistoryQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        limit = query.validated_data["limit"]
        rows = list(_history(_user(request), query.validated_data)[: limit + 1])
        cursor = str(rows[limit - 1].seq) if len(rows) > limit else None
        return Response({"results": TransactionSerializer(rows[:limit], many=True).data, "next": cursor})


def _history(user: User, asked: dict[str, Any]) -> Any:
    filters = {"seq__lt": "cursor", "type": "type", "created_at__gte": "start", "created_at__lt": "end"}
    wanted = {lookup: asked[name] for lookup, name in filters.items() if name in asked}
    return Transaction.objects.filter(user=user, **wanted).newest_first()


class PackageSerializer(serializers.ModelSerializer[Package]):
    priceUsd = serializers.DecimalField(  # noqa: N815
        source="price_usd", max_digits=10, decimal_places=2, coerce_to_string=False
    )
    isPopular = serializers.BooleanField(source="is_popular")  # noqa: N815

    class Meta:
        model = Package
        fields = ["id", "name", "description", "credits", "priceUsd", "isPopular"]


class PackagesView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response(PackageSerializer(Package.objects.filter(is_active=True), many=True).data)


class StatsQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=366, default=30)


class StatsView(APIView):
    """Sums of the last `days` days, in credits; usage is given as a positive number."""

    def get(self, request: Request) -> Response:
        query = StatsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        days = query.validated_data["days"]
        since = timezone.now() - timedelta(days=days)
        totals = Transaction.objects.filter(user=_user(request), created_at__gte=since).aggregate(
            usage=Sum("amount", filter=Q(type=Transaction.Type.USAGE), default=0),
            purchased=Sum("amount", filter=Q(type=Transaction.Type.PURCHASE), default=0),
            count=Count("id"),
        )
        return Response(
            {
                "totalUsage": -totals["usage"],
                "totalPurchased": totals["purchased"],
                "transactionCount": totals["count"],
                "periodDays": days,
            }
        )
