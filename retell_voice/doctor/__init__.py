"""Is everything there that a call needs? The checks of ``retell-voice doctor``.

``findings`` says what a finding is, ``acoustics`` judges sound; both are pure. ``system``,
``sound``, ``network``, ``account`` and ``web_call`` look.
"""
