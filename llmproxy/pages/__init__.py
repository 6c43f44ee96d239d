"""The pages on which a person sees and changes keys and devices, and sees requests and receipts."""
