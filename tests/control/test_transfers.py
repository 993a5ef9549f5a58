"""Many transfers at once in constant memory, and slow ones that complete: the short version of the benchmark."""

from bench.transfers import MB, scenario


async def test_transfers_at_once_and_slow_ones() -> None:
    outcome = await scenario(8, 6 * MB, 2 * MB)
    assert outcome.differing == 0
    assert outcome.grown < 64 * MB
