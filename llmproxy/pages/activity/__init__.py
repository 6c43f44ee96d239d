"""`/account/activity`: all requests of a person, to filter, to search and to export."""
