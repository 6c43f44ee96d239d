"""The box that finds anything in the admin by what an operator has in hand.

`terms.py` reads what was typed, the other modules look it up by an index each, and `pages.py`
serves the results. Lists with filters are not here; each is in the admin of its application.
"""
