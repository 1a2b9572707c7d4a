"""What the calls of the gateway share."""

import time
from dataclasses import dataclass

from consumer.kafka.rights_watch import RightsWatch
from consumer.settings import KafkaSettings
from producer_tools.client.appending import Appender
from producer_tools.client.uploads import Uploads
from producer_tools.gateway.events import Hub
from producer_tools.gateway.group import Group
from producer_tools.gateway.halts import Halts
from producer_tools.gateway.keeper import Keeper
from producer_tools.gateway.models import Models
from producer_tools.gateway.settings import Settings
from producer_tools.gateway.spool import Spool
from producer_tools.gateway.storage import Storage
from producer_tools.gateway.submissions import Submissions


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All that a call may need."""

    settings: Settings
    models: Models
    keeper: Keeper
    spool: Spool
    storage: Storage
    uploads: Uploads
    submissions: Submissions
    appender: Appender
    hub: Hub
    group: Group
    halts: Halts
    rights: RightsWatch
    began_at: float

    @property
    def uptime_seconds(self) -> int:
        """How long the gateway runs."""
        return int(time.monotonic() - self.began_at)

    def renew(self, kafka: KafkaSettings) -> None:
        """Reach Kafka by these settings from now on."""
        self.keeper.renew(kafka)
        self.appender.renew(kafka)
        self.hub.renew(kafka)
        self.group.renew(kafka)
        self.halts.renew(kafka)
        self.rights.renew(kafka)

    def check_services(self) -> None:
        """Return if a photo could be queued now, as far as is known.

        Raises:
            Refused: 503 or 507, it couldn't.
        """
        self.keeper.check()
        self.storage.check()
