from llmproxy.models.choices import Endpoint, Problem
from llmproxy.models.completions import Completion, IdempotencyKey, Rate
from llmproxy.models.providers import ENVIRONMENT, Deployment, LanguageModel, Provider
from llmproxy.models.usage import UsageFold, UsageHour, UsageQuarter

__all__ = [
    "ENVIRONMENT",
    "Completion",
    "Deployment",
    "Endpoint",
    "IdempotencyKey",
    "LanguageModel",
    "Problem",
    "Provider",
    "Rate",
    "UsageFold",
    "UsageHour",
    "UsageQuarter",
]
