"""Their bill against our completions: files of providers, drift by day, and what explains it.

Reads the roll-up of hours, and the completions of one day to explain a difference. It asks no
provider: what is known of them is in the files that somebody imported.
"""
