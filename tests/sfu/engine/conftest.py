"""Every engine test runs on each available engine."""

import pytest

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import Engine


@pytest.fixture(params=available_engines())
def engine(request: pytest.FixtureRequest) -> Engine:
    return create_engine(request.param)
