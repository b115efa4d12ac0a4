"""A running stack for the tests of the whole."""

from collections.abc import Iterator

import pytest

from tests.e2e.stack import Site, run_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One echo worker on SQLite; a test that stops a program starts it again."""
    with run_site(tmp_path_factory.mktemp("site") / "home") as site:
        yield site
