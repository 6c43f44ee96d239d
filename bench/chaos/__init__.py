"""Hundreds of users while everything that can die is killed (`python -m bench.chaos`).

load     who calls meanwhile, and how they are answered
faults   what is killed, and how it comes back
verdict  what must be true afterwards, as a table
"""
