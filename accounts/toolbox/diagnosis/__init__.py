"""What finds one request again: its id, its trace, and what made it fail. Formats of logs are in
smartspec/redaction.py.
"""
