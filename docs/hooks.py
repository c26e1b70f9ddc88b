"""Pages that are made from what is in the repository, when mkdocs builds the site."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import retell_voice
from retell_voice.cli.reference import example
from retell_voice.kiosk.diagram import picture, rows

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "retell_voice"
ROOMS = {
    "engine.call": "The call",
    "engine.web_call": "The call",
    "engine.listen_call": "The call",
    "protocol.gateway": "The call",
    "transport.ports": "The call",
    "transport.route": "The call",
    "transport.phone": "The call",
    "events.base": "Events",
    "events.speech": "Events",
    "events.devices": "Events",
    "events.connection": "Events",
    "events.statistics": "Events",
    "errors": "Errors",
    "audio.format": "Audio",
    "devices.ports": "Microphones and speakers",
    "devices.portaudio.devices": "Microphones and speakers",
    "devices.paced": "Microphones and speakers",
    "devices.files": "Microphones and speakers",
    "devices.audio_io": "Devices that stay open",
    "devices.echo_path": "Echo",
    "echo.ports": "Echo",
    "devices.listener": "Devices that stay open",
    "recording.recorder": "Recording",
    "engine.observer": "Recording",
    "transport.monitor": "Following a call",
    "protocol.monitor": "Following a call",
    "rest.calls": "Registering calls",
    "rest.web_calls": "Registering calls",
}
"""Where public names are defined, and under which title they stand."""
SECTION = re.compile(r"(Args|Attributes|Raises|Returns)\b.*:")
WIDTH = 80

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Named: TypeAlias = Function | ast.ClassDef | ast.Assign | ast.AnnAssign


def example_file() -> str:
    """Return the config file with every default."""
    return f"```toml\n{example()}```"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in what a page leaves to the code."""
    if page.file.src_uri == "changelog.md":
        return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    # What follows the mark is for those who read the file itself.
    return re.sub(r"<!-- (\w+) -->.+", lambda found: MADE[found[1]](), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Name the column in each cell of a table: on a narrow page, cells stand below each other."""
    return re.sub(r"<table>.*?</table>", lambda found: with_heads(found[0]), html, flags=re.S)


def with_heads(table: str) -> str:
    """Return a table whose cells, but those of the first column, tell their head."""
    heads = [re.sub("<.*?>", "", each) for each in re.findall(r"<th[^>]*>(.*?)</th>", table)]

    def row(found: re.Match[str]) -> str:
        first, *cells = re.split(r"<td(?=[ >])", found[0])
        told = [f'<td data-head="{head}"' if head else "<td" for head in ["", *heads[1:]]]
        return first + "".join(start + cell for start, cell in zip(told, cells, strict=False))

    return re.sub(r"<tr>(?:(?!<th).)*?</tr>", row, table, flags=re.S)


def api() -> str:
    """Return every public name in Markdown: how it is written in the source, and its docstring.

    Raises:
        ValueError: a public name is not where they are looked for.
    """
    chapters: dict[str, list[str]] = {title: [] for title in ROOMS.values()}
    missing = set(retell_voice.__all__)
    for room, title in ROOMS.items():
        path = PACKAGE / f"{room.replace('.', '/')}.py"
        for name, node, doc in named(ast.parse(path.read_text(encoding="utf-8")).body):
            if name in missing:
                missing.remove(name)
                chapters[title].append(f"### {name}\n\n{entry(name, node, doc)}")
    if missing:
        raise ValueError(f"no place in ROOMS for {', '.join(missing)}")
    return "\n\n".join(f"## {title}\n\n" + "\n\n".join(all_) for title, all_ in chapters.items())


def named(body: list[ast.stmt]) -> Iterator[tuple[str, Named, str]]:
    """Yield what is defined there, with its docstring; that of a value stands below it."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        doc = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            doc = str(after.value.value)
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node, ast.get_docstring(node) or ""
            case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield name, node, doc
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name, node, doc


def entry(name: str, node: Named, doc: str) -> str:
    """Return a definition and what is said of it, and of its members."""
    if not isinstance(node, ast.ClassDef):
        return f"{code(written(name, node))}\n\n{prose(doc)}"
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    lines = [f"class {name}{bases}"]
    members = list(named(node.body))
    for key, each, _ in named(node.body):
        if key == "__init__" and isinstance(each, ast.FunctionDef):
            if not issubclass(getattr(retell_voice, name), BaseException):  # nobody makes those
                lines = [f"class {written(name, each)}"]
            members += named(each.body)
    told = []
    for key, each, words in members:
        if key.startswith("_") or (isinstance(each, Function) and is_setter(each)):
            continue
        line = written(key, each, wrapped=False)
        if not isinstance(each, Function):
            lines.append(f"    {line}")
        if words:
            told.append(f"- `{line}`\n\n{textwrap.indent(prose(words), '    ')}")
    if told:
        told.insert(0, "**Members:**")
    return "\n\n".join([code("\n".join(lines)), prose(doc), *told])


def is_setter(node: Function) -> bool:
    """Return whether it only sets what a property has told already."""
    return any(ast.unparse(each).endswith(".setter") for each in node.decorator_list)


def written(name: str, node: Named, *, wrapped: bool = True) -> str:
    """Return a definition as it is written, without its body."""
    if not isinstance(node, Function):
        return ast.unparse(node)
    result = "" if node.returns is None else ast.unparse(node.returns)
    if any(ast.unparse(each) == "property" for each in node.decorator_list):
        return f"{name}: {result}"
    start = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    end = "" if result == "None" else f" -> {result}"
    line = f"{start}{name}({', '.join(arguments(node.args))}){end}"
    if len(line) <= WIDTH or not wrapped:
        return line
    column = "".join(f"    {each},\n" for each in arguments(node.args))
    return f"{start}{name}(\n{column}){end}"


def arguments(node: ast.arguments) -> list[str]:
    """Return the arguments as they are written, one by one."""
    required: list[ast.expr | None] = [None] * (len(node.args) - len(node.defaults))
    plain = zip(node.args, [*required, *node.defaults], strict=True)
    named_only = zip(node.kwonlyargs, node.kw_defaults, strict=True)
    each = [one_argument(*pair) for pair in plain if pair[0].arg != "self"]
    if node.vararg:
        each.append(f"*{ast.unparse(node.vararg)}")
    elif node.kwonlyargs:
        each.append("*")
    return each + [one_argument(*pair) for pair in named_only]


def one_argument(argument: ast.arg, default: ast.expr | None) -> str:
    """Return an argument as it is written."""
    equals = "" if default is None else f" = {ast.unparse(default)}"
    return f"{ast.unparse(argument)}{equals}"


def code(text: str) -> str:
    """Return a block of code."""
    return f"```python\n{text}\n```"


def prose(doc: str) -> str:
    """Return a docstring as Markdown, the public names in it as links."""
    parts = []
    for block in re.split(r"\n\n(?=\S)", doc.strip()):
        head, _, rest = block.partition("\n")
        rest = textwrap.dedent(rest).strip("\n")
        if head == "::":
            parts.append(f"```text\n{rest}\n```")
        elif SECTION.fullmatch(head):
            entries = re.sub(r"^(\w[\w, ]*): ", r"- `\1`: ", rest, flags=re.M)
            parts.append(f"**{head}**\n\n{linked(entries)}")
        else:
            parts.append(linked(block))
    return "\n\n".join(parts)


def linked(text: str) -> str:
    """Return text in which public names are links."""

    def link(found: re.Match[str]) -> str:
        name = found[1]
        return f"[`{name}`](#{name.lower()})" if name in retell_voice.__all__ else f"`{name}`"

    return re.sub(r"``?([^`]+)``?", link, text)


MADE = {"api": api, "example": example_file, "rows": rows, "states": picture}
"""What is made for which mark on a page."""
