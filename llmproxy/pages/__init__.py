"""What a person sees of their keys, devices, requests and receipts."""
