"""Records on disk that wait until the database can take them.

files    one file of records, which survives the end of its process at any byte
folder   the files of all processes of this machine, and what waits in them

Nothing here knows the database or what is in a record.
"""
