"""The consumer, with its event loop's lag measured finely: every 2 ms, on the machine's clock.

Run by the benchmark as `python -m tests.benchmarks.watched_consumer FILE`; on SIGTERM it writes a
line for each sample into FILE: when it was due, on the monotonic clock, and how late it came.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import NoReturn

from consumer.app import consume
from consumer.settings import Settings
from consumer.telemetry.secrets import Secrets

INTERVAL_SECONDS = 0.002


def main() -> None:
    """Serve until SIGTERM, then write what was measured."""
    samples: list[tuple[float, float]] = []
    asyncio.run(_serve(samples))
    Path(sys.argv[1]).write_text("".join(f"{due} {late}\n" for due, late in samples))


async def _serve(samples: list[tuple[float, float]]) -> None:
    watching = asyncio.create_task(_watch(samples))
    try:
        settings = Settings()
        await consume(settings, secrets=Secrets(settings.secrets()))
    finally:
        watching.cancel()


async def _watch(samples: list[tuple[float, float]]) -> NoReturn:
    while True:
        due = time.monotonic() + INTERVAL_SECONDS
        await asyncio.sleep(INTERVAL_SECONDS)
        samples.append((due, max(0.0, time.monotonic() - due)))


if __name__ == "__main__":
    main()
