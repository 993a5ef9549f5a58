"""The composing process. It decodes media from participants, so it has no secrets
but the keys of its recording (on its standard input, if it is encrypted), limited memory and low priority.

    python -m recorder.compose ROOT OUT SECONDS

It reads `manifest.json`, `options.json` and `captions.json` beside OUT, keeps finished parts of the video there, and
prints a line with its progress (0 to 1) for each second of film. It ends with GAVE_WAY after the part in which SECONDS
have passed, so shorter films need not wait for a long one.
"""

import sys
import time
from pathlib import Path

import msgspec

from foundation.film_options import from_job
from foundation.jobs import Said
from recorder.compose.confinement import confine
from recorder.compose.contract import GAVE_WAY, files_by
from recorder.compose.film import compose
from recorder.manifest import decode_manifest

_NICE = 15


def main() -> int:
    root, out = (Path(argument) for argument in sys.argv[1:3])
    end = time.monotonic() + float(sys.argv[3])
    confine(_NICE)
    parts = out.parent
    files = files_by(sys.stdin.buffer.read())
    manifest = decode_manifest(files.read(parts / "manifest.json"))
    options = from_job(msgspec.json.decode(files.read(parts / "options.json")))
    said = msgspec.json.decode(files.read(parts / "captions.json"), type=list[Said])
    done = compose(
        root,
        manifest,
        out,
        parts=parts,
        report=_report,
        options=options,
        goes_on=lambda: time.monotonic() < end,
        files=files,
        said=said,
    )
    return 0 if done else GAVE_WAY


def _report(share: float) -> None:
    sys.stdout.write(f"{share:.4f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
