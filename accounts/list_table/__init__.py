"""Lists of the admin as small tables: what a cell says, and how wide its column is.

Unfold's own table repeats some 700 bytes of class names in each cell, and grows beyond the window.
The exports of the lists say the same as their cells.
"""
