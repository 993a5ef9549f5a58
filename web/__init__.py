"""Static files of the page and the SDK: `web.ROOT` is their directory."""

from pathlib import Path

ROOT = Path(__file__).parent
