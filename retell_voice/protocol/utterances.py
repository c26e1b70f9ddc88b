"""Reading the items of a transcript: what is good of them, and what is wrong with the rest."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

from retell_voice.errors import show
from retell_voice.events import Utterance, Word
from retell_voice.protocol.lenient import expected
from retell_voice.protocol.transcript import Item


class ItemReader:
    """Reads one update after the other. They repeat most of what came before: that is read once."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._items: list[Item[Utterance]] = []
        self._wrong: list[list[str]] = []

    def read(self, values: list[Any]) -> tuple[list[Item[Utterance]], list[str]]:
        """Return the items of an update, and what is wrong with them; see ``read_item``."""
        items, wrong = [], []
        for index, value in enumerate(values):
            problems: list[str] = []
            if index < len(self._values) and _is_same(self._values[index], value):
                item, problems = self._items[index], self._wrong[index]
            else:
                item = read_item(value, problems)
            items.append(item)
            wrong.append(problems)
        self._values, self._items, self._wrong = values, items, wrong
        return items, list(chain.from_iterable(wrong))


def _is_same(before: Any, now: Any) -> bool:
    try:
        return bool(before == now)
    except RecursionError:  # parsed, but too deep to compare
        return False


def read_item(value: Any, wrong: list[str]) -> Item[Utterance]:
    """Read an item; what neither agent nor user says has no ``said``.

    Args:
        value: as parsed; anything.
        wrong: takes what is wrong with it, for people. The same of any two items is said in the
            same words.
    """
    if not isinstance(value, dict):
        wrong.append(f"an utterance: {expected('an object', value)}")
        return Item("", "")
    role, content = value.get("role"), value.get("content")
    if role not in ("agent", "user"):
        name = "missing" if role is None else show(role)
        wrong.append(f"the role of an utterance is neither agent nor user, but {name}")
        return Item(
            role if isinstance(role, str) else "", content if isinstance(content, str) else ""
        )
    words = _words(value.get("words"), wrong)
    if content is None and words:
        content = " ".join(each.word for each in words)
    if not isinstance(content, str):
        wrong.append(f"content of an utterance: {expected('a string', content)}")
        return Item(role, "")
    return Item(role, content, Utterance(role, content, words))


def _words(value: Any, wrong: list[str]) -> tuple[Word, ...]:
    if not value:
        return ()
    if not isinstance(value, list):
        wrong.append(f"words of an utterance: {expected('a list', value)}")
        return ()
    words = []
    for each in value:
        try:
            words.append(_word(each))
        except ValueError as error:
            wrong.append(f"a word: {error}")
    return tuple(words)


def _word(value: Any) -> Word:
    if not isinstance(value, dict):
        raise ValueError(expected("an object", value))
    word = value.get("word")
    if not isinstance(word, str):
        raise ValueError(f"word {expected('a string', word)}")
    return Word(word, _time(value, "start"), _time(value, "end"))


def _time(value: dict[str, Any], name: str) -> float:
    time = value.get(name)
    # bool is an int to Python and is not a number to JSON.
    if not isinstance(time, int | float) or isinstance(time, bool):
        raise ValueError(f"{name} {expected('a number', time)}")
    try:
        seconds = float(time)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise ValueError(f"{name} is no number of seconds")
    return seconds
