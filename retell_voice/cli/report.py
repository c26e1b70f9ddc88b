"""``retell-voice report``: a page about a recorded call."""

from __future__ import annotations

import io
import os
from pathlib import Path

from retell_voice.errors import ConfigError
from retell_voice.program import stdout
from retell_voice.report.account import read
from retell_voice.report.figure import draw, svg
from retell_voice.report.levels import hear
from retell_voice.report.page import page
from retell_voice.shown import clean

_DPI = 150
_LARGEST = 256 * 2**20


def report(source: Path, output: Path | None, png: Path | None) -> int:
    """Write the page, and an image if requested; print their paths.

    Args:
        source: directory of a recording, or a file of events.
        output: the page; None writes it next to the events.
        png: the image; None for none.

    Raises:
        ConfigError: the events cannot be read, or a file cannot be written.
    """
    events = source / "events.jsonl" if source.is_dir() else source
    recorded = events.name == "events.jsonl"
    account = read(_text(events), str(events))
    sound = hear(events.with_name("audio.wav"), account.began)
    if sound is not None and recorded:
        account.near, account.far = sound
        account.end = max(account.end, sound[0][-1][0])
    figure = draw(account)
    name = events.resolve().parent.name if recorded else events.stem
    if output is None:
        output = events.with_name("report.html") if recorded else events.with_suffix(".html")
    _write(output, page(account, svg(figure), name).encode("utf-8", "replace"))
    if png is not None:
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=_DPI)
        try:
            _write(png, picture.getvalue())
        except ConfigError as error:
            raise ConfigError(str(error), f"the page is written: {output}") from None
    stdout.say("\n".join(clean(str(each)) for each in (output, png) if each is not None))
    return 0


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path}: too large for the events of a call")
        # A killed program may have cut a character in two.
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        hint = "give the directory of a recording (talk --record DIR makes them), or its events"
        raise ConfigError(f"{path}: {error.strerror or error}", hint) from None


def _write(path: Path, data: bytes) -> None:
    """Write a file; a new one is private, since it contains what was said."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
