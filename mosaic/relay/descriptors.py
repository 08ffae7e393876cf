"""Every allocation needs a descriptor: have room for them before they come."""

from __future__ import annotations

import resource

_SPARE = 1024
"""For everything else that the process opens."""


def make_room(allocations: int) -> int:
    """Raise the soft limit of descriptors as far as it takes and may go.

    Returns for how many allocations there is room now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return allocations
    wanted = allocations + _SPARE
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if reachable > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
        soft = reachable
    return min(allocations, max(0, soft - _SPARE))
