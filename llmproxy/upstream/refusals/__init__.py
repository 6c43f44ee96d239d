"""What a provider's error means: its words, whose fault it is, and what callers may read of it.

All of it is pure. What follows from a verdict is in upstream/failures.py.
"""
