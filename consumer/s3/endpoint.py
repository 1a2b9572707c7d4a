"""The endpoint: where all requests for photos go, and nowhere else."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlsplit

import botocore.session

from consumer.settings import S3Settings
from schemas.job import ImageReference

_HOST_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Location:
    """Where one object is: a server, and what to ask it for."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The `Host` header: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL, as it is signed."""
        return f"{self.scheme}://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An S3. No bucket's name leads to another host, as some do in AWS's own clients."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    """The path before the bucket."""
    bucket_in_host: bool = False
    """Amazon's own wants buckets in the host's name, where they fit."""

    @classmethod
    def of(cls, settings: S3Settings) -> Self:
        """Read `S3_ENDPOINT_URL`; without it, look up Amazon's endpoint of the region."""
        if settings.s3_endpoint_url is None:
            return cls("https", _amazons_host(settings.s3_region), 443, bucket_in_host=True)
        parts = urlsplit(settings.s3_endpoint_url)
        port = parts.port or _PORTS[parts.scheme]
        return cls(parts.scheme, parts.hostname or "", port, parts.path.rstrip("/"))

    def locate(self, reference: ImageReference) -> Location:
        """Say where the object is. Its key is sent byte for byte, with `.` and `..` in it."""
        host, path = self.host, f"{self.prefix}/{reference.bucket}"
        if self.bucket_in_host and _HOST_LABEL.fullmatch(reference.bucket):
            host, path = f"{reference.bucket}.{self.host}", self.prefix
        target = f"{path}/{quote(reference.key)}"
        if reference.version_id is not None:
            target += f"?versionId={quote(reference.version_id, safe='')}"
        return Location(self.scheme, host, self.port, target)


def _amazons_host(region: str) -> str:
    """Give the host of a region; China's and the governments' have domains of their own."""
    partitions = botocore.session.Session().get_data("partitions")["partitions"]
    found = next((each for each in partitions if re.match(each["regionRegex"], region)), None)
    domain = found["outputs"]["dnsSuffix"] if found else "amazonaws.com"
    return f"s3.{region}.{domain}"
