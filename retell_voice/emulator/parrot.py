"""The parrot: an agent that greets, listens, and repeats what you said.

A pure state machine. Its clock is the caller's audio: time is the number of microphone samples
received, so a caller at eight times real time has the same conversation in an eighth of the
time. Its output is lists of ``Action`` for a server to carry out.

::

    start    ─▶ metadata, greeting
    user speaks, agent silent    ─▶ user's turn
    user speaks, agent heard     ─▶ clear, transcript cut to what was heard, user's turn
    user has spoken              ─▶ transcript, agent's turn, the same words back
    user types                   ─▶ as if spoken, but mumbled back: the parrot has no TTS
    silence for too long         ─▶ hang up

How much the caller still has to play is an estimate: what was sent, minus the time since then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import Action, Clear, HangUp, Report, Say, SendMetadata, Update
from retell_voice.emulator.audio_history import AudioHistory
from retell_voice.emulator.llm.server_events import UserTyped
from retell_voice.emulator.server_events import AgentInterrupted, AgentSpoke, UserSpoke
from retell_voice.emulator.speech.mumble import mumble
from retell_voice.emulator.speech.ports import Speech
from retell_voice.emulator.speech.vad import Boundary, Detector, EnergyDetector
from retell_voice.events import Role, Utterance

METADATA: Mapping[str, Any] = {"emulator": "retell-voice", "agent": "parrot"}
"""The metadata that the parrot sends at the start of every call."""

_LOOKBACK_MS = 1000  # how long before it is known speech may have begun


@dataclass(frozen=True, slots=True, kw_only=True)
class ParrotSettings:
    """How a parrot behaves; times in milliseconds of the caller's audio.

    Attributes:
        preroll_ms: audio from before the detected start that is repeated with the speech.
        tail_ms: audio from after its end.
        longest_ms: the longest answer; anything longer is cut.
        lag_ms: how much later than it is sent agent audio is heard.
        end_call_after_silence_ms: hang up after this much silence of the user once the agent has
            spoken; a call can be registered with its own.
        longest_call_ms: hang up then in any case.
        interruptible: False: speech that begins while the agent is heard is ignored. For a
            microphone that picks up the speaker: the parrot would interrupt itself.
    """

    preroll_ms: int = 250
    tail_ms: int = 100
    longest_ms: int = 20_000
    lag_ms: int = 200
    end_call_after_silence_ms: int = 600_000
    longest_call_ms: int = 3_600_000
    interruptible: bool = True


DEFAULT_PARROT = ParrotSettings()


class Parrot:
    """The agent's side of one call.

    Args:
        greeting: what it says first, at the call's rate.
        settings: how it behaves.
        detector: finds the user's speech; an ``EnergyDetector`` if None.
        chunk_ms: length of the chunks of agent audio.
    """

    def __init__(
        self,
        greeting: Speech,
        settings: ParrotSettings = DEFAULT_PARROT,
        *,
        detector: Detector | None = None,
        chunk_ms: int = 100,
    ) -> None:
        self._greeting = greeting
        self._rate = rate = greeting.rate
        self._settings = settings
        self._detector = detector or EnergyDetector(rate)

        self._chunk = max(1, rate * chunk_ms // 1000)
        self._now = 0  # all times are samples of the caller's audio
        self._heard = AudioHistory()
        self._user_began: int | None = None  # while the user speaks
        self._saying: Speech | None = None  # what the caller is playing, or played last
        self._said_at = 0
        self._user_silent_since = 0
        self._over = False
        self.transcript: tuple[Utterance, ...] = ()

    @property
    def playing_since(self) -> int:
        """When the caller began to play the last utterance, samples of its own audio."""
        return self._said_at + self._samples(self._settings.lag_ms)

    @property
    def playing_until(self) -> int:
        """When the caller will have played everything, samples of its own audio."""
        return 0 if self._saying is None else self.playing_since + len(self._saying.samples)

    def start(self) -> list[Action]:
        """Begin the call: greet at once, before any microphone audio."""
        return [SendMetadata(METADATA), *self._say(self._greeting, 0)]

    def receive(self, samples: Samples) -> list[Action]:
        """Take microphone audio, shape (n,), any n; return what to do about it."""
        if self._over:
            return []
        self._heard.append(samples)
        self._now += len(samples)
        actions: list[Action] = []
        for boundary in self._detector.process(samples):
            if boundary.speaking:
                actions += self._user_begins(boundary)
            else:
                actions += self._user_ends(boundary)
        self._forget()
        if over := self._hang_up():
            self._over = True
            actions.append(over)
        return actions

    def typed(self, text: str) -> list[Action]:
        """Take a user turn that was typed; it replaces what is being spoken."""
        text = text.strip()
        if self._over or not text:
            return []
        actions = [Report(UserTyped, {"content": text}), *self._fall_silent(self._now)]
        self._user_began = None
        self._user_silent_since = self._now
        self.transcript = (*self.transcript, Utterance("user", text, ()))
        longest = self._samples(self._settings.longest_ms)
        answer = mumble(text, self._rate).until(longest)
        return [*actions, Update(self.transcript, "user"), *self._say(answer, self._now)]

    def nudged(self) -> list[Action]:
        """Do nothing: there is nothing that a parrot would say by itself."""
        return []

    def finish(self) -> list[Action]:
        """Return what to report once the call is over: nothing."""
        return []

    def _user_begins(self, boundary: Boundary) -> list[Action]:
        sounding = boundary.known < self.playing_until
        if sounding and not self._settings.interruptible:
            return []
        actions = self._fall_silent(boundary.known)
        self._user_began = max(0, boundary.at - self._samples(self._settings.preroll_ms))
        return [*actions, Update(self.transcript, "user")]

    def _fall_silent(self, now: int) -> list[Action]:
        """Silence the agent if it is heard; leave in the transcript what was heard of it."""
        saying, until = self._saying, self.playing_until
        self._saying = None
        if saying is None or now >= until:
            return []
        heard = saying.until(max(0, now - self.playing_since))
        self.transcript = self.transcript[:-1]
        if len(heard.samples):
            self._add("agent", heard, self._said_at)
        return [Clear(), Report(AgentInterrupted, {"unheard": saying.duration - heard.duration})]

    def _user_ends(self, boundary: Boundary) -> list[Action]:
        began = self._user_began
        if began is None:  # the speech was ignored
            return []
        self._user_began = None
        self._user_silent_since = boundary.at
        end = boundary.at + self._samples(self._settings.tail_ms)
        longest = self._samples(self._settings.longest_ms)
        samples = self._heard.between(began, min(end, began + longest))
        speech = Speech(samples, self._rate)
        self._add("user", speech, began)
        duration = (end - began) / self._rate
        return [
            Report(UserSpoke, {"duration": duration}),
            Update(self.transcript),
            *self._say(speech, boundary.known),
        ]

    def _say(self, speech: Speech, now: int) -> list[Action]:
        self._saying, self._said_at = speech, now
        self._add("agent", speech, now)
        return [
            Update(self.transcript, "agent"),
            *(Say(samples, text) for samples, text in speech.chunks(self._chunk)),
            Report(AgentSpoke, {"duration": speech.duration, "content": speech.content}),
        ]

    def _add(self, role: Role, speech: Speech, at: int) -> None:
        self.transcript = (*self.transcript, speech.utterance(role, at / self._rate))

    def _forget(self) -> None:
        keep = self._samples(self._settings.preroll_ms + _LOOKBACK_MS)
        if self._user_began is None:
            self._heard.forget(self._now - keep)
        else:
            longest = self._samples(self._settings.longest_ms)
            self._heard.limit(self._user_began + longest)

    def _hang_up(self) -> HangUp | None:
        silence = self._settings.end_call_after_silence_ms
        since = max(self._user_silent_since, self.playing_until)
        if self._user_began is None and self._now - since >= self._samples(silence):
            return HangUp(f"the user was silent for {silence / 1000:g} s", "inactivity")
        longest = self._settings.longest_call_ms
        if self._now >= self._samples(longest):
            return HangUp(f"the call lasted {longest / 1000:g} s", "max_duration_reached")
        return None

    def _samples(self, milliseconds: int) -> int:
        return self._rate * milliseconds // 1000
