"""One page that stands alone: no links outside, no scripts, light and dark, wide and narrow."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Figure", "Tile", "figures", "heading", "note", "page", "paragraph", "table", "tiles"]

_STYLE = """
:root { color-scheme: light dark; --paper: #fbfbfa; --card: #ffffff; --ink: #1c1e21;
  --faint: #5c636b; --grid: #d9dcdf; --series-1: #1f6fb4; --series-2: #c2560c; --series-3: #23834a;
  --series-4: #8a4fbf; --series-5: #9a7400; --series-6: #c0316b; --note: #fff5dc; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --card: #1d2024; --ink: #e8eaed;
  --faint: #a3abb3; --grid: #3a4047; --series-1: #6fb1ee; --series-2: #f0975a; --series-3: #6cc890;
  --series-4: #c09aea; --series-5: #d9b64a; --series-6: #f08bb2; --note: #322b17; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.2rem clamp(.8rem, 3vw, 2rem) 3rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.5rem; margin: .2rem 0 .4rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; } p { margin: .4rem 0; max-width: 64rem; }
.faint { color: var(--faint); }
.note { background: var(--note); border-radius: 6px; padding: .6rem .9rem; margin: .7rem 0; }
.tiles { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.tile { background: var(--card); border: 1px solid var(--grid); border-radius: 8px;
  padding: .55rem .8rem; } .tile b { display: block; font-size: 1.25rem; font-weight: 600; }
.tile span { color: var(--faint); font-size: .85rem; }
.figures { display: grid; gap: .8rem; margin-top: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--grid); border-radius: 8px;
  padding: .7rem .8rem .5rem; min-width: 0; }
figcaption b { display: block; } figcaption { font-size: .9rem; margin-bottom: .3rem; }
.plot, .wide { overflow-x: auto; } .plot svg { display: block; width: 100%; min-width: 30rem; }
.plot text { font-family: inherit; fill: var(--ink); }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--grid); text-align: right;
  white-space: nowrap; } th { color: var(--faint); font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
@media print { body { max-width: none; } figure, .tile { break-inside: avoid; } }
"""


class Tile(NamedTuple):
    """One figure that counts, and what it is."""

    value: str
    what: str


class Figure(NamedTuple):
    """A chart with a title, and a sentence that says what to see in it."""

    title: str
    says: str
    svg: str


def page(title: str, parts: Iterable[str], *, language: str = "en") -> str:
    """Return a whole page; `parts` are HTML already."""
    # The policy holds the page to what it promises: nothing is loaded, nothing is run.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, *, is_faint: bool = False) -> str:
    return f'<p class="faint">{escape(text)}</p>' if is_faint else f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """Return a paragraph that must not be overlooked."""
    return f'<p class="note">{escape(text)}</p>'


def tiles(found: Iterable[Tile]) -> str:
    inner = "".join(
        f'<div class="tile"><b>{escape(one.value)}</b><span>{escape(one.what)}</span></div>'
        for one in found
    )
    return f'<div class="tiles">{inner}</div>'


def figures(found: Sequence[Figure]) -> str:
    """Return charts, side by side where there is room."""
    inner = "".join(
        f"<figure><figcaption><b>{escape(one.title)}</b>{escape(one.says)}</figcaption>"
        f'<div class="plot">{one.svg}</div></figure>'
        for one in found
    )
    return f'<div class="figures">{inner}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    whole = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table>{whole}</table></div>'
