import pytest

from tests.serving.made import running


@pytest.fixture(scope="package")
def server():
    """A server that no test changes."""
    with running() as started:
        yield started
