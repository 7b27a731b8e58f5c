"""The executor that works in this process, one shard after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Work = TypeVar("Work")
Done = TypeVar("Done")


def map_shards(function: Callable[[Work], Done], shards: Iterable[Work]) -> Iterator[Done]:
    """Yield `function(shard)` for each shard, in the order given."""
    return map(function, shards)
