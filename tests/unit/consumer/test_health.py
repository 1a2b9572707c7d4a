import asyncio
import contextlib
import signal
import socket
from collections.abc import Mapping

import httpx
import psutil
import pytest

from consumer.errors import StartError
from consumer.telemetry import brief_connection
from consumer.telemetry.brief_connection import MOST
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.probes import Check, ProbeServer, Stats
from producer_tools.local import ports


class FakeConsumer:
    """What the health server asks, with answers that a test sets."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.checks = {"models": Check(ok=True, detail="body-regions")}
        self.metrics = Metrics()

    def live(self) -> str | None:
        """Why it is stuck."""
        return self.reason

    def ready(self) -> Mapping[str, Check]:
        """What is in order."""
        return self.checks

    async def stats(self) -> Stats:
        """How far it is."""
        return {"queue_max": 100, "position": None}

    def server(self, host: str = "127.0.0.1", port: int = 0) -> ProbeServer:
        """Make a server for it."""
        return ProbeServer(
            host,
            port,
            live=self.live,
            ready=self.ready,
            stats=self.stats,
            registry=self.metrics.registry,
        )


async def get(server: ProbeServer, path: str) -> httpx.Response:
    """Ask the server over HTTP."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{server.port}{path}")


async def test_livez_shows_whether_the_loop_makes_progress() -> None:
    """200, or 503 with the reason."""
    consumer = FakeConsumer()
    async with consumer.server() as server:
        answer = await get(server, "/livez")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        consumer.reason = "no poll for 90 s"
        answer = await get(server, "/livez")
        assert answer.status_code == 503
        assert answer.json()["reason"] == "no poll for 90 s"


async def test_readyz_shows_every_check() -> None:
    """200 when all are in order, else 503; either way with every detail."""
    consumer = FakeConsumer()
    async with consumer.server() as server:
        answer = await get(server, "/readyz")
        assert answer.status_code == 200
        consumer.checks["not_holding"] = Check(ok=False, detail="storage_unavailable: no route")
        answer = await get(server, "/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "checks": {
            "models": {"ok": True, "detail": "body-regions"},
            "not_holding": {"ok": False, "detail": "storage_unavailable: no route"},
        },
    }


async def test_readyz_leaves_checks_out_when_asked() -> None:
    """A fix for a hold must be able to roll out; what is left out is still shown."""
    consumer = FakeConsumer()
    consumer.checks["not_holding"] = Check(ok=False, detail="storage_unavailable: no route")
    consumer.checks["not_halted"] = Check(ok=False, detail="offsets are gone")
    async with consumer.server() as server:
        answer = await get(server, "/readyz?exclude=not_holding")
        assert answer.status_code == 503
        answer = await get(server, "/readyz?exclude=not_holding,not_halted")
        assert answer.status_code == 200
        assert answer.json()["excluded"] == ["not_holding", "not_halted"]
        assert not answer.json()["checks"]["not_holding"]["ok"]
        answer = await get(server, "/readyz?exclude=not_holding&exclude=not_halted,unheard-of")
        assert answer.status_code == 200


async def test_half_requests_are_bounded_and_no_probe_waits_for_them() -> None:
    """Whoever opens hundreds of connections takes no files away from the line."""
    async with FakeConsumer().server() as server:
        open_files = psutil.Process().num_fds()
        writers = []
        for _ in range(3 * MOST):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /livez HTTP/1.1\r\n")
            writers.append(writer)
            assert (await get(server, "/livez")).status_code == 200
        ours = len(writers)
        assert psutil.Process().num_fds() - open_files - ours <= MOST + 2
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize(
    "begun", [b"", b"GET /livez HTTP/1.1\r\nhost: x\r\n", b"POST /livez HTTP/1.1\r\n\r\n"]
)
async def test_a_connection_that_stalls_is_closed(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds, whatever it is that doesn't come."""
    assert brief_connection.LIFE_SECONDS <= 10
    monkeypatch.setattr(brief_connection, "LIFE_SECONDS", 0.1)
    async with FakeConsumer().server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(begun)
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(5):
                await reader.read()
        writer.close()


async def test_metrics_are_prometheus_text() -> None:
    """Every name has the prefix, and holds are there before the first one."""
    consumer = FakeConsumer()
    consumer.metrics.lanes_lost.inc()
    async with consumer.server() as server:
        answer = await get(server, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert all(line.startswith("mask_") for line in lines)
    assert "mask_lanes_lost_total 1.0" in lines
    assert 'mask_holding{code="storage_unavailable"} 0.0' in lines
    assert any(line.startswith("mask_process_resident_memory_bytes") for line in lines)


async def test_stats_are_json() -> None:
    """As the consumer gives them."""
    async with FakeConsumer().server() as server:
        assert (await get(server, "/stats")).json() == {"queue_max": 100, "position": None}
        assert (await get(server, "/else")).status_code == 404


async def test_a_taken_port_is_named() -> None:
    """The message names the setting to change; the process ends with 3."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"HEALTH_PORT={port}.* is taken") as raised:
            await FakeConsumer().server(port=port).__aenter__()
    assert raised.value.exit_code == 3


async def test_an_address_of_another_machine_is_named() -> None:
    """A `HOST` that isn't ours is a setting to change, too."""
    with pytest.raises(StartError, match=r"HOST=192\.0\.2\.1"):
        await FakeConsumer().server(host="192.0.2.1").__aenter__()


async def test_signals_are_left_to_the_app() -> None:
    """SIGTERM means: settle what is in flight; uvicorn must not take it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    async with FakeConsumer().server():
        assert {number: signal.getsignal(number) for number in before} == before


async def test_the_port_is_free_again_afterwards() -> None:
    """Also with a client that keeps its connection open."""
    port = ports.choose("the consumer", setting="HEALTH_PORT")
    async with FakeConsumer().server(port=port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"}")
    assert await reader.read() == b""
    writer.close()
    async with FakeConsumer().server(port=port):
        pass
