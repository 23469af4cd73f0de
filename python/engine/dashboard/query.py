"""What a viewer asks to see of the campaigns: filters, order and the part in sight.

It is the query of the page's own address, so a view can be kept, sent to a colleague and come back
to. Filters take several values with commas between, and exclude with a `!` before: `state=!paused`.
A search is words that must all be there; one with a `-` before it must not.
"""

from collections.abc import Mapping

import msgspec

from engine.domain.decision import Action, Binding
from engine.domain.lifecycle import State
from engine.errors import ConfigError

__all__ = [
    "ACTION_NAMES",
    "BINDING_NAMES",
    "LARGEST_LIMIT",
    "SORTS",
    "STATE_NAMES",
    "CampaignQuery",
    "Choice",
    "code_name",
    "parse_query",
]

SORTS = (
    "campaign", "state", "spend", "plan", "pace", "budget", "bid", "roi", "trend", "confidence",
    "binding", "decided",
)  # fmt: skip
LARGEST_LIMIT = 200
LONGEST_SEARCH = 200
STATE_NAMES = tuple(state.value for state in State)


def code_name(code: Action | Binding) -> str:
    """Return the name of a code as people read and type it."""
    return code.name.lower().replace("_", "-")


BINDING_NAMES = tuple(code_name(binding) for binding in Binding)
ACTION_NAMES = tuple(code_name(action) for action in Action)


class Choice(msgspec.Struct, frozen=True):
    """Values of a filter: those wanted, or (`is_not`) those not wanted. Empty: no filter."""

    names: tuple[str, ...] = ()
    is_not: bool = False


class CampaignQuery(msgspec.Struct, frozen=True):
    """A view of the table of campaigns. Two equal ones are one view, computed once."""

    search: str = ""
    state: Choice = Choice()
    platform: Choice = Choice()
    binding: Choice = Choice()
    action: Choice = Choice()
    sort: str = "spend"
    is_descending: bool = True
    offset: int = 0
    limit: int = 60

    @property
    def selection(self) -> "CampaignQuery":
        """Return the same view without its window: what filters and sorts alike."""
        return msgspec.structs.replace(self, offset=0, limit=0)


def parse_query(given: Mapping[str, str]) -> CampaignQuery:
    """Return the view that an address asks for; what is not given has its usual value.

    Raises ConfigError for the first thing that makes no sense.
    """
    sort = given.get("sort") or "-spend"
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise ConfigError(f"sort: one of {', '.join(SORTS)}, found {name[:40]!r}")
    search = " ".join(given.get("q", "").lower().split())
    if len(search) > LONGEST_SEARCH:
        raise ConfigError(f"q: up to {LONGEST_SEARCH} characters, found {len(search)}")
    return CampaignQuery(
        search=search,
        state=_choice("state", given, STATE_NAMES),
        platform=_choice("platform", given, None),
        binding=_choice("binding", given, BINDING_NAMES),
        action=_choice("action", given, ACTION_NAMES),
        sort=name,
        is_descending=sort.startswith("-"),
        offset=_count("offset", given, 0, 2**31),
        limit=_count("limit", given, 60, LARGEST_LIMIT),
    )


def _choice(field: str, given: Mapping[str, str], known: tuple[str, ...] | None) -> Choice:
    text = given.get(field, "")
    is_not = text.startswith("!")
    names = tuple(sorted({name for name in text.removeprefix("!").split(",") if name}))
    for name in names:
        if known is not None and name not in known:
            raise ConfigError(f"{field}: one of {', '.join(known)}, found {name[:40]!r}")
    return Choice(names[:64], is_not) if names else Choice()


def _count(field: str, given: Mapping[str, str], usual: int, most: int) -> int:
    text = given.get(field) or str(usual)
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise ConfigError(f"{field}: a whole number from 0 to {most}, found {text[:40]!r}")
    return int(text)
