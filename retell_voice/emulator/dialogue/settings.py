"""How an agent that gets its words from an LLM server holds a conversation."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from retell_voice.protocol.llm import AgentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """Turn-taking of a conversation; times in milliseconds of the caller's audio.

    Where Retell documents a default, it is used here.

    Attributes:
        endpoint_ms: silence that ends the user's turn.
        slowest_endpoint_ms: the same at ``responsiveness`` 0; linear in between.
        responsiveness: 0 (waits long before it answers) to 1; see ``endpoint``.
        barge_in_ms: speech that interrupts the agent.
        interruption_sensitivity: 0 (cannot be interrupted) to 1; see ``barge_in``.
        interruptible: False: speech that begins while the agent is heard is ignored, not even
            transcribed. For a microphone that picks up the speaker.
        reminder_trigger_ms: silence after the agent has spoken before a reminder is requested.
        reminder_max_count: reminders in a row, until the user speaks again; 0 for none.
        begin_message_delay_ms: the begin message is not spoken earlier than this.
        end_call_after_silence_ms: hang up after this much silence of the user once the agent has
            spoken; a call can be registered with its own.
        longest_call_ms: hang up then in any case.
        partial_ms: how often speech is recognised while it is going on; 0: only once it is over.
        longest_ms: longer speech is recognised in pieces of this length.
        cough_ms: anything shorter in which no words are recognised does not count as speech.
        digits_ms: after the last DTMF digit that the user pressed, before an answer is
            requested.
        preroll_ms: audio from before the detected start that is recognised with a segment.
        tail_ms: audio from after its end.
        lag_ms: how much later than it is sent agent audio is heard.
        ahead_ms: how much speech may be sent before it is heard.
        pause_ms: a sentence that seems complete is spoken if nothing follows for so long.
        stalled_ms: an answer that stops coming for so long no longer holds up anything.
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
    digits_ms: int = 2500
    preroll_ms: int = 250
    tail_ms: int = 100
    lag_ms: int = 200
    ahead_ms: int = 20_000
    pause_ms: int = 150
    stalled_ms: int = 5000

    @property
    def endpoint(self) -> int:
        """Silence that ends the user's turn at the current responsiveness, ms."""
        more = (self.slowest_endpoint_ms - self.endpoint_ms) * (1 - self.responsiveness)
        return self.endpoint_ms + round(more)

    @property
    def barge_in(self) -> int | None:
        """Speech that interrupts, ms: twice as much at half the sensitivity; None: never."""
        if self.interruption_sensitivity <= 0:
            return None
        return round(self.barge_in_ms / self.interruption_sensitivity)

    @property
    def agent_config(self) -> dict[str, float]:
        """What an LLM server can set, under the names of ``AgentConfig``."""
        return {field.name: getattr(self, field.name) for field in fields(AgentConfig)}

    def changed(self, config: AgentConfig) -> DialogueSettings:
        """Return these with what an LLM server sets, clipped to the allowed range."""
        wanted = {
            "responsiveness": _clip(config.responsiveness, 0, 1),
            "interruption_sensitivity": _clip(config.interruption_sensitivity, 0, 1),
            "reminder_trigger_ms": _clip(config.reminder_trigger_ms, 1, 86_400_000),
            "reminder_max_count": _clip(config.reminder_max_count, 0, 1_000_000),
        }
        known = {name: value for name, value in wanted.items() if value is not None}
        return replace(self, **known)  # type: ignore[arg-type]  # each field has its own type


DEFAULT_DIALOGUE = DialogueSettings()


def _clip(value: float | None, low: int, high: int) -> float | None:
    return None if value is None else max(low, min(high, value))
