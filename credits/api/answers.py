"""The questions a user may ask about credits, and how the answers are spelt (api.md §2).

Every wire format asks here. `asked` are a question's parameters as they came; what does not fit raises
ValidationError. Times are datetimes, so that each wire format can say in its own way that they are.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone
from rest_framework import serializers

from accounts.models import User
from accounts.toolbox.keyset import MAX_KEY, cut_page
from credits import ledger
from credits.models import Package, Transaction
from credits.models.transactions import TransactionQuerySet


def balance(user: User) -> dict[str, Any]:
    """`credits` is the posted balance; `available` is what no hold has set aside."""
    now = ledger.balance(user)
    return {"credits": now.credits, "plan": now.plan, "held": now.held, "available": now.available}


class HistoryQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)
    cursor = serializers.IntegerField(min_value=1, max_value=MAX_KEY, required=False)
    type = serializers.ChoiceField(choices=Transaction.Type.values, required=False)
    start = serializers.DateTimeField(required=False)
    end = serializers.DateTimeField(required=False)


class TransactionSerializer(serializers.ModelSerializer[Transaction]):
    balanceAfter = serializers.IntegerField(source="balance_after", read_only=True)  # noqa: N815 – the wire's spelling
    createdAt = serializers.DateTimeField(source="created_at", format=None, read_only=True)  # noqa: N815

    class Meta:
        model = Transaction
        fields = ["id", "amount", "type", "description", "balanceAfter", "createdAt", "metadata"]
        read_only_fields = fields


def history(user: User, asked: Any) -> dict[str, Any]:
    """Newest first; `next` is the cursor of the following page or None."""
    query = _valid(HistoryQuery(data=asked))
    page = cut_page(_transactions(user, query), "seq", query.get("cursor"), query["limit"])
    cursor = None if page.before is None else str(page.before)
    return {"results": TransactionSerializer(page.rows, many=True).data, "next": cursor}


def _transactions(user: User, query: Mapping[str, Any]) -> TransactionQuerySet:
    filters = {"type": "type", "created_at__gte": "start", "created_at__lt": "end"}
    wanted = {lookup: query[name] for lookup, name in filters.items() if name in query}
    return Transaction.objects.filter(user=user, **wanted)


class PackageSerializer(serializers.ModelSerializer[Package]):
    priceUsd = serializers.DecimalField(  # noqa: N815
        source="price_usd", max_digits=10, decimal_places=2, coerce_to_string=False, read_only=True
    )
    isPopular = serializers.BooleanField(source="is_popular", read_only=True)  # noqa: N815

    class Meta:
        model = Package
        fields = ["id", "name", "description", "credits", "priceUsd", "isPopular"]
        read_only_fields = fields


def packages() -> list[dict[str, Any]]:
    """What is on sale, in the order of the shop."""
    return list(PackageSerializer(Package.objects.filter(is_active=True), many=True).data)


class StatsQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=366, default=30)


def stats(user: User, asked: Any) -> dict[str, Any]:
    """Sums of the last `days` days, in credits; usage is given as a positive number."""
    days = _valid(StatsQuery(data=asked))["days"]
    since = timezone.now() - timedelta(days=days)
    totals = Transaction.objects.filter(user=user, created_at__gte=since).aggregate(
        usage=Sum("amount", filter=Q(type=Transaction.Type.USAGE), default=0),
        purchased=Sum("amount", filter=Q(type=Transaction.Type.PURCHASE), default=0),
        count=Count("id"),
    )
    return {
        "totalUsage": -totals["usage"],
        "totalPurchased": totals["purchased"],
        "transactionCount": totals["count"],
        "periodDays": days,
    }


def _valid(query: serializers.Serializer[Any]) -> Mapping[str, Any]:
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)
