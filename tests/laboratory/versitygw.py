"""An S3 server that checks signatures and keeps its objects on disk: the real versitygw."""

import os
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from producer_tools.local import ports
from producer_tools.local.s3.process import ACCESS_KEY, REGION, S3, SECRET_KEY
from tests.laboratory.go_programs import GoProgram

PROGRAM = GoProgram("versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0")


class VersityGw(S3):
    """An S3 server that a wrong secret doesn't fool, and whose objects outlive it."""

    def __init__(self, *, folder: Path | None = None, console: Console) -> None:
        super().__init__(folder=folder)
        self._console = console
        self._program = Path()

    def launch(self) -> None:
        """Build it if this machine hasn't it yet, and start it without waiting for it."""
        self._program = PROGRAM.fetch(self._console)
        super().launch()

    def command(self, *, first: bool) -> tuple[str, ...]:
        """Give the server's command, having laid out its folder when that is new."""
        objects, facts = self.folder / "objects", self.folder / "facts"
        if first:
            objects.mkdir(exist_ok=True)
            facts.mkdir(exist_ok=True)
        return (
            *(str(self._program), "--port", f"{ports.HOST}:{self.port}", "--region", REGION),
            *("--keep-alive", "--quiet", "posix"),
            *("--sidecar", str(facts)),  # not every file system has extended attributes
            str(objects),
        )

    def environment(self) -> dict[str, str]:
        """Our environment, with the one user that it knows."""
        user = {"ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        return {**os.environ, **user}

    def create_bucket(self, name: str) -> None:
        """Make a bucket; one that exists already stays as it is."""
        client = self.client()
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)

    def expire(self, bucket: str, *, days: int) -> None:
        """Do nothing: it removes no objects by itself."""

    def down(self) -> None:
        """End it; the objects stay for `up`."""
        self.kill()

    def up(self) -> None:
        """Start it again after `down`."""
        self.restart()
