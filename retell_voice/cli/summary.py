"""The summary of a call: why it ended, how long it was, who spoke, and how well it went."""

from __future__ import annotations

from dataclasses import replace

from retell_voice.audio.levels import SPEECH
from retell_voice.cli.view import View
from retell_voice.events import PacketFigures, Statistics
from retell_voice.program.words import ending
from retell_voice.shown import as_argument, clean, clock

_INDENT = " " * 7
_COLUMNS = 80 - len(_INDENT)


def summary(view: View) -> list[str]:
    """Return lines that say how the call went; none if it never began."""
    if view.ended is None:
        return []
    # The error, reported as well, includes the reason: once is enough.
    ended = view.ended if view.ended.error is None else replace(view.ended, reason="")
    lines = [ending(ended), f"length {clock(view.at)}"]
    if shares := _shares(view):
        lines.append(shares)
    figures = view.statistics
    passed = f"sent {figures.frames_sent} frames"
    if figures.packets is None:  # whose stream goes on while the agent is silent
        passed += f", heard {figures.heard:.1f} s of the agent"
        if figures.discarded >= 0.05:
            passed += f", {figures.discarded:.1f} s cut short"
    lines.append(passed)
    lines += _responses(view)
    if figures.packets is not None:
        lines.append(_packets(figures.packets, figures.concealed))
    lines += _troubles(figures)
    lines += _quality(figures)
    lines = [part for line in lines for part in _wrapped(line)]
    if view.recording:  # not wrapped, to be copied
        path = clean(view.recording)
        lines += [
            f"recorded in {path}",
            f"hear and see it: retell-voice report --open {as_argument(path)}",
        ]
    return [f"{clock(view.at)}  {lines[0]}", *(f"{_INDENT}{line}" for line in lines[1:])]


def _wrapped(line: str) -> list[str]:
    """Return a line wrapped for a terminal of 80 columns."""
    import textwrap  # only here

    return textwrap.wrap(line, _COLUMNS, break_long_words=False, break_on_hyphens=False)


def _shares(view: View) -> str:
    """Return how long each side spoke.

    You: your level was above ``SPEECH``, short gaps included. The agent: from its first sample
    at the speaker to its last, utterance by utterance.
    """
    you, agent = view.you.seconds, view.agent.seconds
    if (both := you + agent) < 0.5:
        return ""
    share = round(100 * you / both)
    return (
        f"you spoke {you:.0f} s ({share} %: louder than {SPEECH:.0f} dBFS), "
        f"the agent {agent:.0f} s ({100 - share} %)"
    )


def _responses(view: View) -> list[str]:
    """Return how quickly the agent answered, and gave way to you."""
    figures, lines = view.statistics, []
    if figures.response_p50 is not None and view.slowest is not None:
        line = f"the agent answered after {figures.response_p50:.2f} s"
        if figures.responses > 1:
            line += f" (median of {figures.responses}; 95 % within {figures.response_p95:.2f} s"
            line += f", slowest {view.slowest.delay:.2f} s at {clock(view.slowest.at)})"
        lines.append(line)
    if figures.barge_in_p50 is not None:
        times = "once" if figures.barge_ins == 1 else f"{figures.barge_ins} times"
        lines.append(
            f"you interrupted it {times}: silent {figures.barge_in_p50:.2f} s after you began"
            + (" (median)" if figures.barge_ins > 1 else "")
        )
    return lines


def lost_share(packets: PacketFigures) -> float:
    """Return the share of the packets that were not there in time, 0–1."""
    return packets.lost / max(1, packets.received - packets.late + packets.lost)


def _packets(packets: PacketFigures, concealed: float) -> str:
    if not packets.lost:
        return f"{packets.received} packets received, none lost"
    share = 100 * lost_share(packets)
    return (
        f"{packets.received} packets received, {packets.lost} lost ({share:.1f} %), "
        f"of these {packets.late} late; {packets.recovered:.2f} s of audio recovered, "
        f"{concealed:.2f} s concealed"
    )


def _troubles(figures: Statistics) -> list[str]:
    troubles = (
        (figures.device_losses, "failures of a sound device"),
        (figures.frames_dropped, "pieces of your speech were not sent: the network was too slow"),
        (figures.capture_xruns, "gaps in what the microphone heard: this machine was late"),
        (figures.underruns, "gaps in the agent's voice: it came late"),
        (figures.playback_xruns, "gaps at the speaker: this machine was late"),
        (figures.unknown_messages, "messages of the server were of an unknown kind"),
        (figures.malformed_messages, "messages of the server could not be read"),
        (figures.events_dropped, "events were dropped: nothing read them in time"),
    )
    return [f"{count} {_one(words) if count == 1 else words}" for count, words in troubles if count]


def _one(words: str) -> str:
    """Return words about several things as words about one."""
    many, *rest = words.split(" ")
    return " ".join((many.removesuffix("s"), *rest)).replace(" were ", " was ", 1)


def _quality(figures: Statistics) -> list[str]:
    carried = [f"jitter buffer {figures.playout_target * 1000:.0f} ms"]
    if figures.round_trip is not None:
        carried.append(f"round trip {figures.round_trip * 1000:.1f} ms")
    lines = [", ".join(carried)]
    middle, most = figures.clear_to_silence_p50, figures.clear_to_silence_p95
    if middle is not None:
        within = "" if most is None else f" (median; 95 % within {most * 1000:.0f} ms)"
        lines.append(f"silent {middle * 1000:.0f} ms after a clear{within}")
    return lines
