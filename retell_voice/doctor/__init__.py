"""Is everything there that a call needs? The checks of ``retell-voice doctor``.

``findings`` defines a finding, ``acoustics`` judges sound; both are pure. ``system``, ``sound``,
``network`` and ``account`` run the checks.
"""
