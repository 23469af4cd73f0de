"""Whose each partition should be: rendezvous hashing with bounded load.

Each worker computes the same answer from the same names, so nobody has to be asked. A partition
belongs to the worker whose hash with it is highest and who is not yet full; full is the fair
share, rounded up. Hashing alone leaves one of two workers with 40 of 64 partitions now and then;
the bound makes shares differ by at most one partition of rounding, and costs a few more moves
when the fleet changes.

Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998;
Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2018.
"""

from collections.abc import Collection
from hashlib import blake2b

from engine.domain.ids import PARTITIONS

__all__ = ["assign"]


def assign(workers: Collection[str], partitions: int = PARTITIONS) -> dict[int, str]:
    """Return the owner of each partition; nothing where there are no workers.

    >>> owners = assign({"a", "b"}, partitions=4)
    >>> sorted(owners), sorted(owners.values())
    ([0, 1, 2, 3], ['a', 'a', 'b', 'b'])
    """
    if not workers:
        return {}
    full = -(-partitions // len(set(workers)))
    load = dict.fromkeys(workers, 0)
    owners: dict[int, str] = {}
    # The strongest preference of all pairs goes first: who is full then depends on hashes alone,
    # not on the order of partitions, and few partitions move when a worker comes or goes.
    pairs = [(_weight(p, worker), p, worker) for p in range(partitions) for worker in load]
    for _, partition, worker in sorted(pairs, reverse=True):
        if partition not in owners and load[worker] < full:
            owners[partition] = worker
            load[worker] += 1
    return owners


def _weight(partition: int, worker: str) -> bytes:
    return blake2b(f"{partition}/{worker}".encode(), digest_size=8).digest()
