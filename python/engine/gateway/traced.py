"""Which decisions were traced: the headers of their records, for the changes that follow."""

from collections.abc import Iterable

from engine.messaging.changes import Change

__all__ = ["Traced"]

MOST = 4096  # newest records that are remembered


class Traced:
    """Empty while nothing is traced."""

    def __init__(self) -> None:
        self._headers: dict[tuple[int, int], str] = {}

    def put(self, partition: int, sequence: int, header: str) -> None:
        """Remember the header of a decision's record."""
        self._headers[partition, sequence] = header
        if len(self._headers) > MOST:
            del self._headers[next(iter(self._headers))]

    def of(self, changes: Iterable[Change]) -> list[str]:
        """Return the headers of the decisions behind some changes, the newest decision's last."""
        keys = sorted({(one.sequence, one.partition) for one in changes})
        found = (self._headers.get((partition, sequence)) for sequence, partition in keys)
        return [header for header in found if header is not None]
