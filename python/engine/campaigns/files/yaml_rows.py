"""Rows from YAML: composed into nodes, never constructed, so that no tag is ever acted on.

Only what JSON knows is read as a number or a truth: `no` is a country; 1:30, 0o17 and 08 are text.
Aliases and merge keys (<<) work within a file; keys that begin with "x-" are room for anchors.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import yaml

from engine.campaigns.files.rows import BESIDE, Path, Problem, Row, shown

__all__ = ["yaml_rows"]

# Not every platform's wheel has the C parser, which is some ten times faster.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc] # which of the two is known at run time only
    """Composes nodes without guessing what scalars mean: `_scalar` does, by JSON's rules.

    Guessing by PyYAML's patterns would take as long as all the rest.
    """

    def resolve(self, kind: type[yaml.Node], value: object, implicit: object) -> str:
        return _UNTAGGED

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


_UNTAGGED = "?"
_TEXT = "tag:yaml.org,2002:str"
_PLAIN = frozenset(
    {_UNTAGGED, *(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null"))}
)
_CONTAINERS = frozenset({_UNTAGGED, "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,29})", re.ASCII)
# With a point, as YAML 1.1 has it: else an id such as 12e3, which nobody quotes, were a number.
_DECIMAL = re.compile(r"[+-]?([1-9]\d*|(\d+\.\d*|\.\d+)([eE][+-]?\d{1,4})?)", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MERGE = "<<"
_BLOCKS = re.compile(r"(?:[-?] +){200}")  # a list in a list in a list…, on one line
_DEEPEST = 60  # containers within containers; a campaign needs four


def yaml_rows(file: str, text: str, *, top: str) -> Iterator[Row | Problem]:
    """Iterate the rows of a document: a list, a mapping with the list `top`, or one campaign."""
    try:
        root = _compose(text)
    except yaml.YAMLError as error:
        yield from _piecewise(file, text, error)
        return
    except RecursionError:
        yield Problem(file, None, "", "YAML of a sane depth", "it nested too deep")
        return
    yield from _Rows(file, top).of(root)


class _RefusedError(Exception):
    """A node that cannot be read as plain data."""

    def __init__(self, node: yaml.Node, path: Path, wanted: str, found: str) -> None:
        self.line = _line(node)
        self.path = path
        self.wanted = wanted
        self.found = found


class _Rows:
    """The rows below a root node. `before` lines stand above its text in the file."""

    def __init__(self, file: str, top: str, *, before: int = 0) -> None:
        self._file = file
        self._top = top
        self._before = before

    def of(self, root: yaml.Node | None) -> Iterator[Row | Problem]:
        if isinstance(root, yaml.SequenceNode):
            yield from self._all(root)
        elif isinstance(root, yaml.MappingNode):
            keys = {key.value: value for key, value in root.value if isinstance(key.value, str)}
            if self._top not in keys:
                yield self._row(root)
                return
            yield from self._strangers(root)
            below = keys[self._top]
            if isinstance(below, yaml.SequenceNode):
                yield from self._all(below)
            else:
                yield self._problem(below, f"a list of {self._top}", _kind(below))
        else:
            wanted = f"a list of {self._top}"
            found = "an empty document" if root is None else _kind(root)
            yield Problem(self._file, 1 if root is None else _line(root), "", wanted, found)

    def _all(self, root: yaml.SequenceNode) -> Iterator[Row | Problem]:
        if not root.value:
            yield self._problem(root, f"at least one of {self._top}", "an empty list")
        for node in root.value:
            yield self._row(node)

    def _row(self, node: yaml.Node) -> Row | Problem:
        line = _line(node) + self._before
        if not isinstance(node, yaml.MappingNode):
            return Problem(self._file, line, "", "a mapping", _kind(node))
        try:
            fields = _Plain().value(node, ())
        except _RefusedError as refused:
            return Problem(
                self._file,
                refused.line + self._before,
                ".".join(refused.path),
                refused.wanted,
                refused.found,
                _id_of(node),
            )
        before = self._before

        def locate(path: Path) -> int:
            return _line(_key_node(node, path) or node) + before

        return Row(self._file, line, fields, locate)  # type: ignore[arg-type] # of a mapping node

    def _strangers(self, root: yaml.MappingNode) -> Iterator[Problem]:
        for key, _ in root.value:
            if key.value not in (self._top, *BESIDE) and not str(key.value).startswith("x-"):
                yield self._problem(key, f"{self._top} alone at the top", shown(str(key.value)))

    def _problem(self, node: yaml.Node, wanted: str, found: str) -> Problem:
        return Problem(self._file, _line(node) + self._before, "", wanted, found)


class _Plain:
    """Nodes as plain values. An aliased node is converted once: laughs do not multiply."""

    def __init__(self) -> None:
        self._known: dict[int, object] = {}
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> object:
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, path)
        if id(node) in self._known:
            return self._known[id(node)]
        if id(node) in self._open:
            raise _RefusedError(node, path, "plain data", "an alias within itself")
        if len(self._open) > _DEEPEST:
            raise _RefusedError(node, path, "YAML of a sane depth", "it nested too deep")
        if node.tag not in _CONTAINERS:
            raise _RefusedError(node, path, "plain data, without tags", shown(node.tag))
        self._open.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            value: object = [self.value(child, path) for child in node.value]
        else:
            value = self._mapping(node, path)
        self._open.discard(id(node))
        self._known[id(node)] = value
        return value

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, object]:
        merged: dict[str, object] = {}
        fields: dict[str, object] = {}
        for key, child in node.value:
            if key.value == _MERGE and not key.style:
                merged = self._merged(child, path) | merged
                continue
            name = key.value
            if not isinstance(key, yaml.ScalarNode):
                raise _RefusedError(key, path, "names as keys", _kind(key))
            if name in fields:
                raise _RefusedError(key, (*path, name), "each name once", "it twice")
            fields[name] = self.value(child, (*path, name))
        return merged | fields

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, object]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, object] = {}
        for part in parts:
            value = self.value(part, path)
            if not isinstance(value, dict):
                raise _RefusedError(part, path, "a mapping behind <<", _kind(part))
            merged = value | merged
        return merged


def _scalar(node: yaml.ScalarNode, path: Path) -> object:
    text = str(node.value)
    if node.tag == _TEXT:
        return text
    if node.tag not in _PLAIN:
        raise _RefusedError(node, path, "plain data, without tags", shown(node.tag))
    if node.style and node.tag == _UNTAGGED:  # in quotes, or a block
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return {"true": True, "false": False, "null": None, "~": None, "": None}.get(text, text)


def _piecewise(file: str, text: str, whole: yaml.YAMLError) -> Iterator[Row | Problem]:
    """Read the items of a malformed list one by one, so that one does not take the others along.

    Items are told by lines that begin with the same dash as the first. Where there are none, the
    problem is the whole file's.
    """
    lines = text.splitlines(keepends=True)
    first = next((line for line in lines if re.match(r" *- ", line)), None)
    if first is None:
        yield _syntax_problem(file, text, whole, 0)
        return
    dash = first[: first.index("-")] + "- "
    starts = [number for number, line in enumerate(lines) if line.startswith(dash)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        item = "".join(lines[start:end])
        try:
            root = _compose(item)
        except yaml.YAMLError as error:
            yield _syntax_problem(file, item, error, start)
        except RecursionError:
            yield Problem(file, start + 1, "", "YAML of a sane depth", "it nested too deep")
        else:
            yield from _Rows(file, "", before=start).of(root)


def _compose(text: str) -> yaml.Node | None:
    # libyaml's composer recurses in C, where Python cannot stop it before the stack ends.
    if _BLOCKS.search(text) or (text.count("[") + text.count("{") > 1_000 and _depth(text) > 1_000):
        raise RecursionError
    root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return root


def _depth(text: str) -> int:
    """Return how deep brackets nest, strings and comments counted in: a bound from above."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _syntax_problem(file: str, text: str, error: yaml.YAMLError, before: int) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        return Problem(file, None, "", "printable text", f"the character {error.character!r}")
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(file, None, "", "YAML", " ".join(str(error).split()))
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem(file, None, "", "YAML", error.problem or str(error))
    line = mark.line + 1 + before
    written = "".join(text.splitlines()[mark.line : mark.line + 1])
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return Problem(file, line, "", "spaces for indentation", "a tab")
    words = (error.problem or str(error)).removeprefix("found ")
    return Problem(file, line, "", "YAML", " ".join(words.split()))


def _key_node(node: yaml.Node, path: Path) -> yaml.Node | None:
    """Return the key at a path, or the deepest one above it that there is."""
    found: yaml.Node | None = None
    for name in path:
        if not isinstance(node, yaml.MappingNode):
            break
        pair = next((pair for pair in node.value if pair[0].value == name), None)
        if pair is None:
            break
        found, node = pair
    return found


def _id_of(node: yaml.MappingNode) -> str:
    for key, child in node.value:
        if key.value == "id" and isinstance(child.value, str):
            return child.value[:64]
    return ""


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else shown(str(node.value))
