"""Buying credits: prices, payments, and what Stripe says about them.

What a buyer agreed to is a Purchase; `settlement.settle` compares it with Stripe and gives the
credits, once. Money that goes back is in credits/reversals/, plans by the month in
credits/subscriptions/, automatic refills in credits/refills/, papers in credits/documents/, and the
pages in credits/shop/.
"""
