"""What the server says that this connection may do, and what of its role's needs is missing.

The server is asked ($SYS.REQ.USER.INFO), nothing is tried: a self-test by publishing would leave
its traces in the streams, and a subscription that is denied looks like one that works.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.errors import BrokerError
from engine.messaging.link import Link, NobodyAnswersError
from engine.messaging.permissions import USER_INFO, Rights

__all__ = ["Granted", "ask"]


class _Subjects(msgspec.Struct, frozen=True):
    allow: list[str] | None = None
    deny: list[str] | None = None

    def cover(self, wanted: str) -> bool:
        allowed = not self.allow or any(_covers(_subject(one), wanted) for one in self.allow)
        return allowed and not any(_meets(_subject(one), wanted) for one in self.deny or ())


class _Permissions(msgspec.Struct, frozen=True):
    publish: _Subjects = _Subjects()
    subscribe: _Subjects = _Subjects()


class Granted(msgspec.Struct, frozen=True):
    """What one user may do. Without permissions in the server's configuration: everything."""

    user: str = ""
    account: str = ""
    permissions: _Permissions | None = None

    def may_publish(self, subject: str) -> bool:
        """Return whether every subject that the pattern stands for may be published to."""
        return self.permissions is None or self.permissions.publish.cover(subject)

    def may_subscribe(self, subject: str) -> bool:
        """Return whether the pattern may be subscribed to and would be heard whole."""
        return self.permissions is None or self.permissions.subscribe.cover(subject)

    def lacking(self, rights: Rights) -> list[str]:
        """Return what is missing, in words.

        >>> publish = _Subjects(allow=["engine.metrics.*", "_INBOX.gw.>"])
        >>> granted = Granted(user="gw", permissions=_Permissions(publish=publish))
        >>> granted.lacking(Rights(("engine.metrics.*", "engine.dead.>"), ("_INBOX.gw.>",)))
        ['publish engine.dead.>']
        """
        publish = [f"publish {one}" for one in rights.publish if not self.may_publish(one)]
        return publish + [
            f"subscribe {one}" for one in rights.subscribe if not self.may_subscribe(one)
        ]


class _Answer(msgspec.Struct, frozen=True):
    data: Granted | None = None
    error: Any = None


async def ask(link: Link) -> Granted:
    """Return what this connection may do.

    Raises:
        BrokerError: the server does not say.
    """
    try:
        delivery = await link.request(USER_INFO)
    except NobodyAnswersError:
        return Granted()  # no system account: there are no users either
    try:
        found = msgspec.json.decode(delivery.payload, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokerError(f"{USER_INFO}: answer not understood: {error}") from error
    if found.data is None:
        raise BrokerError(f"{USER_INFO}: refused: {found.error}")
    return found.data


def _subject(granted: str) -> str:
    return granted.partition(" ")[0]  # a subscription may be granted for one queue group only


def _covers(granted: str, wanted: str) -> bool:
    """Return whether every subject of the pattern `wanted` is one of `granted`.

    >>> _covers("engine.dead.>", "engine.dead.feed"), _covers("engine.*.3", "engine.metrics.*")
    (True, False)
    """
    return _matches(granted.split("."), wanted.split("."), meets=False)


def _meets(denied: str, wanted: str) -> bool:
    """Return whether some subject of the pattern `wanted` is one of `denied`."""
    return _matches(denied.split("."), wanted.split("."), meets=True)


def _matches(pattern: Sequence[str], wanted: Sequence[str], *, meets: bool) -> bool:
    for i, token in enumerate(pattern):
        if i >= len(wanted):
            return False
        if token == ">" or (meets and wanted[i] == ">"):
            return True
        same = token == wanted[i] or (token == "*" and wanted[i] != ">")
        if not same and not (meets and wanted[i] == "*"):
            return False
    return len(pattern) == len(wanted)
