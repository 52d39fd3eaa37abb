"""The address of a spool: what may stand in it, and how it is shown to people.

/srv/orgbridge/spool
s3://bucket/folder?endpoint=https://minio.example:9000&region=eu-central-1
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from core.errors import ConfigError

#: ending of a page's file or object
PAGE = ".page"
_S3_OPTIONS = frozenset({"endpoint", "region"})


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket, the folder in it (may be empty), and where the store answers."""

    bucket: str
    folder: str
    #: ``http://host:port`` of a store that is not Amazon's; None: Amazon's
    endpoint: str | None
    region: str | None

    @property
    def root(self) -> str:
        """``bucket/folder``."""
        return f"{self.bucket}/{self.folder}".rstrip("/")


def shown(url: str) -> str:
    """The address without options, and without a password that somebody put in all the same."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def s3_place(url: str) -> S3Place:
    """The parts of an ``s3://`` address.

    Raises:
        ConfigError: no bucket, an option we do not know, an endpoint that is no web address.
    """
    parts = urlsplit(url)
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(set(given) - _S3_OPTIONS)
    endpoint = given.get("endpoint")
    is_web = endpoint is None or urlsplit(endpoint).scheme in ("http", "https")
    if not parts.netloc or unknown or not is_web:
        raise ConfigError(
            f"ORGBRIDGE_SPOOL_URL is {shown(url)} with options that are not understood.",
            next_step="Write s3://BUCKET/FOLDER?endpoint=https://HOST:PORT&region=REGION; both"
            " options may be left out at Amazon.",
        )
    return S3Place(parts.netloc, parts.path.strip("/"), endpoint, given.get("region"))
