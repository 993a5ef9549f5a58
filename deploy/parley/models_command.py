"""`parley models`: fetch, build, list and verify the models that captions need."""

import argparse


def register(parser: argparse.ArgumentParser) -> None:
    """Add the verbs to the parser of `parley models`. Each sets `handler`, a callable (Namespace) -> exit status."""
    verbs = parser.add_subparsers(dest="models_verb", required=True, metavar="VERB")
    del verbs


def main(argv: list[str]) -> int:
    """Run `parley models` with `argv` (without the program's name) and return the exit status."""
    parser = argparse.ArgumentParser(prog="parley models")
    register(parser)
    parser.parse_args(argv)
    return 0
