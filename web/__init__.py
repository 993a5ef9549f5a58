"""Static files of the page and the SDK: `web.ROOT` is their directory.

The page expects `ROOT/app` and `ROOT/sdk` at `/app/` and `/sdk/`, and `ROOT/index.html` as the answer to `/`, `/setup`,
`/m/<meeting>` and `/m/<meeting>/recordings`. It keeps to `default-src 'self'`: no inline script or style, and no other
origin.
"""

from pathlib import Path

ROOT = Path(__file__).parent
