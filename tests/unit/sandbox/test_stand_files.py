"""The files that a stand of local platforms writes for a gateway."""

from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.market.market import Market
from engine.messaging.memory import MemoryBroker
from engine.sandbox.ground import MarketGround
from engine.sandbox.stand import Stand
from support.clock import ManualClock


async def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    clock = ManualClock()
    stand = Stand(
        broker=MemoryBroker(clock=clock),
        ground=MarketGround(Market(seed=7), platforms=("meta",)),
        clock=clock,
        directory=file / "sandbox",
    )
    wanted = f"directory: {file / 'sandbox'}: a directory to write in, found Not a directory"
    with pytest.raises(ConfigError, match=wanted):
        await stand.run()
