"""Answers as providers send them, changed at random, and what has to hold for each of them.

answers    whole answers of many providers, with what each costs
mutations  splits, reorders, cuts and falsifies their bytes
rounds     sends them through a gateway and checks the invariants
"""
