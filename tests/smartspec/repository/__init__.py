"""What the repository says of itself is true: documents, names, SQL rules, translations."""
