"""A call whose agent gets its words from a developer's LLM server.

A pure state machine. Its clock is the caller's audio: time is the number of microphone samples
received, so a caller at twenty times real time has the same conversation in a twentieth of the
time. Its output is lists of ``Action`` for a server to carry out; the results of those that take
time come back through ``recognized``, ``synthesized`` and ``answered``.

::

    user speaks, agent silent ─▶ user's turn      user speaks, agent heard ─▶ clear, user's turn
    user has spoken ─▶ Recognize ─▶ words ─▶ response_required
    response, chunk by chunk ─▶ sentences ─▶ Synthesize ─▶ Say, in order ─▶ heard
    silence ─▶ reminder_required ─▶ … ─▶ hang up

The user's turn lasts from the first sound to the last recognised word. Until then nothing of an
answer is spoken, unless the user speaks over an agent that must not be interrupted, or that
interrupts. What the user says while an answer is being prepared, before any of it is heard, joins
what was said before, and the answer is requested again; a cough, in which no words are recognised,
changes nothing. Longer speech without words is passed to the LLM server as unintelligible, so that
the agent can ask the user to repeat it.
"""

from __future__ import annotations

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import Action, Ask, HangUp, Report, SendMetadata, Synthesize
from retell_voice.emulator.dialogue.agent_speech import AgentSpeech
from retell_voice.emulator.dialogue.answers import Answers, after_playback, report
from retell_voice.emulator.dialogue.saying import Saying
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE, DialogueSettings
from retell_voice.emulator.dialogue.silence import Silence
from retell_voice.emulator.dialogue.transcript import CallTranscript
from retell_voice.emulator.dialogue.updates import Updates
from retell_voice.emulator.dialogue.user_speech import PendingSpeech, UserSpeech
from retell_voice.emulator.llm import server_events as happened
from retell_voice.emulator.server_events import UserSpoke
from retell_voice.emulator.speech.ports import Speech
from retell_voice.emulator.speech.vad import Detector
from retell_voice.events import Word
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

_TICK_MS = 20  # resolution of the times in the settings
_GOES_ON = "the user went on"


