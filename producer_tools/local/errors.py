"""The errors of the local stack. Their messages state what to do.

LocalStackError            the local stack can't start or has failed; nothing is left running
├── PortTakenError         another program listens on the requested port
├── DiedAtStartError       a server ended during its start; the message has the end of its log
├── NotReadyError          a server runs, but wasn't ready in time
├── FetchError             Apache Kafka couldn't be downloaded, and isn't in the cache
└── NoPhotosError          a given photo or folder doesn't exist, or the folder has no photos
"""


class LocalStackError(Exception):
    """The local stack can't start or has failed. The message states what to do."""


class PortTakenError(LocalStackError):
    """Another program listens on the requested port."""

    def __init__(self, server: str, port: int, setting: str) -> None:
        super().__init__(
            f"{server}: port {port} is taken by another program. Stop that program, "
            f"or choose another port with {setting}. Without it, a free port is chosen."
        )


class DiedAtStartError(LocalStackError):
    """A server ended during its start. The message has the end of its log."""

    def __init__(self, server: str, returncode: int, log_tail: str) -> None:
        super().__init__(
            f"{server} ended at once with exit status {returncode}. The end of its log:\n{log_tail}"
        )
        self.returncode = returncode


class NotReadyError(LocalStackError):
    """A server runs, but wasn't ready in time."""

    def __init__(self, server: str, seconds: float, log_tail: str) -> None:
        super().__init__(
            f"{server} did not answer within {seconds:g} s. The end of its log:\n{log_tail}"
        )


class FetchError(LocalStackError):
    """Apache Kafka couldn't be downloaded, and isn't in the cache."""


class NoPhotosError(LocalStackError):
    """A given photo or folder doesn't exist, or the folder has no photos."""
