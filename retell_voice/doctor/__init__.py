"""Is everything there that a call needs? What ``retell-voice doctor`` looks at.

``findings`` says what a finding is, ``acoustics`` judges sound; both are pure. ``system``,
``sound``, ``network``, ``account`` and ``web_call`` look.
"""
