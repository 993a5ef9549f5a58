"""Files and sockets that this process may have open: each connection is one, and each needs a little room beside."""

import resource

_ENOUGH = 65_536


def raise_limit() -> None:
    """Raise the soft limit as far as the hard one allows: the usual 1024 is for select(2), which nothing here uses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share(most: int, part: float) -> int:
    """Return how many descriptors a listener may use: `most`, but only a part of those that there are."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, int(soft * part)))
