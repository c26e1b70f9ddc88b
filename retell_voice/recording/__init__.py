"""Recording a call: both voices side by side, the transcript and the events.

``align`` pairs the two voices, ``wav`` and ``story`` are what is written; ``recorder`` is the
observer of a call that does it all on a thread of its own.
"""
