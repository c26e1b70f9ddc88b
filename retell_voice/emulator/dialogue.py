"""A call whose agent gets its words from a developer's LLM server.

A pure state machine. Its clock is the caller's audio: time is the number of microphone samples
received, so a caller at twenty times real time has the same conversation in a twentieth of the
time. What it does is a list of ``Action`` for a server to carry out; what becomes of those that
take time comes back through ``recognized``, ``synthesized`` and ``answered``.

::

    user speaks, agent silent ─▶ user's turn      user speaks, agent heard ─▶ clear, user's turn
    user has spoken ─▶ Recognize ─▶ words ─▶ response_required
    response, chunk by chunk ─▶ sentences ─▶ Synthesize ─▶ Say, in order ─▶ heard
    silence ─▶ reminder_required ─▶ … ─▶ hang up

The user's turn lasts from the first sound to the last word that has been recognised: until then
nothing of an answer is spoken, unless the user speaks over an agent that may not be interrupted,
or that interrupts. What the user says while an answer is being made, and before any of it is
heard, joins what was said before, and the answer is asked for anew; a cough, in which no words
are found, leaves it as it is. Other than that a ``response`` is spoken if it has the newest
response_id.
"""

from __future__ import annotations

from typing import Any

from retell_voice.audio.format import Samples
from retell_voice.emulator import happenings as happened
from retell_voice.emulator.actions import (
    Action,
    Announce,
    Ask,
    HangUp,
    Report,
    Say,
    Synthesize,
    Update,
)
from retell_voice.emulator.answers import Answers, farewell
from retell_voice.emulator.ears import Ears
from retell_voice.emulator.manner import DEFAULT_DIALOGUE, DialogueSettings
from retell_voice.emulator.mouth import Answer, Mouth
from retell_voice.emulator.speech import Speech
from retell_voice.emulator.transcript import CallTranscript
from retell_voice.emulator.vad import Detector
from retell_voice.events import Role, Word
from retell_voice.protocol.llm_messages import (
    AgentInterrupt,
    Config,
    LlmMessage,
    LlmMetadata,
    ReminderRequired,
    Response,
    ResponseRequired,
    ToolCallInvocation,
    ToolCallResult,
    UnknownLlmMessage,
    UpdateAgent,
    UpdateOnly,
)

_TICK_MS = 20  # how exactly the times of the settings are kept
_GOES_ON = "the user goes on"


