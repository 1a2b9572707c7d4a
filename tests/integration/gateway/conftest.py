"""Gateways for the whole session: before a line that stands still, and before one that runs."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from producer_tools.local.consumer_process import ConsumerProcess
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import LocalStack
from tests.support.gateway_line import KEYS, ORIGIN, PAGE_PORT, SMALL_QUEUE, Line, new_line
from tests.support.models import TRIVIAL, write_network, write_trivial_body_model

SIDE = 320


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trivial model, and a stand-in of u2net with its true shapes."""
    folder = tmp_path_factory.mktemp("models")
    write_trivial_body_model(folder)
    write_network(
        folder / "u2net.onnx",
        nodes=[
            helper.make_node("Conv", ["photo", "weight"], ["mean"]),
            helper.make_node("Sigmoid", ["mean"], ["d0"]),
        ],
        weights={"weight": np.ones((1, 3, 1, 1), np.float32)},
        photo=(1, 3, SIDE, SIDE),
        outputs={"d0": (1, 1, SIDE, SIDE)},
    )
    return folder


@pytest.fixture(scope="session")
def stopped(stack: LocalStack, models: Path) -> Iterator[Line]:
    """A line without a consumer, whose queue holds 10."""
    names, environment = new_line(
        stack,
        QUEUE_MAX_SIZE=str(SMALL_QUEUE),
        MODEL_FOLDER=str(models),
        QWEN_MODEL_PATH=f"{TRIVIAL}.onnx",
    )
    with GatewayProcess(environment) as gateway:
        yield Line(stack, names, gateway, environment)


@pytest.fixture
def still(stopped: Line) -> Line:
    """The line without a consumer, its queue empty."""
    stopped.empty()
    return stopped


@pytest.fixture(scope="session")
def running(stack: LocalStack, models: Path) -> Iterator[Line]:
    """A line with a consumer and trivial models."""
    names, environment = new_line(
        stack,
        QUEUE_MAX_SIZE="1000",
        CORS_ALLOWED_ORIGINS=f"http://localhost:{PAGE_PORT}",
        MODEL_FOLDER=str(models),
        QWEN_MODEL_PATH=f"{TRIVIAL}.onnx",
    )
    with ExitStack() as started:
        gateway = started.enter_context(GatewayProcess(environment))
        started.enter_context(ConsumerProcess(environment))
        yield Line(stack, names, gateway, environment)


@pytest.fixture(scope="session")
def second(stopped: Line) -> Iterator[Line]:
    """Another gateway before the line without a consumer: with keys, for a queue of 3."""
    settings = {
        **stopped.environment,
        "QUEUE_MAX_SIZE": "3",
        "API_KEYS": ", ".join(KEYS),
        "CORS_ALLOWED_ORIGINS": ORIGIN,
        "JOB_TTL_SECONDS": "60",
    }
    with GatewayProcess(settings) as gateway:
        yield Line(stopped.stack, stopped.names, gateway, settings)
