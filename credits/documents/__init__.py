"""Receipts, tax invoices and credit notes: frozen facts, numbers without gaps, pages to print."""
