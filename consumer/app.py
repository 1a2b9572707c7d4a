"""The service: opens what jobs need, runs the line, closes all of it in reverse."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog

from consumer.errors import StartError
from consumer.job.callback import Callback
from consumer.job.holds import Holds
from consumer.job.inference import Inference
from consumer.job.services import Services
from consumer.kafka import topics
from consumer.kafka.authorization import check_rights
from consumer.kafka.committed import RunProgress
from consumer.kafka.connection import connection_options
from consumer.kafka.rights import Right, lacking, rights_of, run_rights
from consumer.kafka.rights_watch import RightsWatch
from consumer.line.line import Line
from consumer.line.report import Report
from consumer.line.run import Run, check_run
from consumer.line.throughput import Throughput
from consumer.s3.fetch import Images
from consumer.settings import KafkaSettings, Settings, renewal
from consumer.settings.renewal import RenewedGroup
from consumer.stopping import stopped_by_signals
from consumer.telemetry import certificates
from consumer.telemetry.log_stream import LogStream
from consumer.telemetry.metrics import Metrics, watch_loop
from consumer.telemetry.probes import Check, ProbeServer
from consumer.telemetry.secrets import Secrets
from consumer.telemetry.traces import open_tracing
from consumer.telemetry.tracing import Tracing
from segmentation.catalog.catalog import Catalog
from segmentation.errors import ModelError
from segmentation.model.cores import available_cores
from segmentation.model.onnx_model import check_providers
from segmentation.photo.limits import ImageLimits

log = structlog.get_logger()

FETCH_THREADS = 16  # more fetches at once gain nothing: two workers segment 20 photos a second


async def consume(
    settings: Settings,
    *,
    secrets: Secrets,
    from_offset: int | None = None,
    run: Run | None = None,
    log_stream: LogStream | None = None,
) -> RunProgress | None:
    """Serve until SIGTERM, SIGINT or SIGHUP; a replay run also until it has come to its end.

    Gives what came of the run; None where it was stopped before its end, or this is no run.
    `secrets` are hidden, and learn renewed ones.

    Raises:
        StartError: it can't start. The message names the remedy.
        LaneHalted: the replay run has halted. The message says why.
    """
    kafka = settings.kafka
    rights: Callable[[KafkaSettings], Sequence[Right]] = partial(rights_of, "consumer")
    if run is not None:
        kafka = run.settings(kafka)
        rights = partial(run_rights, line_group=settings.kafka.consumer_group)
        await check_kafka(kafka, rights(kafka), dead_letters=False)
        await check_run(kafka, run)
    tracing = open_tracing(settings.tracing, kafka, replays=run is not None)
    catalog = await asyncio.to_thread(load_models, settings)
    if run is None:
        await check_kafka(kafka, rights(kafka))
    async with AsyncExitStack() as stack:
        stack.callback(tracing.close)
        metrics = Metrics()
        if log_stream is not None:
            log_stream.count_drops(metrics.log_lines_dropped.inc)
        services = await _open_services(settings, catalog, metrics, secrets, tracing, stack, run)
        throughput = Throughput(metrics, dead_letters=run is None)
        watch = RightsWatch(kafka, rights)
        line = Line(
            kafka,
            settings.line,
            services=services,
            throughput=throughput,
            rights=watch,
            from_offset=from_offset,
            run=run,
        )
        report = Report(settings.line, line=line, services=services, throughput=throughput)
        metrics.follow(report.stats)
        metrics.feel(report.pulse)
        _show_what_runs(metrics, settings, catalog)
        await stack.enter_async_context(
            ProbeServer(
                settings.serving.host,
                settings.serving.health_port,
                live=report.live,
                ready=partial(_ready, report, services.secrets),
                stats=report.stats,
                registry=metrics.registry,
            )
        )
        stop = asyncio.Event()
        with stopped_by_signals(stop):
            watching = (
                asyncio.create_task(watch_loop(metrics), name="loop.watch"),
                asyncio.create_task(watch.run(), name="rights.watch"),
                asyncio.create_task(
                    _renew(settings, kafka, services, line, watch), name="secrets.watch"
                ),
            )
            try:
                await line.run(stop)
            finally:
                for task in watching:
                    task.cancel()
    catalog.close()
    log.info("consumer.stopped")
    return line.ended


def _show_what_runs(metrics: Metrics, settings: Settings, catalog: Catalog) -> None:
    manifests = [catalog.model(name).manifest for name in catalog.names]
    metrics.show_models((manifest.name, manifest.sha256 or "") for manifest in manifests)
    metrics.show_certificates(certificates.expiries(settings.kafka, settings.s3, settings.callback))


def _ready(report: Report, secrets: Secrets) -> dict[str, Check]:
    """Give the checks of `/readyz`, which anybody may read."""
    return {
        name: Check(ok=check.ok, detail=secrets.hide(check.detail))
        for name, check in report.ready().items()
    }


async def _renew(
    settings: Settings, kafka: KafkaSettings, services: Services, line: Line, rights: RightsWatch
) -> None:
    """Take up secrets whose files change; `kafka` has the group that the line is in."""

    def renew_kafka(renewed: KafkaSettings) -> None:
        line.renew(renewed)
        rights.renew(renewed)

    certificates = (kafka.kafka_ca_file, kafka.kafka_cert_file, kafka.kafka_key_file)
    hide = services.secrets.learn
    await renewal.watch(
        RenewedGroup(settings.s3, services.images.renew, hide=hide),
        RenewedGroup(settings.callback, services.callback.renew, hide=hide),
        RenewedGroup(kafka, renew_kafka, hide=hide, files=certificates, check=connection_options),
    )


def load_models(settings: Settings) -> Catalog:
    """Load, check and warm every installed model; raise `StartError` naming the bad file."""
    try:
        check_providers(settings.models.onnx_providers)
    except ModelError as error:
        raise StartError(str(error), exit_code=2) from error
    try:
        catalog = Catalog.load(
            folder=settings.models.model_folder,
            body_model=settings.models.qwen_model_path,
            providers=settings.models.onnx_providers,
            threads=settings.models.onnx_threads or _threads_each(settings),
        )
        away = catalog.warm()
    except (ModelError, OSError) as error:
        raise StartError(str(error), exit_code=4) from error
    for reason in away:  # no cause to end: its jobs wait for it, as they would later
        log.warning("model.away", reason=reason)
    log.info("models.warmed", models=catalog.names, default=catalog.default)
    return catalog


async def check_kafka(
    kafka: KafkaSettings, rights: Sequence[Right], *, dead_letters: bool = True
) -> None:
    """Log what is worse than it should be; raise `StartError` where the line can't work so.

    That is where a right or a topic is missing, or where a topic can't keep the order. Rights come
    first: a topic that we may not see looks like one that is missing. `dead_letters`: whether
    their topic is used.
    """
    if missing := await check_rights(kafka, rights):
        log.warning("rights.missing", reason=lacking(missing, kafka))
    unused = () if dead_letters else (kafka.dead_letter_topic,)
    differences = await topics.check(kafka, unused=unused)
    fatal = [f"topic {found.topic} {found.detail}" for found in differences if found.fatal]
    if fatal:
        raise StartError(f"{'; '.join(fatal)}. {topics.HOW_TO_MEND}", exit_code=3)
    for found in differences:
        log.warning("topic.differs", topic=found.topic, says=found.detail)


async def _open_services(
    settings: Settings,
    catalog: Catalog,
    metrics: Metrics,
    secrets: Secrets,
    tracing: Tracing,
    stack: AsyncExitStack,
    run: Run | None,
) -> Services:
    holds = Holds(metrics=metrics)
    threads = min(settings.line.max_in_flight, FETCH_THREADS)
    images = Images(settings.s3, max_bytes=settings.images.max_image_bytes, threads=threads)
    inference = Inference(
        workers=settings.line.worker_count,
        deadline_seconds=settings.line.job_deadline_seconds,
        limits=ImageLimits(
            max_bytes=settings.images.max_image_bytes,
            max_pixels=settings.images.max_image_pixels,
            formats=frozenset(settings.images.image_formats),
        ),
    )
    callback = Callback(
        settings.callback, holds=holds, metrics=metrics, replay_id=run.replay_id if run else None
    )
    return Services(
        catalog=catalog,
        images=await stack.enter_async_context(images),
        inference=await stack.enter_async_context(inference),
        callback=await stack.enter_async_context(callback),
        holds=holds,
        max_attempts=settings.line.max_attempts,
        secrets=secrets,
        tracing=tracing,
    )


def _threads_each(settings: Settings) -> int:
    """More workers with a thread each give more photos a second than fewer with more."""
    return max(1, available_cores() // settings.line.worker_count)
