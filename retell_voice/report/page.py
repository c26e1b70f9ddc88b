"""The page: a single HTML file that needs neither scripts nor a network."""

from __future__ import annotations

from html import escape
from typing import Any

from retell_voice.report.account import Account, clock, figures, outcome, words
from retell_voice.shown import clean

STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
svg { width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
td { padding: .15rem 1rem .15rem 0; vertical-align: top; }
td:first-child { color: #666; white-space: nowrap; }
.warn { color: #b3400a; }
"""


def page(account: Account, svg: str, name: str) -> str:
    """Return the page as HTML.

    Args:
        account: of the call.
        svg: the figure, as an ``<svg>`` element.
        name: of the recording, for the title.
    """
    title = _shown(f"Call {name}")
    ending = "warn" if account.truncated else ""
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>\n{STYLE}</style></head><body>",
        f'<h1>{title}</h1>\n<p class="{ending}">{_shown(outcome(account))}</p>',
        svg,
        "<h2>Figures</h2>",
        table(figures(account)),
    ]
    if account.losses:
        parts.append("<h2>What went wrong</h2>")
        parts.append(table([(clock(at), what) for at, what in account.losses]))
    if account.utterances:
        said = [(_when(each), words(each.get("content"))) for each in account.utterances]
        parts += ["<h2>Transcript</h2>", table(said)]
    return "\n".join([*parts, "</body></html>", ""])


def table(rows: list[tuple[str, str]]) -> str:
    """Return rows of two cells as HTML."""
    cells = "\n".join(f"<tr><td>{_shown(a)}</td><td>{_shown(b)}</td></tr>" for a, b in rows)
    return f"<table>\n{cells}\n</table>"


def _shown(text: str) -> str:
    return escape(clean(text))


def _when(utterance: dict[str, Any]) -> str:
    """Return the time at which an utterance began, if available, and its role."""
    role = words(utterance.get("role"))
    try:
        return f"{clock(utterance['words'][0]['start'])} {role}"
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return role
