"""The page: a single HTML file with everything in it, and nothing that could load anything else.

A strict Content-Security-Policy says so to the browser: only our own script and style run, known by
their hashes, whatever a recording contains.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import accumulate

from retell_voice.report.account import Account
from retell_voice.report.figures import figures, outcome, together
from retell_voice.report.plot import plots
from retell_voice.report.sound import Sound
from retell_voice.report.turns import Line, lines
from retell_voice.shown import clean, clock

STYLE = files(__package__).joinpath("page.css").read_text("utf-8")
_NONE = "'none'"
_NAMES = {"agent": "agent", "user": "you"}
_KEYS = "Space plays, ← → move by 2 s, J K by a line, + − zoom. A click on a line plays it."
_LONGEST, _TEXT = 20_000, 4 * 2**20
"""Characters of a line, and of a transcript."""
_TROUBLES = 200


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call to be shown: its name, its account and, where there is one, its sound."""

    name: str
    account: Account
    sound: Sound | None = None


def page(*calls: Recorded) -> str:
    """Return the page about one call, or about two side by side, as HTML."""
    title = _shown(("Call " if len(calls) == 1 else "Calls ") + " and ".join(c.name for c in calls))
    length = max(call.account.end for call in calls)  # the same axis for both
    script = files(__package__).joinpath("page.js").read_text("utf-8")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, calls)}">',
        f"<title>{title}</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head>",
        f'<body class="{"one" if len(calls) == 1 else "two"}"><h1>{title}</h1>',
        '<main class="calls">',
        *(_call(call, length, alone=len(calls) == 1) for call in calls),
        "</main>",
    ]
    if len(calls) == 2:
        one, two = (figures(call.account) for call in calls)
        head = ("", *(call.name for call in calls))
        parts += ["<h2>Figures</h2>", table([head, *together(one, two)])]
    parts += [f'<p class="quiet">{_KEYS}</p>', f"<script>{script}</script>", "</body></html>", ""]
    return "\n".join(parts)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as HTML."""
    cells = ("".join(f"<td>{_shown(each)}</td>" for each in row) for row in rows)
    return "<table>\n" + "\n".join(f"<tr>{row}</tr>" for row in cells) + "\n</table>"


def _policy(script: str, calls: Sequence[Recorded]) -> str:
    media = {
        "data:" if call.sound.embedded else "'self' file:"
        for call in calls
        if call.sound is not None
    }
    return "; ".join(
        (
            f"default-src {_NONE}",
            f"script-src {_hash(script)}",
            f"style-src {_hash(STYLE)}",
            f"media-src {' '.join(sorted(media) or [_NONE])}",
            f"base-uri {_NONE}",
            f"form-action {_NONE}",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _call(call: Recorded, length: float, *, alone: bool) -> str:
    account = call.account
    length = max(length, 1.0)
    ending = "warn" if account.truncated else ""
    parts = [
        f'<article class="call" data-began="{account.began:.3f}" data-length="{length:.3f}">',
        "" if alone else f"<h2>{_shown(call.name)}</h2>",
        f'<p class="{ending}">{_shown(outcome(account))}</p>',
        _player(call.sound),
        '<div class="plots" role="slider" tabindex="0" aria-label="Time in the call"'
        f' aria-valuemin="0" aria-valuemax="{length:.1f}" aria-valuenow="0">',
        f'<div class="wide">{plots(account, length)}<div class="playhead"></div></div></div>',
    ]
    if said := lines(account):
        parts += ["<h2>Transcript</h2>", _transcript(said)]
    if alone:
        parts += ["<h2>Figures</h2>", table(figures(account))]
        slowest = max(account.responses, key=lambda each: each[1], default=None)
        if slowest is not None:
            at, delay = slowest
            parts.append(f"<p>The slowest answer, {delay:.2f} s: {_jump(at - delay)}</p>")
    if account.losses:
        parts += ["<h2>What went wrong</h2>", _troubles(account.losses)]
    return "\n".join([*parts, "</article>"])


def _player(sound: Sound | None) -> str:
    zoom = (
        '<button class="farther" aria-label="Zoom out">−</button>'
        '<button class="nearer" aria-label="Zoom in">+</button>'
    )
    if sound is None:
        note = '<span class="now"></span> <span class="quiet">no sound</span>'
        return f'<div class="player">{note}{zoom}</div>'
    heard = f'<audio controls preload="auto" src="{escape(sound.url)}"></audio>'
    note = ""
    if not sound.embedded:
        note = (
            '<p class="quiet">The sound is too long for this page, which plays it from the '
            "recording: keep them together.</p>"
        )
    return f'<div class="player">{heard}{zoom}</div>{note}'


def _transcript(said: list[Line]) -> str:
    sizes = accumulate(min(len(each.text), _LONGEST) for each in said)
    shown = [each for each, size in zip(said, sizes, strict=True) if size <= _TEXT]
    items = [_line(each) for each in shown]
    if len(shown) < len(said):
        items.append(f"<li>and {len(said) - len(shown)} more lines</li>")
    return '<ol class="transcript">\n' + "\n".join(items) + "\n</ol>"


def _line(line: Line) -> str:
    role = line.role if line.role in _NAMES else "other"
    name = _shown(_NAMES.get(line.role, line.role[:60]))
    text = line.text if len(line.text) <= _LONGEST else f"{line.text[:_LONGEST]}…"
    notes = [] if line.delay is None else [f"answered after {line.delay:.2f} s"]
    if line.interrupted:
        notes.append("interrupted")
    note = f' <span class="quiet">({", ".join(notes)})</span>' if notes else ""
    return (
        f'<li class="{role}" data-from="{line.begin:.3f}" data-to="{line.end:.3f}">'
        f'<button aria-label="Play from {clock(line.begin)}">▶ {clock(line.begin)}</button>'
        f'<b class="{role}">{name}</b> {_shown(text)}{note}</li>'
    )


def _troubles(losses: list[tuple[float, str]]) -> str:
    rows = [f"<tr><td>{_jump(at)}</td><td>{_shown(what)}</td></tr>" for at, what in losses]
    if len(rows) > _TROUBLES:
        rows[_TROUBLES:] = [f"<tr><td></td><td>and {len(rows) - _TROUBLES} more</td></tr>"]
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _jump(at: float) -> str:
    at = max(at, 0.0)
    return f'<button data-from="{at:.3f}" aria-label="Play from {clock(at)}">▶ {clock(at)}</button>'


def _shown(text: str) -> str:
    return escape(clean(text))
