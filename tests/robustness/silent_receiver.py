"""Posts to a receiver that never reads: `python -m tests.robustness.silent_receiver`.

Printed is what of this process's descriptors and memory is in use before, most, and afterwards.
"""

import argparse
import asyncio
from contextlib import suppress

import psutil

from consumer import malloc_arenas
from consumer.job.post import Poster, make_request
from tests.support.raw_server import RawServer, never_read

AT_ONCE = 16
TRY_SECONDS = 0.5


async def measure(posts: int, megabytes: int) -> None:
    """Post, and print a line for each hundred posts."""
    with RawServer(never_read) as server:
        async with Poster(ca_file=None) as poster:

            async def post() -> None:
                # No zeros: the kernel would hold them in no memory at all.
                files = {"cutout": b"m" * (megabytes << 20)}
                request = make_request(server.origin, headers={}, fields={}, files=files)
                with suppress(TimeoutError):
                    await poster.post(request, seconds=TRY_SECONDS)

            for done in range(0, posts, AT_ONCE):
                show(done, server)
                await asyncio.gather(*(post() for _ in range(min(AT_ONCE, posts - done))))
            await asyncio.sleep(0.1)  # what was closed last goes in the loop's next turns
            show(posts, server)


def show(done: int, server: RawServer) -> None:
    """Print what is in use, the server's own ends of connections left out."""
    process = psutil.Process()
    own = process.num_fds() - len(server.still_open())
    print(f"{done:4} posts: {own} descriptors, {process.memory_info().rss >> 20} MiB")


def main() -> None:
    """Read the numbers, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=500)
    parser.add_argument("--megabytes", type=int, default=16, help="of each body")
    given = parser.parse_args()
    malloc_arenas.limit()  # as the consumer does
    asyncio.run(measure(given.posts, given.megabytes))


if __name__ == "__main__":
    main()
