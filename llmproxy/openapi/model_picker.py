"""The list of models over tRPC in the OpenAPI document."""

from accounts.toolbox.openapi import Node, record, ref, string
from credits.api.openapi import describe_procedure

SCHEMAS: Node = {
    "AvailableModels": record(
        {
            "models": {
                "type": "array",
                "items": record(
                    {
                        "id": string("The name of the model in a request."),
                        "name": string(),
                        "provider": string("The provider's slug."),
                        "providerDisplayName": string(),
                        "isDefault": {
                            "type": "boolean",
                            "description": "The model of a request that names none.",
                        },
                    }
                ),
            },
            "providers": {"type": "array", "maxItems": 0, "items": {"type": "object"}},
        }
    )
}
PATHS: Node = {
    "/api/trpc/llmProviders.availableModels": describe_procedure(
        "llmProviders.availableModels",
        ref("AvailableModels"),
        description="The models that the caller may use, for the existing model picker.",
    )
}
