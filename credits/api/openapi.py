"""The credit routes in the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from accounts.toolbox.headers import TRPC_ACCEPT
from accounts.toolbox.openapi import (
    BEARER,
    ENVELOPE,
    JSON,
    SESSION,
    ErrorAnswers,
    Node,
    build_request_header,
    build_response,
    build_rest_response,
    integer,
    parameter,
    record,
    ref,
    string,
)
from credits.api import answers

BALANCE = {"credits": 70, "plan": "free", "held": 20, "available": 50}
ROW = {
    "id": 41,
    "amount": -3,
    "type": "usage",
    "description": "smollm2",
    "balanceAfter": 70,
    "createdAt": "2026-11-04T09:30:00Z",
    "metadata": {"generationId": "gen_0123456789abcdef"},
}
PACKAGE = {
    "id": 2,
    "name": "Pro",
    "description": "",
    "credits": 1500,
    "priceUsd": 50.0,
    "prices": [
        {"currency": "usd", "amount": 5000, "decimals": 2},
        {"currency": "thb", "amount": 179000, "decimals": 2},
    ],
    "isPopular": True,
}
STATS = {"totalUsage": 30, "totalPurchased": 100, "transactionCount": 12, "periodDays": 30}

TRPC = ErrorAnswers(
    "TrpcError",
    {
        400: "The input is not JSON, or does not fit the procedure.",
        401: "No credentials, or they are unknown, expired or revoked.",
        503: "The database is away or busy. This one is the plain error envelope.",
    },
)

SCHEMAS: Node = {
    "Budget": record(
        {
            "limit": integer(),
            "spent": integer(),
            "held": integer(),
            "resets_at": string(format="date-time"),
        },
        description="The monthly budget of the device or API key that asks, if it has one.",
    ),
    "Balance": record(
        {
            "credits": integer("The posted balance, in whole credits."),
            "plan": string("The plan's slug."),
            "held": integer("What running completions have set aside.", minimum=0),
            "available": integer("credits − held"),
            "budget": ref("Budget"),
        },
        optional=["budget"],
        examples=[BALANCE],
    ),
    "Stats": record(
        {
            "totalUsage": integer("Credits used, as a positive number."),
            "totalPurchased": integer("Credits bought."),
            "transactionCount": integer(minimum=0),
            "periodDays": integer(minimum=1),
        },
        examples=[STATS],
    ),
    "TrpcError": {
        "description": "tRPC's error; wrapped in `json` if the input was superjson.",
        "anyOf": [record({"error": {"type": "object"}}), ref("TrpcBatch")],
    },
    "TrpcBatch": {
        "type": "array",
        "items": {"type": "object"},
        "description": "One answer or error for each call.",
    },
}

Page = inline_serializer(
    "History",
    {
        "results": answers.TransactionSerializer(many=True),
        "next": serializers.CharField(
            allow_null=True, help_text="The `cursor` of the next page; null on the last."
        ),
    },
)
balance = extend_schema(
    tags=["credits"],
    summary="The balance of the caller",
    responses={
        200: build_rest_response("The balance.", ref("Balance")),
        **ENVELOPE.responses(400, 401, 403, 503),
    },
)
history = extend_schema(
    tags=["credits"],
    summary="The caller's transactions, newest first",
    parameters=[answers.HistoryQuery],
    responses={
        200: build_rest_response("One page.", Page, example={"results": [ROW], "next": None}),
        **ENVELOPE.responses(400, 401, 403, 503),
    },
)
packages = extend_schema(
    tags=["credits"],
    summary="What is on sale",
    responses={
        200: build_rest_response(
            "The packages.", answers.PackageSerializer(many=True), example=PACKAGE
        ),
        **ENVELOPE.responses(400, 503),
    },
)
stats = extend_schema(
    tags=["credits"],
    summary="Sums of the last days",
    parameters=[answers.StatsQuery],
    responses={
        200: build_rest_response("The sums.", ref("Stats")),
        **ENVELOPE.responses(400, 401, 403, 503),
    },
)


TAG = "tRPC"
AS_REST = "As the REST route of this name, which lists the keys of `input`."


def describe_procedure(
    name: str, data: Node, *, description: str = AS_REST, public: bool = False
) -> Node:
    """Describe one procedure in tRPC's HTTP protocol; `name` is such as `credits.balance`."""
    plain_or_superjson = {
        "anyOf": [data, record({"json": data, "meta": {"type": "object"}}, optional=["meta"])]
    }
    result = record({"result": record({"data": plain_or_superjson})})
    statuses = (400, 503) if public else (400, 401, 503)
    return {
        "get": {
            "operationId": f"trpc_{name.replace('.', '_')}",
            "tags": [TAG],
            "summary": name,
            "description": description,
            "parameters": [_describe_input("The input as JSON, or as superjson.")],
            "security": [] if public else [BEARER, SESSION],
            "responses": {"200": build_response("The answer.", result), **TRPC.answers(*statuses)},
        }
    }


def _describe_input(description: str) -> Node:
    schema: Any = {"description": description}  # Without a type, any value is valid.
    return {
        "name": "input",
        "in": "query",
        "required": False,
        "content": {JSON: {"schema": schema}},
    }


BATCH: Node = {
    "get": {
        "operationId": "trpc_batch",
        "tags": [TAG],
        "summary": "Several procedures at once",
        "parameters": [
            parameter(
                "path",
                "path",
                "Names of procedures, separated by commas.",
                string(examples=["credits.balance,credits.stats"]),
                required=True,
            ),
            parameter(
                "batch",
                "query",
                "1 for a batch.",
                string(enum=["1"], examples=["1"]),
                required=False,
            ),
            _describe_input(
                'Of a batch an object, by the position of the call: `{"0": {"days": 7}}`.'
            ),
            build_request_header(TRPC_ACCEPT),
        ],
        "security": [BEARER, SESSION, {}],
        "responses": {
            "200": build_response(
                "All calls succeeded.", {"anyOf": [ref("TrpcBatch"), {"type": "object"}]}
            ),
            "207": build_response("The calls have different statuses.", ref("TrpcBatch")),
            **TRPC.answers(400, 401, 503, s404="There is no such procedure."),
        },
    }
}

PATHS: Node = {
    "/api/trpc/credits.balance": describe_procedure("credits.balance", ref("Balance")),
    "/api/trpc/credits.history": describe_procedure("credits.history", ref("History")),
    "/api/trpc/credits.packages": describe_procedure(
        "credits.packages", {"type": "array", "items": ref("Package")}, public=True
    ),
    "/api/trpc/credits.stats": describe_procedure("credits.stats", ref("Stats")),
    "/api/trpc/{path}": BATCH,
}
