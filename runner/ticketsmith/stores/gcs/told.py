"""What goes wrong with Google's services, in one sentence; and whether it may pass.

Errors of the library carry addresses of upload sessions, which are as good as keys: nothing of their text is repeated,
and they are left out of tracebacks.
"""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from ticketsmith.experiment.problems import BadSpec, Unavailable

_NETWORK = (
    ConnectionError,
    TimeoutError,
    http.client.HTTPException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    auth.TransportError,
)
_FAILURES = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    InvalidResponse,
    DataCorruption,
    *_NETWORK,
)
"""Everything the library is known to raise."""
_NO_CREDENTIALS = (
    "no Google credentials are found or they are not accepted; use Workload Identity, or set "
    "GOOGLE_APPLICATION_CREDENTIALS to a mounted key file"
)
_REMEDY = {
    400: "the request is refused as malformed; check the bucket's name and prefix",
    401: _NO_CREDENTIALS,
    403: "permission is denied; grant the service account roles/storage.objectUser on the bucket",
    404: "there is no such bucket; create it or correct the store's address",
}


@contextmanager
def told(doing: str, address: str) -> Iterator[None]:
    """Turn a failure inside into Unavailable or BadSpec: `cannot <doing> <address>: what is wrong; what helps`."""
    try:
        yield
    except _FAILURES as error:
        cause = _cause(error)
        kind = Unavailable if may_pass(cause) or isinstance(cause, DataCorruption) else BadSpec
        raise kind(f"cannot {doing} {address}: {_why(cause)}") from None


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    code = _code(error)
    if code is not None:
        return code in (408, 429) or code >= 500
    if isinstance(error, auth.RefreshError):
        return bool(error.retryable)
    return isinstance(error, _NETWORK)


def _why(error: Exception) -> str:
    code = _code(error)
    if code is not None and may_pass(error):
        return f"Cloud Storage answers {code} ({_phrase(code)}) again and again; try again later"
    if isinstance(error, DataCorruption):
        return "what arrives is not what was sent; try again"
    if isinstance(error, _NETWORK):
        return "Cloud Storage cannot be reached; check the network and try again"
    if isinstance(error, auth.GoogleAuthError):
        return _NO_CREDENTIALS
    return _REMEDY.get(code or 0, f"Cloud Storage refuses it ({code or type(error).__name__})")


def _cause(error: Exception) -> Exception:
    """What made the library give up retrying, where it did."""
    return error.cause or error if isinstance(error, api.RetryError) else error


def _code(error: Exception) -> int | None:
    """HTTP status of an answer; None where none came."""
    if isinstance(error, api.GoogleAPICallError):
        return int(error.code) if error.code is not None else None
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return None


def _phrase(code: int) -> str:
    return http.client.responses.get(code, "unknown")
