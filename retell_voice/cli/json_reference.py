"""The reference of ``--json``, made from the events themselves."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal

from retell_voice import events
from retell_voice.errors import RetellVoiceError
from retell_voice.events import base, connection, devices, speech, statistics
from retell_voice.recording.jsonl import name

_WIDTH = 110  # as the pages that people write
_SIMPLE: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
    Mapping: "object",
    Any: "any",
    RetellVoiceError: "object: `type`, `message`, `hint`",
}


def reference() -> str:
    """Return every event, and what its objects have, in Markdown."""
    known = [
        each
        for room in (base, speech, devices, connection, statistics)
        for each in vars(room).values()
        if inspect.isclass(each) and each.__module__ == room.__name__
    ]
    parts = [_chapter(kind) for kind in known if issubclass(kind, events.Event)][1:]
    nested = [each for each in known if is_dataclass(each) and not issubclass(each, events.Event)]
    parts += ["## Objects in events", *(_chapter(kind, title=kind.__name__) for kind in nested)]
    return "\n\n".join(parts)


def _chapter(kind: type[Any], title: str = "") -> str:
    about, of_fields = _documentation(kind)
    hints = typing.get_type_hints(kind, localns={"RetellVoiceError": RetellVoiceError})
    rows = [
        f"| `{each.name}` | {_type(hints[each.name])} | {_sentence(of_fields.get(each.name, ''))} |"
        for each in fields(kind)
        if each.name != "at"
    ]
    heading = f"### {title}" if title else f"## {name(kind)}"
    about = textwrap.fill(about, _WIDTH, break_long_words=False, break_on_hyphens=False)
    table = "\n".join(["| field | type | |", "|---|---|---|", *rows]) if rows else ""
    return "\n\n".join(filter(None, [heading, about, table]))


def _documentation(kind: type[Any]) -> tuple[str, dict[str, str]]:
    """Return what is said of a class, and of its fields."""
    about, _, section = (inspect.getdoc(kind) or "").partition("\n\nAttributes:\n")
    said = {}
    for names, text in re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", section, re.M):
        said.update(dict.fromkeys(names.split(", "), _line(text)))
    said.update(_below_fields(kind))
    return _line(about), said


def _below_fields(kind: type[Any]) -> Iterator[tuple[str, str]]:
    """Yield the docstrings that stand below fields."""
    (node,) = ast.parse(inspect.getsource(kind)).body
    body = node.body if isinstance(node, ast.ClassDef) else []
    for field, below in itertools.pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=key)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield key, _line(text)


def _line(text: str) -> str:
    """Return text as one line of Markdown; names of Python's as they are in JSON."""
    text = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    text = re.sub(r"\bNone\b", "null", text)
    text = re.sub(r"`(\w+)=True`", r"`--\1`", text)
    for kind in vars(events).values():
        if inspect.isclass(kind) and issubclass(kind, events.Event):
            text = text.replace(f"`{kind.__name__}`", f"[`{name(kind)}`](#{name(kind)})")
    return text


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _type(hint: Any) -> str:
    """Return a type as JSON has it, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, UnionType):
        return " or ".join(_type(each) for each in arguments)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return f"array of {_type(arguments[0])}"
    return _SIMPLE[origin or hint] if (origin or hint) in _SIMPLE else _class(hint)


def _class(kind: type[Any]) -> str:
    if issubclass(kind, Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    title = name(kind) if issubclass(kind, events.Event) else kind.__name__
    return f"[{title}](#{title.lower()})"
