"""What every test begins with."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

# A failure is to be of the change that is tested, not of the day: the same examples each time.
# `make explore` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def logs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a command that a test calls has set up for its process.

    Else loggers would go on writing to a stream that ended with that test.
    """
    configure = structlog.configure

    def configure_for_now(**given: Any) -> None:  # noqa: ANN401
        configure(**given | {"cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", configure_for_now)
    yield
    structlog.reset_defaults()
