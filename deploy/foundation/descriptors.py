"""Limits of open files and sockets: every connection uses a descriptor, and some are needed for other purposes."""

import resource

_ENOUGH = 65_536


def raise_limit() -> None:
    """Raise the soft limit to the hard one: the usual 1024 is meant for select(2), which nothing here uses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share(most: int, part: float) -> int:
    """Return the number of descriptors that a listener may use: `most`, but at most a part of all."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, int(soft * part)))
