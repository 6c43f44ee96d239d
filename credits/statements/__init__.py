"""The statement of a month, to print and to verify, and the whole statement as a file."""