class Dialogue:
    """Retell's side of one call.

    Args:
        rate: samples a second.
        detector: finds the user's speech; the quicker, the quicker a barge-in can be.
        settings: how the conversation is held.
        chunk_ms: length of the pieces in which things are said.
    """

    def __init__(
        self,
        rate: int,
        detector: Detector,
        settings: DialogueSettings = DEFAULT_DIALOGUE,
        *,
        chunk_ms: int = 100,
    ) -> None:
        self.transcript = CallTranscript()
        self._rate = rate
        self._settings = settings
        self._chunk = max(1, rate * chunk_ms // 1000)
        self._tick = max(1, self._samples(_TICK_MS))
        self._ears = Ears(rate, detector, settings)
        self._mouth = Mouth(
            lag=self._samples(settings.lag_ms),
            ahead=self._samples(settings.ahead_ms),
            stalled=self._samples(settings.stalled_ms),
        )
        self._answers = Answers(self._mouth, rate)
        self._speaker: Role | None = None
        self._changed = False  # the transcript, and nobody has been told yet
        self._wanted = False  # the user has said something that nobody has been asked to answer
        self._tools_told = False
        self._reminders = 0
        self._quiet_since = 0
        self._over = False

    @property
    def dropped(self) -> int:
        """Messages of the LLM server that did not count when they came."""
        return self._answers.dropped

    @property
    def now(self) -> int:
        """Samples of the caller's audio so far."""
        return self._ears.now

    # -- what comes in -----------------------------------------------------------------------

    def start(self) -> list[Action]:
        """Begin the call; what the agent says first comes from the LLM server."""
        return []

    def receive(self, samples: Samples) -> list[Action]:
        """Take microphone audio, shape (n,), any n; return what to do about it."""
        actions: list[Action] = []
        start = 0
        while start < len(samples) and not self._over:
            end = start + self._tick - self.now % self._tick
            self._ears.hear(samples[start:end])
            start = end
            if self.now % self._tick == 0:
                actions += [*self._listen(), *self._settle()]
        return actions

    def typed(self, text: str) -> list[Action]:
        """Take a user turn that was typed; it interrupts as speech does."""
        text = text.strip()
        if self._over or not text:
            return []
        actions: list[Action] = [Report(happened.UserTyped, {"content": text})]
        if not self._sounding:
            actions += self._answers.drop(_GOES_ON)
        elif self._may_interrupt:
            actions += self._answers.cut(self.now)
        self.transcript.user_piece().content = f" {text}"
        self._user_said_something()
        return [*actions, *self._settle()]

    def recognized(self, job: int, words: tuple[Word, ...]) -> list[Action]:
        """Take the words of a ``Recognize``; times in seconds from its first sample."""
        return [] if self._over else self._words(job, words)

    def not_recognized(self, job: int, why: str) -> list[Action]:
        """A ``Recognize`` failed. The LLM server is told that something inaudible was said."""
        if self._over:
            return []
        # Silence would be taken for a dead line; this way the agent can ask to repeat it.
        lost = Report(happened.SpeechLost, {"part": "recognition", "why": why})
        return [lost, *self._words(job, None)]

    def synthesized(self, sentence: int, speech: Speech) -> list[Action]:
        """Take the speech of a ``Synthesize``, at the call's rate."""
        if self._over or self._mouth.made(sentence, speech) is None:
            return []
        return self._settle()

    def not_synthesized(self, sentence: int, why: str) -> list[Action]:
        """A ``Synthesize`` failed; the sentence is left out."""
        if self._over or self._mouth.made(sentence, None) is None:
            return []
        lost = Report(happened.SpeechLost, {"part": "synthesis", "why": why})
        return [lost, *self._settle()]

    def answered(self, message: LlmMessage) -> list[Action]:
        """Take a message of the LLM server."""
        if self._over:
            return []
        actions: list[Action] = []
        match message:
            case Response():
                actions = self._answers.take(message, self.now)
            case AgentInterrupt():
                if self._answers.is_new(message):
                    self._ears.hold()
                    self._changed = True
                actions = self._answers.take(message, self.now)
            case Config():
                self._tools_told = message.transcript_with_tool_calls
            case UpdateAgent():
                actions = self._reconfigure(message)
            case ToolCallInvocation():
                self.transcript.tool(message)
                known = ("tool_call_id", "name", "arguments")
                actions = [_told(happened.ToolCalled, message, *known)]
            case ToolCallResult():
                self.transcript.tool(message)
                actions = [_told(happened.ToolReturned, message, "tool_call_id", "content")]
            case LlmMetadata():
                metadata = message.metadata
                told = Report(happened.MetadataForwarded, {"metadata": metadata})
                actions = [Announce(metadata), told]
            case UnknownLlmMessage():
                actions = [_told(happened.LlmMessageUnknown, message, "message")]
        return [*actions, *self._settle()]

    def link_lost(self, why: str) -> list[Action]:
        """The connection to the LLM server broke and is dialled again."""
        return [] if self._over else [_link("lost", why)]

    def link_back(self) -> list[Action]:
        """The connection is back: what was asked for and has not come is asked for again."""
        if self._over:
            return []
        actions: list[Action] = [_link("back")]
        if self._answers.start_again(self.now):
            self._wanted = True
        else:
            actions.append(self._update_only(None))
        return [*actions, *self._settle()]

    # -- the user ----------------------------------------------------------------------------

    def _listen(self) -> list[Action]:
        actions: list[Action] = []
        if self._ears.noticed is not None:
            actions += self._user_speaks(self._ears.noticed.at)
        if passage := self._ears.too_long():
            return [*actions, self._ears.part(passage, self.transcript.user_piece())]
        recognize = self._ears.to_recognize(self._samples(self._settings.endpoint))
        return [*actions, recognize] if recognize else actions

    def _user_speaks(self, since: int) -> list[Action]:
        actions: list[Action] = []
        over_agent = self._sounding
        if over_agent and not self._settings.interruptible:
            self._ears.ignore()
            return []
        held = over_agent and not self._may_interrupt
        if over_agent and not held:
            if self.now - since < self._samples(self._settings.barge_in or 0):
                return []
            actions = self._answers.cut(self.now)
            self._changed = True
        piece = self.transcript.user_piece()
        self._ears.begin(since, piece, held=held, cut=over_agent and not held)
        return actions

    def _words(self, job: int, words: tuple[Word, ...] | None) -> list[Action]:
        passage = self._ears.recognized(job, words)
        if passage is None:
            return []
        self._changed = True
        if passage in self._ears.passages:
            return self._settle()
        said = passage.piece.content.strip()
        details = {"duration": self._ears.duration(passage), "content": said}
        actions: list[Action] = [Report(happened.UserSpoke, details)]
        if said:
            self._user_said_something()
            if not passage.held:
                actions += self._answers.drop(_GOES_ON)
        else:
            self._quiet_since = self.now
            self._wanted = self._wanted or passage.cut  # or nobody would speak any more
        return [*actions, *self._settle()]

    def _user_said_something(self) -> None:
        self._wanted = self._changed = True
        self._reminders = 0
        self._quiet_since = self.now

    # -- the LLM server ----------------------------------------------------------------------

    def _reconfigure(self, message: UpdateAgent) -> list[Action]:
        self._settings = self._settings.changed(message.agent_config)
        fields = (
            "responsiveness",
            "interruption_sensitivity",
            "reminder_trigger_ms",
            "reminder_max_count",
        )
        return [_told(happened.AgentReconfigured, self._settings, *fields)]

    # -- the agent ---------------------------------------------------------------------------

    @property
    def _sounding(self) -> bool:
        return self._mouth.sounding(self.now)

    @property
    def _may_interrupt(self) -> bool:
        return self._settings.barge_in is not None and self._answers.may_be_interrupted

    def _speak(self) -> list[Action]:
        actions: list[Action] = []
        delay = self._samples(self._settings.begin_message_delay_ms)
        self._mouth.pause(self.now - self._samples(self._settings.pause_ms))
        while not self._ears.have_the_floor and (answer := self._mouth.ready()):
            if answer.number == 0 and not answer.interrupt and self.now < delay:
                break
            actions += self._say(answer)
        made = self._mouth.to_make(self.now)
        return [*actions, *(Synthesize(each.number, each.text.strip()) for each in made)]

    def _say(self, answer: Answer) -> list[Action]:
        first = answer.line is None
        speech = self._mouth.say(self.transcript, self.now)
        self._changed = self._changed or answer.line is not None
        if speech is None or not len(speech.samples):
            return []
        self._speaker = "agent"
        actions = self._update("agent" if first else None)
        between = "" if first else " "
        for samples, text in speech.chunks(self._chunk):
            actions.append(Say(samples, between + text if text else ""))
            between = "" if text else between
        details = {"duration": speech.duration, "content": speech.content}
        return [*actions, Report(happened.AgentSpoke, details)]

    # -- what follows from where things stand ------------------------------------------------

    def _settle(self) -> list[Action]:
        actions: list[Action] = []
        if not self._mouth.busy(self.now):
            self._ears.release()
        free = not self._mouth.busy(self.now)
        if (self._ears.have_the_floor or (self._wanted and free)) and self._speaker != "user":
            self._speaker = "user"
            actions += self._update("user")
        elif self._changed:
            actions += self._update(None)
        actions += self._speak()
        while not self._ears.have_the_floor and (answer := self._mouth.finished(self.now)):
            self._quiet_since = self.now
            if last := farewell(answer):
                return self._hang_up(actions, last)
        if overdue := self._overdue():
            return self._hang_up(actions, overdue)
        return [*actions, *self._ask()]

    def _hang_up(self, actions: list[Action], last: HangUp) -> list[Action]:
        self._over = True
        return [*actions, last]

    def _ask(self) -> list[Action]:
        if self._wanted and not self._ears.passages and not self._mouth.busy(self.now):
            self._wanted = False
            return [*self._answers.drop(_GOES_ON), *self._require(reminder=False)]
        settings = self._settings
        quiet = self.now - max(self._quiet_since, self._mouth.playing_until)
        if (
            self._reminders < settings.reminder_max_count
            and self._mouth.playing_until > 0  # a reminder follows something the agent said
            and quiet >= self._samples(settings.reminder_trigger_ms)
            and not (self._ears.busy or self._mouth.answers)
        ):
            self._reminders += 1
            return self._require(reminder=True)
        return []

    def _require(self, *, reminder: bool) -> list[Action]:
        number = self._answers.ask(self.now)
        kind = ReminderRequired if reminder else ResponseRequired
        message = kind(
            response_id=number,
            transcript=self.transcript.utterances,
            transcript_with_tool_calls=self._with_tools,
        )
        details = {"response_id": number, "reminder": reminder}
        return [Ask(message), Report(happened.LlmAsked, details)]

    def _overdue(self) -> HangUp | None:
        silence = self._settings.end_call_after_silence_ms
        since = max(self._ears.silent_since, self._quiet_since, self._mouth.playing_until)
        if not self._ears.busy and self.now - since >= self._samples(silence):
            return HangUp(f"the user was silent for {silence / 1000:g} s", "inactivity")
        longest = self._settings.longest_call_ms
        if self.now >= self._samples(longest):
            return HangUp(f"the call lasted {longest / 1000:g} s", "max_duration_reached")
        return None

    def _update(self, turn: Role | None) -> list[Action]:
        self._changed = False
        return [Update(self.transcript.utterances, turn), self._update_only(turn)]

    def _update_only(self, turn: Role | None) -> Ask:
        message = UpdateOnly(
            transcript=self.transcript.utterances,
            transcript_with_tool_calls=self._with_tools,
            turn=turn,
        )
        return Ask(message)

    @property
    def _with_tools(self) -> tuple[Any, ...] | None:
        return self.transcript.with_tool_calls if self._tools_told else None

    def _samples(self, milliseconds: int) -> int:
        return self._rate * milliseconds // 1000


def _told(kind: type[happened.Happening], source: object, *fields: str) -> Report:
    return Report(kind, {name: getattr(source, name) for name in fields})


def _link(state: str, why: str = "") -> Report:
    return Report(happened.LlmLinkChanged, {"state": state, "why": why})
