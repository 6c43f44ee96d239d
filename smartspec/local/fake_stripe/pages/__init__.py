"""Pages for people: Checkout, the bank's check, PromptPay, invoices, the portal, the controls.

They need no scripts, and each says that no money moves.
"""
