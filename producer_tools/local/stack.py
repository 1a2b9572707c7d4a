"""Starts and ends Kafka, S3 and the mask-asset service together."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from producer_tools.local.kafka.broker import Kafka
from producer_tools.local.mask_asset.process import BUCKET, MaskAssets
from producer_tools.local.s3.process import S3

UPLOAD_BUCKET = "mask-uploads"
UPLOADS_KEPT_DAYS = 31
"""As long as a dead letter can be redriven, and a day."""


class LocalStack:
    """Kafka, S3 and the mask-asset service, as a context manager: inside, all are ready.

    They start at the same time, and end in reverse order, also on Ctrl-C and if one fails to start.

    Args:
        masks_in_memory: The mask-asset service keeps its latest masks in memory, not in S3.
        folder: The folder for data and logs. It is kept. None: temporary folders.
        console: Where progress is shown. None: stderr.

    Raises:
        LocalStackError: A server can't start. The message states what to do.
    """

    kafka: Kafka
    """The broker."""
    s3: S3
    """The S3 server, with a bucket for uploads and one for masks."""
    mask_assets: MaskAssets
    """The mask-asset service."""

    def __init__(
        self,
        *,
        masks_in_memory: bool = False,
        folder: Path | None = None,
        console: Console | None = None,
    ) -> None:
        self._console = Console(stderr=True) if console is None else console
        self._masks_in_memory = masks_in_memory
        self._folder = folder
        self.kafka = Kafka(console=self._console, folder=folder and folder / "kafka")
        self.s3 = S3(folder=folder and folder / "s3")
        self.mask_assets = MaskAssets(
            s3_endpoint_url=None, folder=folder and folder / "mask-assets"
        )
        self._started = ExitStack()

    def environment(self) -> dict[str, str]:
        """Return the consumer's settings for this stack, as environment variables."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            **self.s3.client_environment(),
            "UPLOAD_BUCKET": UPLOAD_BUCKET,
            **self.mask_assets.client_environment(),
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._started.close()
            raise
        return self

    def _start(self) -> None:
        # Each stop is registered before the start, so that Ctrl-C at any moment stops the server.
        self._started.callback(self.kafka.stop)
        self.kafka.launch()
        self._started.callback(self.s3.stop)
        self.s3.launch()
        if not self._masks_in_memory:
            self.mask_assets.s3_endpoint_url = self.s3.endpoint_url
        self._started.callback(self.mask_assets.stop)
        self.mask_assets.launch()
        self.s3.wait_ready()
        for bucket in (UPLOAD_BUCKET, BUCKET):
            self.s3.create_bucket(bucket)
        self.s3.expire(UPLOAD_BUCKET, days=UPLOADS_KEPT_DAYS)
        self.mask_assets.wait_ready()
        self.kafka.wait_ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._started.close()
