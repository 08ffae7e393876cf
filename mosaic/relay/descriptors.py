"""Every allocation needs a descriptor: have room for them before they come."""

from __future__ import annotations

import resource

_SPARE = 1024
"""For everything else that the process opens."""

SHARE_OF_DIRECT = 8
"""Of as many descriptors the thread of C may take one for the second sockets of
busy channels: SHARE_OF_DESCRIPTORS of sockets.h."""


def make_room(allocations: int) -> int:
    """Raise the soft limit of descriptors as far as it takes and may go.

    Second sockets have their share on top, so that they take no descriptor
    from an allocation. Returns for how many allocations there is room now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return allocations
    rest = SHARE_OF_DIRECT - 1  # all but the share; rounded up
    wanted = -(-(allocations + _SPARE) * SHARE_OF_DIRECT // rest)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if reachable > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
        soft = reachable
    return min(allocations, max(0, soft - soft // SHARE_OF_DIRECT - _SPARE))
