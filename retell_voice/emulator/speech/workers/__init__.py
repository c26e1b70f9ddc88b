"""The ASR and TTS engines, each in a process of its own.

::

    open_engines ─▶ Worker ─ stdin: requests ─▶ python -m retell_voice.emulator.speech.worker piper
                           ◀─ stdout: answers ─

Separate processes, because the engines hold the GIL for long and take hundreds of megabytes, and
because Piper and eSpeak are GPL: none of them is ever imported by the emulator itself. ``frames``
is the format of the pipes, ``child`` and ``client`` the emulator's end of them. The other modules
are one engine each, imported only by ``retell_voice.emulator.speech.worker``.
"""
