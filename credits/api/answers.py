"""What the credits API returns, for all its wire formats (api.md §2).

`parameters` are the unchecked parameters of the request; invalid ones raise ValidationError. Times
are returned as datetimes, because each wire format writes them in its own way.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from accounts.toolbox.keyset import MAX_KEY, cut_page
from credits import ledger
from credits.currencies import count_decimals
from credits.models import Package, PackagePrice, Transaction
from credits.models.transactions import TransactionQuerySet
from credits.purchases import prices


def read_balance(user: User) -> dict[str, Any]:
    """Return the balance: `credits` is the posted balance, `available` is without held credits."""
    balance = ledger.balance(user)
    return {
        "credits": balance.credits,
        "plan": balance.plan,
        "held": balance.held,
        "available": balance.available,
    }


# A row that is skipped is read all the same. Further back, clients use the cursor or dates.
MAX_OFFSET = 10_000


class HistoryQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)
    cursor = serializers.IntegerField(min_value=1, max_value=MAX_KEY, required=False)
    offset = serializers.IntegerField(
        min_value=0, max_value=MAX_OFFSET, default=0, help_text="Rows to skip after the cursor."
    )
    type = serializers.ChoiceField(choices=Transaction.Type.values, required=False)
    start = serializers.DateTimeField(required=False)
    end = serializers.DateTimeField(required=False, help_text="Not included.")
    startDate = serializers.DateTimeField(  # noqa: N815 – the spelling of the API
        required=False, help_text="The same as `start`."
    )
    endDate = serializers.DateTimeField(required=False, help_text="Included.")  # noqa: N815


FILTERS = {
    "type": "type",
    "start": "created_at__gte",
    "startDate": "created_at__gte",
    "end": "created_at__lt",
}


class TransactionSerializer(serializers.ModelSerializer[Transaction]):
    balanceAfter = serializers.IntegerField(  # noqa: N815 – the spelling of the API
        source="balance_after", read_only=True
    )
    createdAt = serializers.DateTimeField(  # noqa: N815
        source="created_at", format=None, read_only=True
    )

    class Meta:
        model = Transaction
        fields = ["id", "amount", "type", "description", "balanceAfter", "createdAt", "metadata"]
        read_only_fields = fields


def read_history(user: User, parameters: Any) -> dict[str, Any]:
    """Return one page of transactions, the newest first. `next` is the next cursor or None."""
    query = _validate(HistoryQuery(data=parameters))
    rows = _filter_transactions(user, query)
    before = _skip(rows, query.get("cursor"), query["offset"])
    page = cut_page(rows, "seq", before, query["limit"])
    cursor = None if page.before is None else str(page.before)
    return {"results": TransactionSerializer(page.rows, many=True).data, "next": cursor}


def _filter_transactions(user: User, query: Mapping[str, Any]) -> TransactionQuerySet:
    rows = Transaction.objects.filter(user=user)
    for name, lookup in FILTERS.items():
        if name in query:
            rows = rows.filter(**{lookup: query[name]})
    if (last := query.get("endDate")) is not None:
        # JavaScript has dates of milliseconds, and the rows of this millisecond belong to it.
        is_whole = last.microsecond % 1000 == 0
        rows = rows.filter(created_at__lte=last + timedelta(microseconds=999 if is_whole else 0))
    return rows


def _skip(rows: TransactionQuerySet, cursor: int | None, offset: int) -> int | None:
    """Return the cursor after `offset` more rows; 0, after which there is none, at the end."""
    if not offset:
        return cursor
    older = rows if cursor is None else rows.filter(seq__lt=cursor)
    keys = older.order_by("-seq").values_list("seq", flat=True)
    return next(iter(keys[offset - 1 : offset]), 0)


class PriceSerializer(serializers.ModelSerializer[PackagePrice]):
    amount = serializers.IntegerField(read_only=True, help_text="In minor units.")
    decimals = serializers.SerializerMethodField(
        help_text="How many digits of the amount are decimals."
    )

    class Meta:
        model = PackagePrice
        fields = ["currency", "amount", "decimals"]
        read_only_fields = fields

    def get_decimals(self, price: PackagePrice) -> int:
        return count_decimals(price.currency)


class PackageSerializer(serializers.ModelSerializer[Package]):
    priceUsd = serializers.DecimalField(  # noqa: N815
        source="price_usd", max_digits=10, decimal_places=2, coerce_to_string=False, read_only=True
    )
    prices = serializers.SerializerMethodField()
    isPopular = serializers.BooleanField(source="is_popular", read_only=True)  # noqa: N815

    class Meta:
        model = Package
        fields = ["id", "name", "description", "credits", "priceUsd", "prices", "isPopular"]
        read_only_fields = fields

    @extend_schema_field(PriceSerializer(many=True))
    def get_prices(self, package: Package) -> Any:
        return PriceSerializer(prices.list_prices(package), many=True).data


def list_packages() -> list[dict[str, Any]]:
    """Return the packages on sale, in the order that the operator chose."""
    packages = Package.objects.filter(is_active=True).prefetch_related("prices")
    return list(PackageSerializer(packages, many=True).data)


class StatsQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=366, default=30)


def sum_transactions(user: User, parameters: Any) -> dict[str, Any]:
    """Return sums of the last `days` days, in credits. Usage is a positive number."""
    days = _validate(StatsQuery(data=parameters))["days"]
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


def _validate(query: serializers.Serializer[Any]) -> Mapping[str, Any]:
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)
