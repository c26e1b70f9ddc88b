"""A page about a call, from its recording.

``account`` reads the events and is pure, ``levels`` reads the sound, ``figure`` draws and ``page``
writes the page.
"""
