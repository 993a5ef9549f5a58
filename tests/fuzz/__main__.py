"""Fuzzer of one parser: `python -m tests.fuzz rtcp --seconds 60 [--seed N]`.

Mutates the corpus (tests/fuzz/corpus/<parser>/) at random. An input that raises anything but ValueError, breaks an
invariant or takes more than `SLOW` seconds of the processor is added to the corpus, where the tests replay it, and ends
the run with status 1.
"""

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SLOW = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz a parser, starting from its corpus."
    )
    parser.add_argument("parser", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="repeats a run; default: a new one each time")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    dice = random.Random(seed)
    corpus = [path.read_bytes() for path in sorted((CORPUS / options.parser).iterdir())]
    target = TARGETS[options.parser]
    deadline = time.monotonic() + options.seconds
    tried = accepted = 0
    while time.monotonic() < deadline:
        data = mutate(corpus, dice)
        tried += 1
        began = time.process_time()
        try:
            target(data)
            accepted += 1
        except ValueError:
            pass
        except Exception:
            return report(options.parser, data, traceback.format_exc(), seed)
        if time.process_time() - began > SLOW:
            return report(options.parser, data, f"took {time.process_time() - began:.2f} s", seed)
    print(f"{options.parser}: {tried} inputs, {accepted} accepted, none wrong (seed {seed})")
    return 0


def report(parser: str, data: bytes, what: str, seed: int) -> int:
    path = CORPUS / parser / f"found-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    print(f"{what}\n{parser}: kept as {path} (seed {seed})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
