"""Redemption codes: how they are written, made in batches, redeemed and revoked, and their page.

The pages of administrators are credits/admin/redemption.py and credits/admin/pages/code_batches.py.
"""
