"""A page about a call, from its recording.

``account`` reads the events, ``turns`` places the transcript in time and ``figures`` words the
figures: all pure, as are ``plot``, which draws, and ``page``, which puts everything together with
``page.css`` and ``page.js``. ``sound`` reads the WAV file. ``figure`` draws an image instead.
"""
