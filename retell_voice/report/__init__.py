"""A page about a call, from what was recorded of it.

``account`` reads the events and is pure, ``levels`` hears the sound, ``figure`` draws and
``page`` writes the page.
"""
