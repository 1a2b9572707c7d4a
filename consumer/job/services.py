"""What jobs share on their way."""

from dataclasses import dataclass

from consumer.job.callback import Callback
from consumer.job.holds import Holds
from consumer.job.inference import Inference
from consumer.s3.fetch import Images
from consumer.telemetry.secrets import Secrets
from consumer.telemetry.tracing import Tracing
from segmentation.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Opened and closed by the app; one of each for all jobs."""

    catalog: Catalog
    images: Images
    inference: Inference
    callback: Callback
    holds: Holds
    max_attempts: int
    secrets: Secrets
    tracing: Tracing
