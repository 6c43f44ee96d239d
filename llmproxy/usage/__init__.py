"""What was used: the roll-ups of completions, their sums for pages, charts, and the forecast.

Pages and admin show it. What one completion used is in `metering` and `receipts`.
"""
