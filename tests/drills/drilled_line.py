"""A line under drill: what Prometheus scrapes of it, and faults that can be put right again."""

import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from PIL import Image

from producer_tools.local import ports
from producer_tools.local.child import Child
from producer_tools.local.gateway_process import GatewayProcess
from producer_tools.local.stack import UPLOAD_BUCKET, LocalStack
from tests.drills.prometheus import Prometheus
from tests.support.line_names import LineNames, create_topics, maskline
from tests.support.photos import saved

PHOTO = "drill.png"


class Misbehaviours:
    """What the mask-asset service does wrong, for each line by the names of its jobs."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._now: dict[str, dict[str, Any]] = {}

    def set(self, line: str, **misbehaviour: Any) -> None:
        """Let it misbehave for the jobs of a line; without a misbehaviour, behave again."""
        self._now.pop(line, None)
        if misbehaviour:
            self._now[line] = {"jobs": f"{line}-.*", **misbehaviour}
        self._stack.mask_assets.behave(*self._now.values())


class DrilledLine:
    """A line of its own on the shared stack; its name is the job's under which it is scraped."""

    def __init__(
        self,
        name: str,
        *,
        stack: LocalStack,
        prometheus: Prometheus,
        misbehaviours: Misbehaviours,
        folder: Path,
        **settings: str,
    ) -> None:
        """`folder` has the trivial model, and gets the logs."""
        self.name = name
        self._stack = stack
        self._prometheus = prometheus
        self._misbehaviours = misbehaviours
        self._folder = folder
        self._topics = LineNames.fresh()
        self._environment = {
            **stack.environment(),
            **self._topics.environment(),
            "MODEL_FOLDER": str(folder),
            "QWEN_MODEL_PATH": "trivial.onnx",
            **settings,
        }
        self._consumers: dict[int, Child] = {}
        self._gateway: GatewayProcess | None = None
        self._submitted = 0

    async def open(self, *, consumers: int, gateway: bool) -> None:
        """Make the topics, start consumers, wait until one has the partition; then a gateway."""
        self._prometheus.add_rules(self.name)
        await create_topics(self._environment)
        client = self._stack.s3.client()
        photo = saved(Image.new("RGB", (64, 96), "red"))
        client.put_object(Bucket=UPLOAD_BUCKET, Key=PHOTO, Body=photo)
        client.close()
        for _ in range(consumers):
            await self.start()
        if gateway:
            self._gateway = GatewayProcess(self._environment)
            await asyncio.to_thread(self._gateway.__enter__)
            self._show()

    def close(self) -> None:
        """End all that runs."""
        if self._gateway is not None:
            self._gateway.kill()
            self._gateway.stop()
        for port in list(self._consumers):
            self.kill(port)

    async def start(self, port: int | None = None) -> int:
        """Start a consumer, and wait until it is ready; give its port, which is its name here."""
        port = port or ports.choose("consumer", setting="HEALTH_PORT")
        where = {"HOST": ports.HOST, "HEALTH_PORT": str(port)}
        self._consumers[port] = Child(
            f"{self.name}-{port}",
            (sys.executable, "-m", "consumer"),
            log=self._folder / f"{self.name}-{port}.log",
            env={**os.environ, **self._environment, **where},
        )
        self._show()
        while (await self._get(port, "/readyz?exclude=not_holding,not_halted")) is None:
            if not self._consumers[port].running:
                raise RuntimeError(self._consumers[port].log_tail())
            await asyncio.sleep(0.2)
        return port

    def kill(self, port: int) -> None:
        """SIGKILL, as an out-of-memory kill does it; it is scraped on, as a pod that restarts."""
        self._consumers[port].kill()

    def let_gateway_write(self, most_bytes: int | None) -> None:
        """Let a file of the gateway's have so many bytes, as a full disk does; None: any number."""
        pid = self.gateway.child.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        soft = hard if most_bytes is None else most_bytes
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    @property
    def gateway(self) -> GatewayProcess:
        """The line's gateway."""
        if self._gateway is None:
            raise RuntimeError(f"{self.name} has no gateway")
        return self._gateway

    async def replace(self, port: int) -> int:
        """Start another and end this one in order, as a roll-out does."""
        fresh = await self.start()
        old = self._consumers.pop(port)
        old.signal(signal.SIGTERM)
        await asyncio.to_thread(old.stop, seconds=40.0)
        self._show()
        return fresh

    async def ports(self, *, assigned: bool) -> list[int]:
        """Give those that have the partition, or those that don't."""
        answers = {port: await self._get(port, "/stats") for port in self._consumers}
        return [port for port, stats in answers.items() if stats and stats["assigned"] is assigned]

    async def submit(self, count: int = 1, **fields: Any) -> list[str]:
        """Submit so many jobs; give their ids."""
        first, self._submitted = self._submitted, self._submitted + count
        ids = [f"{self.name}-{number}" for number in range(first, first + count)]
        image = f"s3://{UPLOAD_BUCKET}/{PHOTO}"
        bootstrap = self._environment["KAFKA_BOOTSTRAP_SERVERS"]
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for job_id in ids:
                job = {"job_id": job_id, "user_id": "u", "image": image, **fields}
                await producer.send(self._topics.jobs, json.dumps(job).encode(), job_id.encode())
        return ids

    async def maskline(self, *arguments: str) -> None:
        """Run a command of `maskline`, which must succeed."""
        done = await asyncio.to_thread(maskline, *arguments, environment=self._environment)
        if done.returncode:
            raise RuntimeError(f"maskline {arguments}: {done.stderr}")

    def misbehave(self, **misbehaviour: Any) -> None:
        """Let the mask-asset service misbehave for this line's jobs; with nothing, behave again."""
        self._misbehaviours.set(self.name, **misbehaviour)

    def _show(self) -> None:
        ports_here = [*self._consumers, *([self._gateway.port] if self._gateway else [])]
        self._prometheus.scrape(self.name, *(f"{ports.HOST}:{port}" for port in ports_here))

    async def _get(self, port: int, path: str) -> dict[str, Any] | None:
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                answer = await client.get(f"http://{ports.HOST}:{port}{path}")
        except httpx.HTTPError:
            return None
        body: dict[str, Any] = answer.json()
        return body if answer.is_success else None
