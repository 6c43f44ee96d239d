"""What people type and paste: codes and names. Addresses of people are in email_addresses.py."""
