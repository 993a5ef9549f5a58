"""Option `--seeds N`: the number of seeds for each bar. One shows that it can hold, five that it holds in four."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=1, help="seeds of each network bar (5: the full run)")
