"""What belongs to a row of the admin: links from the page of each row to those of its relatives.

The columns of a row already link to what it refers to. This adds what refers to the row, what
follows from it, and the entries of the administrators' log; and it takes links away that lead to
what the reader may not view.
"""
