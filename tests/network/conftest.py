"""`--seeds N`: with how many seeds each bar is run. One tells whether it can hold, five whether it holds in four."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=1, help="seeds of each network bar (5: the full run)")
