"""What jobs share on their way."""

from dataclasses import dataclass

from consumer.callback import Callback
from consumer.hold import Holds
from consumer.images import Images
from consumer.inference import Inference
from segmentation.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Opened and closed by the app; one of each for all jobs."""

    catalog: Catalog
    images: Images
    inference: Inference
    callback: Callback
    holds: Holds
    max_attempts: int
