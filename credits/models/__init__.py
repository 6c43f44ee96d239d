"""The tables of the ledger.

Only the verbs of credits/ledger.py write them. Approval, AuditRun and Package are the exceptions.
"""

from credits.models.approvals import Approval
from credits.models.grants import Allocation, Grant
from credits.models.holds import Hold
from credits.models.operations import AuditRun, Operation
from credits.models.packages import Package
from credits.models.spending import Spending
from credits.models.transactions import Transaction

__all__ = [
    "Allocation",
    "Approval",
    "AuditRun",
    "Grant",
    "Hold",
    "Operation",
    "Package",
    "Spending",
    "Transaction",
]
