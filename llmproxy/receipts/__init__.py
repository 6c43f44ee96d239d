"""Explaining a charge: receipts, the rules of charging, finish reasons, the operator's figures per
provider.

Nothing here charges.
"""
