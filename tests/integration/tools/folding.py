"""A process that folds and tells after each fold, so that a test can kill it there."""

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from consumer.settings import KafkaSettings
from producer_tools.view.folder import Folder


def fold_and_tell(settings: KafkaSettings, path: Path, max_records: int, told: Connection) -> None:
    """Fold portions of so many records until all are folded. Say "fold" each time, then "done"."""

    async def fold() -> None:
        async with Folder(settings, path, max_records=max_records) as folder:
            await folder.catch_up(lambda _done, _total: told.send("fold"))
            told.send("done")

    asyncio.run(fold())


def hold(settings: KafkaSettings, path: Path, told: Connection) -> None:
    """Hold the view without folding, as a process does that is stuck."""

    async def held() -> None:
        async with Folder(settings, path):
            told.send("held")
            await asyncio.sleep(3600)

    asyncio.run(held())
