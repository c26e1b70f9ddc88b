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
are found, leaves it as it is. What is longer than a cough and has no words is told to the LLM
server as what it is, so that the agent can ask to hear it again.
"""

from __future__ import annotations

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import (
    Action,
    Announce,
    Ask,
    HangUp,
    Measure,
    Report,
    Say,
    Synthesize,
    Update,
)
from retell_voice.emulator.dialogue.answers import Answers, afterwards, told
from retell_voice.emulator.dialogue.ears import Ears, Noticed
from retell_voice.emulator.dialogue.manner import DEFAULT_DIALOGUE, DialogueSettings
from retell_voice.emulator.dialogue.mouth import Answer, Mouth
from retell_voice.emulator.dialogue.silence import Silence
from retell_voice.emulator.dialogue.transcript import CallTranscript
from retell_voice.emulator.llm import server_events as happened
from retell_voice.emulator.server_events import AgentSpoke, UserSpoke
from retell_voice.emulator.speech.ports import Speech
from retell_voice.emulator.speech.vad import Detector
from retell_voice.events import Role, Word
from retell_voice.protocol.llm import (
    AgentInterrupt,
    Config,
    LlmMessage,
    LlmMetadata,
    Response,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
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
        self._silence = Silence(rate)
        self._spoken_until: int | None = None  # the user, if the agent has not answered yet
        self._last: HangUp | None = None  # when the agent has said what it has to say
        self._over = False

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
                actions += self._listen()
                actions += self._answers.overdue(self.now)
                actions += [] if self._over else self._settle()
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
            actions += self._cut()
        self.transcript.user_piece().content = f" {text}"
        self._user_said_something()
        return [*actions, *self._settle()]

    def recognized(self, job: int, words: tuple[Word, ...]) -> list[Action]:
        """Take the words of a ``Recognize``; times in seconds from its first sample."""
        return [] if self._over else self._words(job, words)

    def not_recognized(self, job: int, why: str) -> list[Action]:
        """A ``Recognize`` failed; the LLM server is told that something was said."""
        if self._over:
            return []
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
                self.transcript.tools_told = message.transcript_with_tool_calls
            case UpdateAgent():
                self._settings = self._settings.changed(message.agent_config)
                actions = [Report(happened.AgentReconfigured, self._settings.agent_config)]
            case ToolCallInvocation() | ToolCallResult():
                self.transcript.tool(message)
            case LlmMetadata():
                actions = [Announce(message.metadata)]
        return [*actions, *told(message), *self._settle()]

    def link_lost(self, why: str) -> list[Action]:
        """The connection to the LLM server broke and is dialled again."""
        lost = Report(happened.LlmLinkChanged, {"state": "lost", "why": why})
        return [] if self._over else [lost]

    def link_back(self) -> list[Action]:
        """The connection is back: what was asked for and has not come is asked for again."""
        if self._over:
            return []
        state = {"state": "back", "why": ""}
        actions: list[Action] = [Report(happened.LlmLinkChanged, state)]
        if self._answers.start_again(self.now):
            self._wanted = True
        else:
            actions.append(Ask(self.transcript.update_only()))
        return [*actions, *self._settle()]

    def hung_up(self, words: str) -> list[Action]:
        """The LLM server hung up: the call ends when what it has sent has been heard."""
        if self._over:
            return []
        self._last = HangUp(words, "agent_hangup")
        self._answers.end(self.now)
        return self._settle()

    # -- the user ----------------------------------------------------------------------------

    def _listen(self) -> list[Action]:
        actions: list[Action] = []
        if self._ears.noticed:
            actions += self._user_speaks(self._ears.noticed)
        if (passage := self._ears.insisting) and self._sounding and self._may_interrupt:
            passage.held, passage.cut = False, True
            actions += self._cut()
        if passage := self._ears.too_long():
            return [*actions, self._ears.part(passage, self.transcript.user_piece())]
        if recognize := self._ears.to_recognize(self._samples(self._settings.endpoint)):
            actions.append(recognize)
        if known := self._ears.known():
            actions += self._words(*known)
        return actions

    def _user_speaks(self, noticed: Noticed) -> list[Action]:
        over_agent = self._sounding
        if over_agent and not self._settings.interruptible:
            self._ears.ignore()
            return []
        actions: list[Action] = []
        held = over_agent and not self._may_interrupt
        if over_agent and not held:
            enough = self._samples(self._settings.barge_in or 0)
            if noticed.amount(self._ears.spoken_until) < enough:
                return []
            actions = self._cut()
        piece = self.transcript.user_piece()
        self._ears.begin(noticed, piece, held=held, cut=over_agent and not held)
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
        actions: list[Action] = [Report(UserSpoke, details)]
        if said:
            self._user_said_something()
            if not passage.held:
                actions += self._answers.drop(_GOES_ON)
            self._spoken_until = None if passage.held else passage.ended
        else:
            self._silence.begin(self.now)
            self._wanted = self._wanted or passage.cut  # or nobody would speak any more
        return [*actions, *self._settle()]

    def _user_said_something(self) -> None:
        self._wanted = self._changed = True
        self._silence.user_spoke(self.now)

    # -- the agent ---------------------------------------------------------------------------

    @property
    def _sounding(self) -> bool:
        return self._mouth.sounding(self.now)

    @property
    def _may_interrupt(self) -> bool:
        return self._settings.barge_in is not None and not self._mouth.guarded(self.now)

    def _cut(self) -> list[Action]:
        self._changed = True
        return self._answers.cut(self.now)

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
        if self._spoken_until is not None and not answer.interrupt:
            waited = (self.now - self._spoken_until) / self._rate * 1000
            actions.append(Measure("e2e", waited))
            self._spoken_until = None
        details = {"duration": speech.duration, "content": speech.content}
        return [*actions, Report(AgentSpoke, details)]

    # -- what follows from where things stand ------------------------------------------------

    def _settle(self) -> list[Action]:
        actions: list[Action] = []
        if free := not self._mouth.busy(self.now):
            self._ears.release()
        if (self._ears.have_the_floor or (self._wanted and free)) and self._speaker != "user":
            self._speaker = "user"
            actions += self._update("user")
        elif self._changed:
            actions += self._update(None)
        actions += self._speak()
        while not self._ears.have_the_floor and (answer := self._mouth.finished(self.now)):
            self._silence.begin(self.now)
            if self._ends_with(last := afterwards(answer)):
                return [*actions, *last]
            actions += last
        if self._last and not self._mouth.answers:
            last = [self._last]
        else:
            last = self._silence.too_long(
                self.now, self._mouth.playing_until, self._settings, user_speaks=self._ears.busy
            )
        return [*actions, *(last if self._ends_with(last) else self._ask())]

    def _ends_with(self, actions: list[Action]) -> bool:
        self._over = bool(actions) and isinstance(actions[-1], HangUp)
        return self._over

    def _ask(self) -> list[Action]:
        if self._wanted and not self._ears.passages and not self._mouth.busy(self.now):
            self._wanted = False
            return [*self._answers.drop(_GOES_ON), *self._require(reminder=False)]
        idle = not (self._ears.busy or self._mouth.answers)
        heard_until = self._mouth.playing_until
        if idle and self._silence.reminder_due(self.now, heard_until, self._settings):
            self._spoken_until = None
            return self._require(reminder=True)
        return []

    def _require(self, *, reminder: bool) -> list[Action]:
        number = self._answers.ask(self.now)
        required = self.transcript.required(number, reminder=reminder)
        details = {"response_id": number, "reminder": reminder}
        return [Ask(required), Report(happened.LlmAsked, details)]

    def _update(self, turn: Role | None) -> list[Action]:
        self._changed = False
        utterances = self.transcript.utterances
        return [Update(utterances, turn), Ask(self.transcript.update_only(turn))]

    def _samples(self, milliseconds: int) -> int:
        return self._rate * milliseconds // 1000
