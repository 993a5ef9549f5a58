"""The process that composes: it decodes what participants sent, so it has no secrets, a bound on memory, and yields.

    python -m recorder.compose ROOT MANIFEST OUT

prints a line with the share that is done, once per second of film.
"""

import os
import resource
import sys
from pathlib import Path

from recorder.compose.film import compose
from recorder.manifest import decode_manifest

_MAX_MEMORY = 4 << 30
_NICE = 15


def main() -> None:
    root, manifest, out = (Path(argument) for argument in sys.argv[1:])
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    compose(root, decode_manifest(manifest.read_bytes()), out, _report)


def _report(share: float) -> None:
    sys.stdout.write(f"{share:.4f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
