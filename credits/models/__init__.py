"""The tables of the ledger and of buying.

Only the verbs of credits/ledger.py write the tables of the ledger. The tables of buying (customers,
documents, prices, purchases, refills, reversals, subscriptions), Approval, AuditRun, Package and
the redemption codes are written by the code that they belong to.
"""

from credits.models.approvals import Approval
from credits.models.codes import CodeBatch, RedemptionCode
from credits.models.customers import Customer
from credits.models.documents import Document, DocumentCounter
from credits.models.grants import Allocation, Grant
from credits.models.holds import Hold
from credits.models.operations import AuditRun, Operation, PaymentComparison
from credits.models.packages import Package
from credits.models.prices import PackagePrice, PlanPrice
from credits.models.purchases import PackageRequest, PaymentEvent, Purchase
from credits.models.refills import Refill, RefillAttempt
from credits.models.reversals import Dispute, PaymentReversal, Refund
from credits.models.spending import Spending
from credits.models.subscriptions import Subscription, SubscriptionPeriod, SubscriptionPrice
from credits.models.transactions import Transaction

__all__ = [
    "Allocation",
    "Approval",
    "AuditRun",
    "CodeBatch",
    "Customer",
    "Dispute",
    "Document",
    "DocumentCounter",
    "Grant",
    "Hold",
    "Operation",
    "Package",
    "PackagePrice",
    "PackageRequest",
    "PaymentComparison",
    "PaymentEvent",
    "PaymentReversal",
    "PlanPrice",
    "Purchase",
    "RedemptionCode",
    "Refill",
    "RefillAttempt",
    "Refund",
    "Spending",
    "Subscription",
    "SubscriptionPeriod",
    "SubscriptionPrice",
    "Transaction",
]
