from llmproxy.models.choices import Endpoint, Problem
from llmproxy.models.completions import Completion, IdempotencyKey, Rate
from llmproxy.models.providers import ENVIRONMENT, Deployment, LanguageModel, Provider
from llmproxy.models.reconciliation import ProviderRequest, ProviderUsage, UsageImport
from llmproxy.models.usage import UsageFold, UsageHour, UsageQuarter
from llmproxy.models.whole_site import ActiveDay, LatencyDay, LatencyHour, UsageDay, UsageTop

__all__ = [
    "ENVIRONMENT",
    "ActiveDay",
    "Completion",
    "Deployment",
    "Endpoint",
    "IdempotencyKey",
    "LanguageModel",
    "LatencyDay",
    "LatencyHour",
    "Problem",
    "Provider",
    "ProviderRequest",
    "ProviderUsage",
    "Rate",
    "UsageDay",
    "UsageFold",
    "UsageHour",
    "UsageImport",
    "UsageQuarter",
    "UsageTop",
]
