"""Placement: tables for the rules, properties for all else."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.peers.subscribe.slots import Wish, place

A, B, C, D = (Wish(f"t-{name}", name) for name in "abcd")


def test_what_is_held_stays_where_it_is() -> None:
    assert place([None, A, B], [B, A], {}).slots == (None, A, B)


def test_a_new_one_goes_beside_its_participants_other_medium() -> None:
    assert place([None, None, None], [A], {0: "b", 2: "a"}).slots == (None, None, A)


def test_else_where_the_neighbour_is_free_else_anywhere() -> None:
    assert place([None, None], [A], {0: "b"}).slots == (None, A)
    assert place([None, None], [A], {0: "b", 1: "c"}).slots == (A, None)


def test_the_most_important_push_out_the_others() -> None:
    placement = place([A, B], [C, A, B], {})
    assert placement.slots == (A, C)
    assert placement.unplaced == (B,)


wishes = st.lists(st.builds(Wish, st.sampled_from("uvwxyz"), st.sampled_from("abc")), unique=True, max_size=6)


@given(wishes, wishes, st.dictionaries(st.integers(0, 5), st.sampled_from("abc")))
def test_properties(held: list[Wish], wanted: list[Wish], neighbours: dict[int, str]) -> None:
    placement = place(held, wanted, neighbours)
    shown = [wish for wish in placement.slots if wish is not None]
    assert len(placement.slots) == len(held)
    assert len(shown) == len(set(shown)) == min(len(held), len(wanted))
    assert set(shown) == set(wanted[: len(held)])
    assert list(placement.unplaced) == wanted[len(held) :]
    for before, after in zip(held, placement.slots, strict=True):
        if before in shown:
            assert after == before
