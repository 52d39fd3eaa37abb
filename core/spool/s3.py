"""Pages on an S3-compatible store, through Arrow's client.

A page is one object. Small ones are one PUT; from 10 MB on the client uploads parts, which nobody
sees before the last request completes them: a worker that dies in between leaves no page. S3 shows
what was written to every later read and list, of all workers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from core.errors import ConfigError, OrgbridgeError
from core.spool.places import PAGE, S3Place, s3_place, shown
from core.spool.store import away, no_page

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

CONNECT_TIMEOUT_S = 5.0
#: requests of one call that a passing fault may cost
ATTEMPTS = 3
_CODE = re.compile(r"AWS Error ([A-Z0-9_]+)")
_PASSING = re.compile(
    r"NETWORK_CONNECTION|SLOW_DOWN|INTERNAL_FAILURE|SERVICE_UNAVAILABLE|REQUEST_TIMEOUT"
    r"|THROTTLING|HTTP status 5\d\d|curlCode"
)
_REFUSED = frozenset(
    {
        "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_SIGNATURE",
        "MISSING_AUTHENTICATION_TOKEN", "INVALID_CLIENT_TOKEN_ID", "UNRECOGNIZED_CLIENT",
        "EXPIRED_TOKEN", "REQUEST_EXPIRED", "REQUEST_TIME_TOO_SKEWED",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class S3Store:
    """One object per page below a bucket's folder."""

    url: str

    def write(self, path: str, parts: tuple[bytes, ...]) -> None:
        """Puts one object; an existing one is replaced as a whole."""
        whole = b"".join(parts)
        try:
            # one write of everything: whatever ends it, no shorter page can be completed
            sink = _client(self._place).open_output_stream(self._key(path), compression=None)
            sink.write(whole)
            sink.close()
        except OSError as refused:
            raise self._said(refused) from None

    def read(self, path: str) -> bytes:
        """All bytes of one page."""
        try:
            with _client(self._place).open_input_file(self._key(path)) as source:
                return bytes(source.read())
        except FileNotFoundError:
            self._check_bucket()
            raise no_page(path) from None
        except OSError as refused:
            raise self._said(refused) from None

    def leaves(self, folder: str) -> list[str]:
        """Page names of one folder, sorted."""
        names = (key.rsplit("/", 1)[-1] for key in self._listed(folder))
        return sorted(name.removesuffix(PAGE) for name in names if name.endswith(PAGE))

    def holds(self, folder: str) -> bool:
        """Whether anything lies below a prefix."""
        return bool(self._listed(folder))

    def delete_tree(self, folder: str) -> None:
        """Removes everything below a prefix, a thousand objects a request."""
        try:
            _client(self._place).delete_dir(self._key(folder))
        except FileNotFoundError:
            self._check_bucket()
        except OSError as refused:
            raise self._said(refused) from None

    @property
    def _place(self) -> S3Place:
        return s3_place(self.url)

    def _key(self, path: str) -> str:
        return f"{self._place.root}/{path}"

    def _listed(self, folder: str) -> list[str]:
        from pyarrow.fs import FileSelector

        try:
            wanted = FileSelector(self._key(folder), allow_not_found=True)
            found = [str(each.path) for each in _client(self._place).get_file_info(wanted)]
        except OSError as refused:
            raise self._said(refused) from None
        if not found:  # the client says the same of a bucket that is not there
            self._check_bucket()
        return found

    def _check_bucket(self) -> None:
        from pyarrow.fs import FileType

        try:
            found = _client(self._place).get_file_info(self._place.bucket)
        except OSError as refused:
            raise self._said(refused) from None
        if found.type is FileType.NotFound:
            raise self._no_bucket()

    def _said(self, refused: OSError) -> OrgbridgeError:
        """Our sentence for what the store answered; of its own words only the code is kept."""
        told = str(refused)
        found = _CODE.search(told)
        code = found[1] if found else ""
        if _PASSING.search(told):
            return away(shown(self.url), code)
        if code == "NO_SUCH_BUCKET":
            return self._no_bucket()
        if code in _REFUSED:
            return ConfigError(
                f"The store of {shown(self.url)} does not let this worker in ({code}).",
                state="What was committed before is safe; the run can be resumed.",
                next_step="Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the machine's"
                " role): the spool needs GetObject, PutObject, DeleteObject, ListBucket and"
                " AbortMultipartUpload.",
                code=code,
            )
        return ConfigError(
            f"The store of {shown(self.url)} refused a page ({code or 'no code was given'}).",
            state="What was committed before is safe; the run can be resumed.",
            next_step="Look at the store, then resume the run.",
            code=code,
        )

    def _no_bucket(self) -> ConfigError:
        return ConfigError(
            f"There is no bucket {self._place.bucket} for the spool.",
            state="What was committed before is safe; the run can be resumed.",
            next_step="Make the bucket or correct ORGBRIDGE_SPOOL_URL, then resume the run.",
            code="NO_SUCH_BUCKET",
        )


@cache
def _client(place: S3Place) -> S3FileSystem:
    """One client per process and store; threads share its connections."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    return S3FileSystem(
        endpoint_override=place.endpoint,
        region=place.region or ("us-east-1" if place.endpoint else None),
        connect_timeout=CONNECT_TIMEOUT_S,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        allow_delayed_open=True,  # a small page is one request
        background_writes=False,
    )
