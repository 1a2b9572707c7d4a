"""How fast, smooth and frugal the line is, on real Kafka, S3 and HTTP on this machine.

speed     photos a second: the cores alone, a plain loop, and the whole line; where the time goes
settling  exactly-once settling against produce-and-commit for each message
loop      the event loop's lag while photos of 24 megapixels are worked on
stages    milliseconds of each stage of a photo, beside what we aim at
standby   seconds until a warm standby goes on, and how long a rolling restart stands still:
          takes minutes, so only when named
joins     when jobs begin while 20 replicas join and leave: takes minutes, so only when named
view      the view of a million jobs: folding, memory and answers: takes minutes, so only when named
replays   how soon a replay run starts, and what live jobs feel of replays: only when named
memory    resident memory over 3,000 jobs, its slope and bound: takes minutes, so only when named
gateway   submits and status calls a second through the HTTP gateway: only when named
traces    processor time a photo with traces on, against without: only when named
against   processor time a photo, this checkout against another (--checkout): only when named
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from consumer.settings import Settings
from consumer.telemetry import log
from producer_tools.local.stack import LocalStack
from segmentation.catalog.catalog import Catalog
from tests.benchmarks import (
    against,
    gateway,
    joins,
    loop,
    memory,
    replays,
    settling,
    speed,
    stages,
    standby,
    traces,
    view,
)
from tests.benchmarks.photos import photos

NAMES = (
    "speed",
    "settling",
    "loop",
    "stages",
    "standby",
    "joins",
    "view",
    "replays",
    "memory",
    "gateway",
    "traces",
    "against",
)


def main() -> None:
    """Run the benchmarks that are named, or all that take no minutes."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; none: the first four")
    parser.add_argument("--photos", type=Path, help="a folder of photos; none: packaged ones")
    parser.add_argument("--count", type=int, default=240, help="photos of a round of speed (240)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, for medians (5)")
    parser.add_argument(
        "--jobs",
        type=int,
        help="jobs of memory (3000) or view (1000000), events of replays (2000000)",
    )
    parser.add_argument("--checkout", type=Path, help="the folder that against compares with")
    given = parser.parse_args()
    if "against" in given.names and not given.checkout:
        parser.error("against needs --checkout DIR")
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    log.configure("WARNING", "console")
    # Topics that were made a moment ago are looked for until they are found.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if "gateway" in given.names:  # on a stack of its own
        gateway.measure()
        given.names.remove("gateway")
    if given.names or not any(name in NAMES for name in sys.argv):
        run(given)


def run(given: argparse.Namespace) -> None:
    """Start the local stack, and run what is asked for."""
    names = given.names or NAMES[:4]
    with LocalStack(masks_in_memory=True) as stack:
        os.environ.update(stack.environment())
        settings = Settings()
        for name in names:
            structlog.get_logger().info("benchmark.started", name=name)
            if name == "speed":
                speed.measure(
                    stack, settings, photos(given.photos, given.count), rounds=given.rounds
                )
            elif name == "settling":
                settling.measure(stack, rounds=given.rounds)
            elif name == "loop":
                loop.measure(stack, rounds=given.rounds)
            elif name == "stages":
                stages.measure(_catalog(settings), settings.images)
            elif name == "standby":
                standby.measure(stack, rounds=given.rounds)
            elif name == "joins":
                joins.measure(stack)
            elif name in _OF_MANY:
                _OF_MANY[name](stack, given.jobs)
            else:
                _compare(name, stack, given)


def _compare(name: str, stack: LocalStack, given: argparse.Namespace) -> None:
    """Measure one consumer against another."""
    pictures = photos(given.photos, given.count)
    if name == "traces":
        traces.measure(stack, pictures, rounds=given.rounds)
    else:
        against.measure(stack, pictures, checkout=given.checkout, rounds=given.rounds)


_OF_MANY: dict[str, Callable[[LocalStack, int | None], object]] = {
    "view": lambda stack, jobs: view.measure(stack, jobs=jobs or view.JOBS),
    "replays": lambda stack, events: replays.measure(stack, events=events or replays.EVENTS),
    "memory": lambda stack, jobs: memory.measure(stack, jobs=jobs or memory.JOBS),
}


def _catalog(settings: Settings) -> Catalog:
    catalog = Catalog.load(
        folder=settings.models.model_folder,
        body_model=settings.models.qwen_model_path,
        providers=settings.models.onnx_providers,
        threads=stages.THREADS,
    )
    catalog.warm()
    return catalog


if __name__ == "__main__":
    main()
