"""What is remembered, and how it is found and shown: objects, keys, faults, waiting webhooks."""
