"""The documentation for people who call the service, `/docs`: chapters, examples, API reference.

Chapters are templates of prose, one for each language, in templates/smartspec/handbook/. The
documentation of the project itself is in docs/.
"""
