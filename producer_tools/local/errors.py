"""What can go wrong with the local stack, said so that a person can mend it.

LocalStackError            a part of the local stack can't be had; nothing is left running
├── PortTakenError         another program listens on the port that was asked for
├── DiedAtStartError       a part ended before it answered; the end of its log is in the message
├── NotReadyError          a part runs, but didn't answer in time
├── FetchError             Apache Kafka couldn't be fetched, and isn't in the cache yet
└── NoPhotosError          a photo or folder that was named isn't there, or has no photos in it
"""


class LocalStackError(Exception):
    """A part of the local stack can't be had; the message says what to do."""


class PortTakenError(LocalStackError):
    """Another program listens on the port that was asked for."""

    def __init__(self, part: str, port: int, setting: str) -> None:
        super().__init__(
            f"{part}: port {port} is taken by another program. Stop that program, "
            f"or choose another port with {setting} (none given: a free one is chosen)."
        )


class DiedAtStartError(LocalStackError):
    """A part ended before it answered; the end of its log is in the message."""

    def __init__(self, part: str, returncode: int, log_tail: str) -> None:
        super().__init__(
            f"{part} ended at once with exit status {returncode}. The end of its log:\n{log_tail}"
        )
        self.returncode = returncode


class NotReadyError(LocalStackError):
    """A part runs, but didn't answer in time."""

    def __init__(self, part: str, seconds: float, log_tail: str) -> None:
        super().__init__(
            f"{part} did not answer within {seconds:g} s. The end of its log:\n{log_tail}"
        )


class FetchError(LocalStackError):
    """Apache Kafka couldn't be fetched, and isn't in the cache yet."""


class NoPhotosError(LocalStackError):
    """A photo or folder that was named isn't there, or has no photos in it."""
