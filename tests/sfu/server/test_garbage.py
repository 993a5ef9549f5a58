"""Garbage collections skip objects that survived one; cycles are found in the end."""

import gc
import weakref

from sfu.server.garbage import search_all, sparing_survivors


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.own = self


def test_survivors_are_left_out_until_all_are_searched() -> None:
    with sparing_survivors():
        node = Node()
        gone = weakref.ref(node)
        gc.collect()
        left_out = gc.get_freeze_count()
        assert not any(known is node for known in gc.get_objects())
        del node
        gc.collect()
        assert gone() is not None and gc.get_freeze_count() >= left_out
        search_all()
        assert gone() is None
    assert gc.get_freeze_count() == 0
