"""How an agent whose words come from an LLM server behaves in a conversation."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from retell_voice.protocol.llm import AgentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """How the conversation is held; times in milliseconds of the caller's audio.

    Defaults of what Retell documents are Retell's.

    Attributes:
        endpoint_ms: silence after which the user has finished speaking.
        slowest_endpoint_ms: the same at ``responsiveness`` 0; in between on a straight line.
        responsiveness: 0 (waits long before it answers) to 1; see ``endpoint``.
        barge_in_ms: speech needed to interrupt the agent.
        interruption_sensitivity: 0 (cannot be interrupted) to 1; see ``barge_in``.
        interruptible: False: what the user begins to say while the agent is heard is ignored,
            not even transcribed. For a microphone that hears the speaker.
        reminder_trigger_ms: silence after the agent has spoken until a reminder is asked for.
        reminder_max_count: reminders in a row, until the user speaks again; 0 for none.
        begin_message_delay_ms: the agent does not speak first before so much of the call.
        end_call_after_silence_ms: hang up when the user is silent that long after the agent
            has spoken; a call may be registered with its own.
        longest_call_ms: hang up then in any case.
        partial_ms: how often the words of what is being said are looked for; 0: only when it
            has been said.
        longest_ms: what is said in one go is recognised in pieces of that length.
        cough_ms: what is shorter and in which no words are found was no speech.
        preroll_ms: how much from before the speech was noticed belongs to it.
        tail_ms: how much from after it.
        lag_ms: how much later than it is sent agent audio is heard.
        ahead_ms: how much speech is sent at most before it is heard.
        pause_ms: a sentence that seems complete is spoken when no more has come for so long.
        stalled_ms: an answer of which no more has come for so long keeps nobody waiting.
    """

    endpoint_ms: int = 600
    slowest_endpoint_ms: int = 3000
    responsiveness: float = 1.0
    barge_in_ms: int = 200
    interruption_sensitivity: float = 1.0
    interruptible: bool = True
    reminder_trigger_ms: int = 10_000
    reminder_max_count: int = 1
    begin_message_delay_ms: int = 0
    end_call_after_silence_ms: int = 600_000
    longest_call_ms: int = 3_600_000
    partial_ms: int = 1000
    longest_ms: int = 25_000
    cough_ms: int = 500
    preroll_ms: int = 250
    tail_ms: int = 100
    lag_ms: int = 200
    ahead_ms: int = 20_000
    pause_ms: int = 150
    stalled_ms: int = 5000

    @property
    def endpoint(self) -> int:
        """Silence after which the user has finished, ms, by how responsive the agent is."""
        more = (self.slowest_endpoint_ms - self.endpoint_ms) * (1 - self.responsiveness)
        return self.endpoint_ms + round(more)

    @property
    def barge_in(self) -> int | None:
        """Speech needed to interrupt, ms: twice as much at half the sensitivity; None: never."""
        if self.interruption_sensitivity <= 0:
            return None
        return round(self.barge_in_ms / self.interruption_sensitivity)

    @property
    def agent_config(self) -> dict[str, float]:
        """What an LLM server can set, by the names it has there."""
        return {field.name: getattr(self, field.name) for field in fields(AgentConfig)}

    def changed(self, config: AgentConfig) -> DialogueSettings:
        """Return these with what an LLM server sets; what is out of range goes to its edge."""
        wanted = {
            "responsiveness": _within(config.responsiveness, 0, 1),
            "interruption_sensitivity": _within(config.interruption_sensitivity, 0, 1),
            "reminder_trigger_ms": _within(config.reminder_trigger_ms, 1, 86_400_000),
            "reminder_max_count": _within(config.reminder_max_count, 0, 1_000_000),
        }
        known = {name: value for name, value in wanted.items() if value is not None}
        return replace(self, **known)  # type: ignore[arg-type]  # of each field its own type


DEFAULT_DIALOGUE = DialogueSettings()


def _within(value: float | None, low: int, high: int) -> float | None:
    return None if value is None else max(low, min(high, value))
