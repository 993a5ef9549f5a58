"""Slot assignment: tables for the rules, properties for everything else."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.peers.subscribe.slot_assignment import Wish, assign

A, B, C, D = (Wish(f"t-{name}", name) for name in "abcd")


def test_what_is_held_stays_where_it_is() -> None:
    assert assign([None, A, B], [B, A], {}).slots == (None, A, B)


def test_a_new_one_goes_beside_its_participants_other_medium() -> None:
    assert assign([None, None, None], [A], {0: "b", 2: "a"}).slots == (None, None, A)


def test_else_where_the_neighbour_is_free_else_anywhere() -> None:
    assert assign([None, None], [A], {0: "b"}).slots == (None, A)
    assert assign([None, None], [A], {0: "b", 1: "c"}).slots == (A, None)


def test_the_most_important_push_out_the_others() -> None:
    assignment = assign([A, B], [C, A, B], {})
    assert assignment.slots == (A, C)
    assert assignment.unplaced == (B,)


wishes = st.lists(st.builds(Wish, st.sampled_from("uvwxyz"), st.sampled_from("abc")), unique=True, max_size=6)


@given(wishes, wishes, st.dictionaries(st.integers(0, 5), st.sampled_from("abc")))
def test_properties(held: list[Wish], wanted: list[Wish], neighbours: dict[int, str]) -> None:
    assignment = assign(held, wanted, neighbours)
    shown = [wish for wish in assignment.slots if wish is not None]
    assert len(assignment.slots) == len(held)
    assert len(shown) == len(set(shown)) == min(len(held), len(wanted))
    assert set(shown) == set(wanted[: len(held)])
    assert list(assignment.unplaced) == wanted[len(held) :]
    for before, after in zip(held, assignment.slots, strict=True):
        if before in shown:
            assert after == before
