"""The engines that hear and speak, each in a process of its own.

::

    open_engines ─▶ Worker ─ stdin: requests ─▶ python -m retell_voice.emulator.speech.worker piper
                           ◀─ stdout: answers ─

A process of their own because they hold the GIL for long, take hundreds of megabytes, and
because one of them (Piper) is under the GPL: nothing of them is ever imported here.
``frames`` is the format of the pipes, ``process`` the emulator's end of them; the other
modules are one engine each and are imported by ``retell_voice.emulator.speech.worker`` alone.
"""