class Dialogue:
    """Retell's side of one call.

    Args:
        rate: samples per second.
        detector: finds the user's speech; a barge-in can be no quicker than it is.
        settings: turn-taking.
        chunk_ms: length of the chunks of agent audio.
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
        self._tick = max(1, self._samples(_TICK_MS))
        self._user = UserSpeech(rate, detector, settings)
        self._agent = AgentSpeech(
            lag=self._samples(settings.lag_ms),
            ahead=self._samples(settings.ahead_ms),
            stalled=self._samples(settings.stalled_ms),
        )
        self._answers = Answers(self._agent, rate)
        self._updates = Updates(self.transcript)
        self._saying = Saying(
            self._agent,
            self.transcript,
            self._updates,
            rate=rate,
            chunk=max(1, rate * chunk_ms // 1000),
        )
        self._answer_due = False  # the LLM server has not been asked yet to answer the user
        self._silence = Silence(rate)
        self._digits_end: int | None = None  # when they are over, unless there comes another
        self._final: HangUp | None = None  # once the agent has said all that has come
        self._over = False

    @property
    def now(self) -> int:
        """Samples of the caller's audio so far."""
        return self._user.now

    # -- input -------------------------------------------------------------------------------

    def start(self) -> list[Action]:
        """Begin the call; the begin message comes from the LLM server."""
        return []

    def receive(self, samples: Samples) -> list[Action]:
        """Take microphone audio, shape (n,), any n; return what to do about it."""
        actions: list[Action] = []
        start = 0
        while start < len(samples) and not self._over:
            end = start + self._tick - self.now % self._tick
            self._user.feed(samples[start:end])
            start = end
            if self.now % self._tick == 0:
                actions += self._listen()
                actions += self._answers.overdue(self.now)
                self._end_digits()
                actions += [] if self._over else self._settle()
        return actions

    def typed(self, text: str) -> list[Action]:
        """Take a user turn that was typed; it interrupts as speech does."""
        text = text.strip()
        if self._over or not text:
            return []
        actions: list[Action] = [Report(happened.UserTyped, {"content": text})]
        if not self._agent_playing:
            actions += self._answers.drop(self.now, _GOES_ON)
        elif self._may_interrupt:
            actions += self._barge_in()
        self.transcript.user_piece().content = f" {text}"
        self._user_said_something()
        return [*actions, *self._settle()]

    def nudged(self) -> list[Action]:
        """Have the agent respond now, though nobody asked; a user who speaks goes first."""
        if self._over or self._user.busy:
            return []
        if not self._agent_playing:
            actions = self._answers.drop(self.now, _GOES_ON)
        elif self._may_interrupt:
            actions = [*self._barge_in(), *self._updates.tell()]
        else:
            return []
        self._answer_due = False
        return [*actions, *self._require(reminder=False)]

    def pressed(self, digit: str) -> list[Action]:
        """Take a DTMF digit; it does not interrupt, and once no other follows it is
        answered as speech is."""
        if self._over:
            return []
        self.transcript.pressed(digit)
        self._updates.changed()
        self._silence.user_spoke(self.now)
        self._digits_end = self.now + self._samples(self._settings.digits_ms)
        return self._settle()

    def _end_digits(self) -> None:
        if self._digits_end is not None and self.now >= self._digits_end:
            self._digits_end = None
            self._user_said_something()

    def recognized(self, job: int, words: tuple[Word, ...]) -> list[Action]:
        """Take the words of a ``Recognize``; times in seconds from its first sample."""
        return [] if self._over else self._words(job, words)

    def not_recognized(self, job: int, why: str) -> list[Action]:
        """A ``Recognize`` failed; the LLM server is told of unintelligible audio."""
        if self._over:
            return []
        lost = Report(happened.SpeechLost, {"part": "recognition", "why": why})
        return [lost, *self._words(job, None)]

    def synthesized(self, sentence: int, speech: Speech) -> list[Action]:
        """Take the speech of a ``Synthesize``, at the call's rate."""
        if self._over or self._agent.synthesized(sentence, speech) is None:
            return []
        return self._settle()

    def not_synthesized(self, sentence: int, why: str) -> list[Action]:
        """A ``Synthesize`` failed; the sentence is left out."""
        if self._over or self._agent.synthesized(sentence, None) is None:
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
                    self._user.hold()
                    self._updates.changed()
                actions = self._answers.take(message, self.now)
            case Config():
                self.transcript.with_tools = message.transcript_with_tool_calls
            case UpdateAgent():
                self._settings = self._settings.changed(message.agent_config)
                actions = [Report(happened.AgentReconfigured, self._settings.agent_config)]
            case ToolCallInvocation() | ToolCallResult():
                self.transcript.tool(message)
            case LlmMetadata():
                actions = [SendMetadata(message.metadata)]
        return [*actions, *report(message), *self._settle()]

    def link_lost(self, why: str) -> list[Action]:
        """The connection to the LLM server broke and is being redialled."""
        lost = Report(happened.LlmLinkChanged, {"state": "lost", "why": why})
        return [] if self._over else [lost]

    def link_back(self) -> list[Action]:
        """The connection is back: request again what has not come."""
        if self._over:
            return []
        state = {"state": "back", "why": ""}
        actions: list[Action] = [Report(happened.LlmLinkChanged, state)]
        if self._answers.start_again(self.now):
            self._answer_due = True
        else:
            actions.append(Ask(self.transcript.update_only()))
        return [*actions, *self._settle()]

    def hung_up(self, words: str) -> list[Action]:
        """The LLM server hung up: the call ends once all it has sent has been heard."""
        if self._over:
            return []
        self._final = HangUp(words, "agent_hangup")
        self._answers.end(self.now)
        return self._settle()

    def finish(self) -> list[Action]:
        """Return what to report once the call is over."""
        return self._answers.summary(self.now)

    # -- the user ----------------------------------------------------------------------------

    def _listen(self) -> list[Action]:
        actions: list[Action] = []
        if self._user.pending:
            actions += self._user_speaks(self._user.pending)
        if (segment := self._user.talking_over) and self._agent_playing and self._may_interrupt:
            segment.held, segment.barged_in = False, True
            actions += self._barge_in()
        if segment := self._user.too_long():
            return [*actions, self._user.split(segment, self.transcript.user_piece())]
        if recognize := self._user.to_recognize(self._samples(self._settings.endpoint)):
            actions.append(recognize)
        if known := self._user.known():
            actions += self._words(*known)
        return actions

    def _user_speaks(self, pending: PendingSpeech) -> list[Action]:
        over_agent = self._agent_playing
        if over_agent and not self._settings.interruptible:
            self._user.ignore()
            return []
        actions: list[Action] = []
        held = over_agent and not self._may_interrupt
        if over_agent and not held:
            enough = self._samples(self._settings.barge_in or 0)
            if pending.amount(self._user.spoken_until) < enough:
                return []
            actions = self._barge_in()
        piece = self.transcript.user_piece()
        self._user.begin(pending, piece, held=held, barged_in=over_agent and not held)
        return actions

    def _words(self, job: int, words: tuple[Word, ...] | None) -> list[Action]:
        segment = self._user.recognized(job, words)
        if segment is None:
            return []
        self._updates.changed()
        if segment in self._user.segments:
            return self._settle()
        said = segment.piece.content.strip()
        details = {"duration": self._user.duration(segment), "content": said}
        actions: list[Action] = [Report(UserSpoke, details)]
        if said:
            self._user_said_something()
            if not segment.held:
                actions += self._answers.drop(self.now, _GOES_ON)
            self._saying.awaited_since = None if segment.held else segment.ended
        else:
            self._silence.begin(self.now)
            # A cough that silenced the agent: or both would wait for the other.
            self._answer_due = self._answer_due or segment.barged_in
        return [*actions, *self._settle()]

    def _user_said_something(self) -> None:
        self._answer_due = True
        self._updates.changed()
        self._silence.user_spoke(self.now)

    # -- the agent ---------------------------------------------------------------------------

    @property
    def _agent_playing(self) -> bool:
        return self._agent.playing(self.now)

    @property
    def _may_interrupt(self) -> bool:
        return self._settings.barge_in is not None and not self._agent.protected(self.now)

    def _barge_in(self) -> list[Action]:
        self._updates.changed()
        return self._answers.barge_in(self.now)

    def _speak(self) -> list[Action]:
        actions: list[Action] = []
        delay = self._samples(self._settings.begin_message_delay_ms)
        self._agent.pause(self.now - self._samples(self._settings.pause_ms))
        while not self._user.has_floor and (answer := self._agent.ready()):
            if answer.number == 0 and not answer.interrupt and self.now < delay:
                break
            actions += self._saying.say(answer, self.now)
        due = self._agent.to_synthesize(self.now)
        return [*actions, *(Synthesize(each.number, each.text.strip()) for each in due)]

    # -- consequences of the state ------------------------------------------------------------

    def _settle(self) -> list[Action]:
        actions: list[Action] = []
        if free := not self._agent.busy(self.now):
            self._user.release()
        users_turn = self._user.has_floor or (self._answer_due and free)
        actions += [*self._updates.due(users_turn=users_turn), *self._speak()]
        while not self._user.has_floor and (answer := self._agent.finished(self.now)):
            self._silence.begin(self.now)
            if self._ends_with(last := after_playback(answer)):
                return [*actions, *last]
            actions += last
        if self._final and not self._agent.answers:
            last = [self._final]
        else:
            last = self._silence.too_long(
                self.now, self._agent.playing_until, self._settings, user_speaks=self._user.busy
            )
        return [*actions, *(last if self._ends_with(last) else self._ask())]

    def _ends_with(self, actions: list[Action]) -> bool:
        self._over = bool(actions) and isinstance(actions[-1], HangUp)
        return self._over

    def _ask(self) -> list[Action]:
        if self._answer_due and not self._user.segments and not self._agent.busy(self.now):
            self._answer_due = False
            return [*self._answers.drop(self.now, _GOES_ON), *self._require(reminder=False)]
        idle = not (self._user.busy or self._agent.answers)
        heard_until = self._agent.playing_until
        if idle and self._silence.reminder_due(self.now, heard_until, self._settings):
            self._saying.awaited_since = None
            return self._require(reminder=True)
        return []

    def _require(self, *, reminder: bool) -> list[Action]:
        number = self._answers.ask(self.now)
        required = self.transcript.required(number, reminder=reminder)
        details = {"response_id": number, "reminder": reminder}
        return [Ask(required), Report(happened.LlmAsked, details)]

    def _samples(self, milliseconds: int) -> int:
        return self._rate * milliseconds // 1000
