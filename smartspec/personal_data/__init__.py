"""`/account/data`: an archive of everything that the site keeps about a person."""
