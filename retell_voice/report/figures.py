"""The figures of a call, in words. Pure."""

from __future__ import annotations

from retell_voice.report.account import Account, Spans, words
from retell_voice.shown import clock

Row = tuple[str, str]

_DESCRIBED = ("started", "encoding", "rate", "microphone", "speaker", "server")
_SECONDS = (
    ("answers, median", "response_p50"),
    ("answers, 95 % within", "response_p95"),
    ("slowest answer", "response_max"),
    ("interrupted → silent, median", "barge_in_p50"),
)
_COUNTS = (
    ("clear → silence, median", "clear_to_silence_p50", "ms", 1000),
    ("clear → silence, 95 %", "clear_to_silence_p95", "ms", 1000),
    ("jitter buffer target", "playout_target", "ms", 1000),
    ("gaps concealed", "underruns", "", 1),
    ("speaker gaps", "playback_xruns", "", 1),
    ("microphone gaps", "capture_xruns", "", 1),
    ("frames sent", "frames_sent", "", 1),
    ("frames dropped", "frames_dropped", "", 1),
    ("devices lost", "device_losses", "", 1),
)


def figures(account: Account) -> list[Row]:
    """Return the figures worth knowing about a call, as names and values for people."""
    known = account.statistics
    rows = [("length", clock(account.end))]
    rows += [(name, words(account.call[name])) for name in _DESCRIBED if account.call.get(name)]
    rows += _shares(account)
    rows.append(("you interrupted the agent", _times(len(account.barge_ins))))
    rows.append(("cut short by the server", _times(len(account.clears))))
    rows += [(name, f"{known[key]:.2f} s") for name, key in _SECONDS if key in known]
    if "round_trip" in known:
        rows.append(("round trip", f"{known['round_trip'] * 1000:.1f} ms"))
    for name, key, unit, scale in _COUNTS:
        if key in known:
            rows.append((name, f"{known[key] * scale:.0f} {unit}".rstrip()))
    rows += _echo(account)
    return rows


def _echo(account: Account) -> list[Row]:
    method, state = account.echo
    known = account.statistics
    rows = []
    if method not in ("", "off"):
        rows.append(("echo control", f"{method}, {state}" if state else method))
    if "echo_erle" in known:
        rows.append(("echo removed", f"{known['echo_erle']:.0f} dB"))
    if "echo_cost" in known:
        rows.append(("echo control, CPU", f"{100 * known['echo_cost']:.1f} % of a core"))
    return rows


def _shares(account: Account) -> list[Row]:
    """Return how long each side spoke, and its share of that, as after a call.

    Without levels (``--no-levels``) nothing tells when you spoke.
    """
    you, agent = _seconds(account.you), _seconds(account.agent)
    if not account.near:
        return [("the agent was heard", f"{agent:.0f} s")] if agent else []
    if (both := you + agent) < 0.5:
        return []
    share = round(100 * you / both)
    return [
        ("you spoke", f"{you:.0f} s, {share} %"),
        ("the agent was heard", f"{agent:.0f} s, {100 - share} %"),
    ]


def _seconds(spans: Spans) -> float:
    return sum(end - begin for begin, end in spans)


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def together(first: list[Row], second: list[Row]) -> list[tuple[str, str, str]]:
    """Return the figures of two calls side by side, each name once."""
    names = dict.fromkeys(name for name, _ in (*first, *second))
    one, two = dict(first), dict(second)
    return [(name, one.get(name, ""), two.get(name, "")) for name in names]


def outcome(account: Account) -> str:
    """Return how the call ended, in one line."""
    ended = account.ended
    if ended is None:
        return "The recording is incomplete: the program was killed, or the call goes on."
    if "error" in ended:
        return f"It ended with an error: {ended['error']}"
    return f"Ended by {ended['by']}, code {ended['code']} {ended['reason']}".rstrip() + "."
