"""``retell-voice report``: a page about a recorded call, or two beside each other."""

from __future__ import annotations

import io
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from retell_voice import private
from retell_voice.errors import ConfigError
from retell_voice.program import failure, stdout
from retell_voice.report.account import Account, read
from retell_voice.report.page import Recorded, page
from retell_voice.report.sound import hear, sound_for
from retell_voice.shown import clean

_DPI = 150
_LARGEST = 256 * 2**20
_LONGEST_NAME = 100
"""Characters of a recording's name in the name of a file."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A recording: its events, and whether its sound is beside them."""

    events: Path
    is_recording: bool

    @property
    def name(self) -> str:
        return self.events.resolve().parent.name if self.is_recording else self.events.stem

    @property
    def audio(self) -> Path:
        return self.events.with_name("audio.wav")

    def account(self) -> Account:
        account = read(_text(self.events), str(self.events))
        sound = hear(self.audio, account.began) if self.is_recording else None
        if sound is not None:
            account.near, account.far = sound
            account.end = max(account.end, sound[0][-1][0])
        return account


def report(
    sources: list[Path],
    output: Path | None,
    png: Path | None,
    *,
    sound: bool = True,
    opens: bool = False,
) -> int:
    """Write the page, and an image if requested; print their paths.

    Args:
        sources: one or two: the directory of a recording, or a file of events.
        output: the page; None writes it next to the events.
        png: an image of the first call; None for none.
        sound: whether the page has the call's sound.
        opens: show the page in the browser.

    Raises:
        ConfigError: the events cannot be read, or a file cannot be written.
    """
    if len(sources) > 2:
        raise ConfigError(f"a page shows one call, or two side by side, not {len(sources)}")
    recordings = [_source(each) for each in sources]
    output = output or _beside(recordings)
    calls = [
        Recorded(
            each.name,
            each.account(),
            sound_for(each.audio, output) if sound and each.is_recording else None,
        )
        for each in recordings
    ]
    picture = _picture(calls[0].account) if png is not None else b""
    private.write(output, page(*calls).encode("utf-8", "replace"))
    if png is not None:
        try:
            private.write(png, picture)
        except ConfigError as error:
            raise ConfigError(str(error), f"the page is written: {output}") from None
    stdout.say("\n".join(clean(str(each)) for each in (output, png) if each is not None))
    if opens and not _open(output):
        failure.remark("no browser was found: open the page in one yourself")
    return 0


def _source(path: Path) -> _Source:
    events = path / "events.jsonl" if path.is_dir() else path
    return _Source(events, events.name == "events.jsonl")


def _beside(recordings: list[_Source]) -> Path:
    first = recordings[0]
    stem = "report" if first.is_recording else first.events.stem
    other = f"-with-{recordings[1].name[:_LONGEST_NAME]}" if len(recordings) > 1 else ""
    return first.events.with_name(f"{stem}{other}.html")


def _picture(account: Account) -> bytes:
    from retell_voice.report.figure import draw  # matplotlib is slow to import

    picture = io.BytesIO()
    draw(account).savefig(picture, format="png", dpi=_DPI)
    return picture.getvalue()


def _open(path: Path) -> bool:
    try:
        return webbrowser.open(path.resolve().as_uri())
    except (OSError, webbrowser.Error):
        return False


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ConfigError(f"{path}: too large for the events of a call")
        # A killed program may have cut a character in two.
        return data.decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", _hint(path)) from None


def _hint(events: Path) -> str:
    """Return what to give instead of events that cannot be read."""
    # Where there is no such file or directory, the calls beside it are meant; in a directory that
    # has no events of its own, as --record was given, those in it.
    directory = events.parent
    where = "it" if events.name == "events.jsonl" else quote(str(directory.resolve()))
    try:
        calls = [each.parent for each in directory.glob("*/events.jsonl")]
    except OSError:
        calls = []
    if calls:
        latest = max(calls, key=lambda each: each.name)
        return f"give one of the calls in {where}; the latest is {quote(str(latest))}"
    return "give the directory of a recording (talk --record DIR makes them), or its events"
