import pytest

from tests.survival.matrix import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    with Bench(tmp_path_factory.mktemp("survival"), lanes=2) as opened:
        yield opened
