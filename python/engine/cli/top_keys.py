"""The keys of `engine top`: what is shown, and how a key changes it. No terminal in here."""

from typing import Literal

import msgspec

from engine.cli.top_rows import SORTS, Sort, filter_of
from engine.reports.where import WhereError

__all__ = ["HELP", "PAGES", "Looking", "Page", "keys_of", "pressed"]

Page = Literal["campaigns", "workers", "platforms"]
PAGES: tuple[Page, ...] = ("campaigns", "workers", "platforms")

HELP = (
    ("1 2 3, tab", "campaigns, workers, platforms"),
    ("↓ ↑ j k", "a row down, a row up"),
    ("space b", "a page down, a page up (PgDn, PgUp)"),
    ("g G", "to the first row, to the last"),
    ("s S", "sort by the next column, the one before"),
    ("r", "turn the order round"),
    ("/", "filter: a part of an id, or an expression: platform=meta and roi<0"),
    ("esc", "no filter; leave the help"),
    ("p", "hold the picture, let it go"),
    ("? h", "this help"),
    ("q", "leave"),
)

_NAMES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "page-up",
    "\x1b[6~": "page-down",
    "\x1b[H": "first",
    "\x1b[F": "last",
    "\x1b[1~": "first",
    "\x1b[4~": "last",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "delete",
    "\x08": "delete",
    "\x15": "clear",
}


class Looking(msgspec.Struct, frozen=True):
    """How somebody looks at the fleet."""

    page: Page = "campaigns"
    sort: Sort = "spent"
    is_ascending: bool = False
    first: int = 0  # the row at the top
    filter: str = ""
    typing: str | None = None  # a filter that is being typed
    error: str = ""  # what is wrong with it
    is_helping: bool = False
    is_held: bool = False
    has_left: bool = False


def keys_of(text: str) -> list[str]:
    r"""Return the keys in what a terminal sent: names for those that are no character.

    >>> keys_of("j\x1b[6~q")
    ['j', 'page-down', 'q']
    """
    found = []
    while text:
        sequence = next(
            (s for s in sorted(_NAMES, key=len, reverse=True) if text.startswith(s)), ""
        )
        if sequence == "\x1b" and text[1:2] in ("[", "O"):  # one that is not known: skip it whole
            end = next((i for i, c in enumerate(text[2:], 2) if c.isalpha() or c == "~"), len(text))
            text = text[end + 1 :]
            continue
        found.append(_NAMES[sequence] if sequence else text[0])
        text = text[len(sequence) or 1 :]
    return found


def pressed(looking: Looking, key: str, *, rows: int, height: int) -> Looking:
    """Return how it is looked at after a key; `rows` there are, and `height` of them fit."""
    change = msgspec.structs.replace
    if looking.typing is not None:
        return _typed(looking, key)
    if looking.is_helping and key in ("escape", "?", "h", "q", "enter"):
        return change(looking, is_helping=False)
    if key == "q":
        return change(looking, has_left=True)
    if key in ("?", "h"):
        return change(looking, is_helping=True)
    if key == "p":
        return change(looking, is_held=not looking.is_held)
    if key == "escape":
        return change(looking, filter="", error="", first=0)
    if key == "/":
        return change(looking, typing=looking.filter, page="campaigns", error="")
    if key in ("1", "2", "3"):
        return change(looking, page=PAGES[int(key) - 1], first=0)
    if key == "tab":
        return change(looking, page=PAGES[(PAGES.index(looking.page) + 1) % len(PAGES)], first=0)
    if key in ("s", "S"):
        place = (SORTS.index(looking.sort) + (1 if key == "s" else -1)) % len(SORTS)
        return change(looking, sort=SORTS[place], first=0)
    if key == "r":
        return change(looking, is_ascending=not looking.is_ascending, first=0)
    return change(looking, first=_scrolled(looking.first, key, rows=rows, height=height))


def _typed(looking: Looking, key: str) -> Looking:
    change = msgspec.structs.replace
    text = looking.typing or ""
    if key == "escape":
        return change(looking, typing=None, error="")
    if key == "enter":
        try:
            filter_of(text)
        except WhereError as error:
            return change(looking, error=f"{error.wanted}, at {error.at + 1}")
        return change(looking, filter=text.strip(), typing=None, error="", first=0)
    if key == "delete":
        return change(looking, typing=text[:-1], error="")
    if key == "clear":
        return change(looking, typing="", error="")
    if len(key) == 1 and key.isprintable():
        return change(looking, typing=text + key, error="")
    return looking


def _scrolled(first: int, key: str, *, rows: int, height: int) -> int:
    page = max(height - 1, 1)
    steps = {"down": 1, "j": 1, "up": -1, "k": -1, " ": page, "page-down": page, "b": -page,
             "page-up": -page, "g": -rows, "first": -rows, "G": rows, "last": rows}  # fmt: skip
    return max(0, min(first + steps.get(key, 0), rows - height))
