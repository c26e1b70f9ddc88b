"""Recording a call: both voices side by side, the transcript and the events.

``align`` pairs the two voices, ``wav`` and ``story`` write them and the events; ``recorder`` is the
observer of a call that does all this on its own thread.
"""
