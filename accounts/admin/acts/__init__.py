"""Acts of administrators on a row: their frame, their buttons, and the acts on people.

An act is one class. Its page shows facts, asks for a reason, and acts by a confirming POST; the
list of its rows can do the same to many rows. Other applications define their own acts with it.
"""
