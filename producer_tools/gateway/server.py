"""Runs the gateway: opens what it needs, serves until it is told to end, closes all of it."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import structlog

from consumer.kafka.authorization import check_rights_if_heard
from consumer.kafka.connection import connection_options, replace_login
from consumer.kafka.rights import rights_of
from consumer.kafka.rights_watch import RightsWatch
from consumer.settings import KafkaSettings, renewal
from consumer.settings.renewal import RenewedGroup
from consumer.stopping import stopped_by_signals
from consumer.telemetry.secrets import Secrets
from consumer.telemetry.serving import listen, served
from consumer.telemetry.traces import open_tracing
from consumer.telemetry.tracing import Tracing
from producer_tools.client.appending import Appender
from producer_tools.client.uploads import Uploads
from producer_tools.gateway import connections
from producer_tools.gateway.access import Access
from producer_tools.gateway.app import make_app
from producer_tools.gateway.cancelling import Cancels
from producer_tools.gateway.events import Hub
from producer_tools.gateway.group import Group
from producer_tools.gateway.halts import Halts
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.metrics import Metrics
from producer_tools.gateway.models import Models
from producer_tools.gateway.parts import Parts
from producer_tools.gateway.queue import Places
from producer_tools.gateway.settings import Settings
from producer_tools.gateway.spool import Spool
from producer_tools.gateway.storage import Storage
from producer_tools.gateway.submissions import UPLOADS_AT_ONCE, Submissions

log = structlog.get_logger()

SERVICE_SECONDS = 8.0
"""The longest wait for Kafka or S3: an answer comes within 10 s."""
_STOP_SECONDS = 10


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    Raises:
        StartError: The port can't be opened, traces are wanted and can't be made, or a right is
            missing in Kafka.
        ModelError: A manifest is broken.
    """
    await check_rights_if_heard(settings.kafka, rights_of("gateway", settings.kafka))
    stop = asyncio.Event()
    secrets = Secrets(settings.secrets())
    access = Access(settings.gateway.keys, settings.gateway.cors_allowed_origins)
    metrics = Metrics()
    tracing = open_tracing(settings.tracing, settings.kafka)
    async with AsyncExitStack() as stack:
        stack.callback(tracing.close)
        listening = stack.enter_context(
            listen(settings.serving.host, settings.gateway.port, setting="PORT")
        )
        parts = await _open(settings, tracing, stack)
        cancels = Cancels(settings.kafka, parts.keeper, max_in_flight=settings.line.max_in_flight)
        app = make_app(
            parts,
            cancels=cancels,
            access=access,
            metrics=metrics,
            tracing=tracing,
            secrets=secrets,
        )
        server = await stack.enter_async_context(
            served(app, listening, stop_seconds=_STOP_SECONDS, options=connections.options())
        )
        renewing = asyncio.create_task(
            _renew(settings, parts, cancels, access, secrets), name="gateway.secrets"
        )
        stack.push_async_callback(_ended, renewing)
        stack.callback(parts.hub.close)  # first of all, so that no stream is waited for
        metrics.follow(
            view_age=lambda: parts.keeper.age,
            streams=lambda: parts.hub.streams,
            connections=lambda: len(server.server_state.connections),
        )
        host, port = listening.getsockname()[:2]
        log.info("gateway.started", host=host, port=port)
        if access.is_open:
            log.warning("gateway.open", reason="API_KEYS is unset: anybody may call")
        with stopped_by_signals(stop):
            await stop.wait()
    log.info("gateway.stopped")


async def _open(settings: Settings, tracing: Tracing, stack: AsyncExitStack) -> Parts:
    """Open all that the calls need, and keep it up to date."""
    models = await asyncio.to_thread(Models.read, settings.models)
    uploads = await stack.enter_async_context(
        Uploads(settings.s3, at_once=2 * UPLOADS_AT_ONCE, seconds=SERVICE_SECONDS)
    )
    appender = await stack.enter_async_context(Appender(settings.kafka, seconds=SERVICE_SECONDS))
    keeper = Keeper(settings.kafka, settings.view.file)
    storage, hub, group = Storage(uploads), Hub(settings.kafka), Group(settings.kafka)
    rights = RightsWatch(settings.kafka, partial(rights_of, "gateway"))
    for name, work in (
        ("view", keeper.run()),
        ("storage", storage.run()),
        ("events", hub.run()),
        ("rights", rights.run()),
    ):
        stack.push_async_callback(_ended, asyncio.create_task(work, name=f"gateway.{name}"))
    places = Places(keeper, jobs_topic=settings.kafka.jobs_topic, most=settings.line.queue_max_size)
    return Parts(
        settings=settings,
        models=models,
        keeper=keeper,
        spool=Spool(settings.temp_folder),
        storage=storage,
        uploads=uploads,
        submissions=Submissions(
            keeper=keeper,
            storage=storage,
            uploads=uploads,
            appender=appender,
            places=places,
            tracing=tracing,
            jobs_topic=settings.kafka.jobs_topic,
        ),
        appender=appender,
        hub=hub,
        group=group,
        halts=Halts(settings.kafka),
        rights=rights,
        began_at=time.monotonic(),
    )


async def _renew(
    settings: Settings, parts: Parts, cancels: Cancels, access: Access, secrets: Secrets
) -> None:
    """Take up secrets whose files change."""
    hide, kafka = secrets.learn, settings.kafka
    certificates = (kafka.kafka_ca_file, kafka.kafka_cert_file, kafka.kafka_key_file)

    def renew_kafka(renewed: KafkaSettings) -> None:
        nonlocal kafka
        replace_login(kafka, renewed)  # also for what is finished as it began
        kafka = renewed
        parts.renew(renewed)
        cancels.renew(renewed)

    await renewal.watch(
        RenewedGroup(kafka, renew_kafka, hide=hide, files=certificates, check=connection_options),
        RenewedGroup(settings.gateway, lambda gateway: access.renew(gateway.keys), hide=hide),
        RenewedGroup(settings.s3, parts.uploads.renew, hide=hide),
    )


async def _ended(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait([task])
