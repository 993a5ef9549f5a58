"""`python -m bench.detector_training --into DIR`: trains the demonstration detector of generated voices."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.detector_training import training
from inference.models.archive import sha256
from inference.synthetic.voice_model import GRAPH


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, and print a summary of the model card and the hashes for MODELS.toml; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.detector_training", description=__doc__)
    parser.add_argument(
        "--into", type=Path, metavar="DIR", required=True, help="output folder of the network and its model card"
    )
    parser.add_argument("--prompts", type=int, default=100, metavar="N", help="prompts per speaker (default: 100)")
    chosen = parser.parse_args(arguments)
    try:
        card = training.train(chosen.into, print, prompts=chosen.prompts)
    except (OSError, ValueError) as error:
        print(f"bench.detector_training: {error}", file=sys.stderr)
        return 1
    point = card.operating_point
    print(
        f"{card.name} in {chosen.into}: of unknown people's windows it reports {100 * point.false_alarm_rate:.1f} % as "
        f"generated; it misses {100 * point.miss_rate:.1f} % of generated ones; it is no evidence"
    )
    for name in (GRAPH, training.CARD):
        print(f"{sha256(chosen.into / name)}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
