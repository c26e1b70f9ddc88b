"""Reminders and hang-ups after silence, and the longest call. Pure."""

from __future__ import annotations

from retell_voice.emulator.actions import Action, HangUp
from retell_voice.emulator.dialogue.settings import DialogueSettings


class Silence:
    """Keeps track of silence; all times are samples of the caller's audio.

    Args:
        rate: samples per second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._since = 0
        self._reminders = 0

    def user_spoke(self, now: int) -> None:
        """The user has said something."""
        self._since = now
        self._reminders = 0

    def begin(self, now: int) -> None:
        """Silence begins, except for agent audio that is still being heard."""
        self._since = now

    def reminder_due(self, now: int, heard_until: int, settings: DialogueSettings) -> bool:
        """Whether to remind the user now, and count it if so.

        Args:
            now: the time.
            heard_until: when the agent was last heard; 0: never.
            settings: after how much silence, and how often.
        """
        due = (
            self._reminders < settings.reminder_max_count
            and heard_until > 0  # no reminder before the agent has said anything
            and self._lasts(now, heard_until, settings.reminder_trigger_ms)
        )
        self._reminders += due
        return due

    def too_long(
        self, now: int, heard_until: int, settings: DialogueSettings, *, user_speaks: bool
    ) -> list[Action]:
        """Hang up if the call, or the user's silence, has lasted too long."""
        longest = settings.longest_call_ms
        if now >= self._rate * longest // 1000:
            return [HangUp(f"the call lasted {longest / 1000:g} s", "max_duration_reached")]
        longest = settings.end_call_after_silence_ms
        if not user_speaks and self._lasts(now, heard_until, longest):
            return [HangUp(f"the user was silent for {longest / 1000:g} s", "inactivity")]
        return []

    def _lasts(self, now: int, heard_until: int, milliseconds: int) -> bool:
        return now - max(self._since, heard_until) >= self._rate * milliseconds // 1000
