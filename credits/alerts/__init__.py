"""Alerts that follow from credits: what expires soon, and when a low balance needs no mail."""
