# SPDX-License-Identifier: Apache-2.0
"""Classify a server's response, or its absence, for a download."""

from __future__ import annotations

import datetime
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import FetchError

if TYPE_CHECKING:
    import requests

    from ..catalogue import RemoteFile

#: Answers after which another try may succeed.
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
HTML = "an HTML page came in place of the file"
_BY_HAND = "or bring the file from another machine: 'evitsam fetch NAME --from FILE'"


class TransientError(Exception):
    """Report a failure that may pass; ``retry_after``: seconds that the server asks to wait, or None."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class UnreachableError(TransientError):
    """No server answered: no network, a wrong name, a proxy that is not there."""


class StalePartError(TransientError):
    """The bytes that are there already cannot be continued."""


def check_response(response: requests.Response, offset: int, file: RemoteFile) -> tuple[int, int | None]:
    """Read status and headers.

    Args:
        response: of a request for everything after ``offset`` bytes.
        offset: existing bytes.
        file: expected file.

    Returns:
        The position of the body's first byte, and the size of the complete file; None if not given.

    Raises:
        TransientError: another try may succeed.
        FetchError: it would not.
    """
    status = response.status_code
    if status == 416:
        if (total := _complete_length(response)) == offset and file.fits(offset):
            return offset, total
        raise StalePartError("the part that was kept does not belong to this file; it is discarded")
    if status in _TRANSIENT:
        raise TransientError(f"{status} {response.reason}", _retry_after(response))
    if status not in (200, 206):
        raise FetchError(f"{response.url}: {status} {response.reason}{_remedy(status)}")
    _check_content(response)
    if status == 206:
        return _check_range(response, offset, file)
    total = _length(response)
    _check_size(response, total, file)
    return 0, total


def explain(error: requests.RequestException, url: str) -> Exception:
    """Turn an exception of ``requests`` into one of ours, with a line that names host, cause and remedy."""
    from requests import exceptions

    host = urlsplit(url).netloc
    if isinstance(error, exceptions.SSLError):
        return FetchError(
            f"{host}: its certificate is not trusted ({_cause(error)}); behind a proxy that inspects traffic "
            "set REQUESTS_CA_BUNDLE to its certificate"
        )
    if isinstance(error, exceptions.TooManyRedirects):
        return FetchError(f"{url}: redirected too often")
    if isinstance(error, exceptions.InvalidProxyURL):
        return FetchError(f"the proxy's address is not a URL ({error}); correct HTTPS_PROXY or HTTP_PROXY")
    if isinstance(error, exceptions.ProxyError):
        return UnreachableError(
            f"the proxy of HTTPS_PROXY or HTTP_PROXY cannot be reached or rejects the connection "
            f"({_cause(error)}); check it, {_BY_HAND}"
        )
    # Of a body, requests wraps urllib3's exception into a ConnectionError.
    if isinstance(error, exceptions.ReadTimeout) or "ReadTimeoutError" in map(_type, error.args):
        return TransientError("no bytes came for too long")
    if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
        return TransientError("the connection was cut off")
    if isinstance(error, exceptions.ConnectionError | exceptions.Timeout):
        return UnreachableError(
            f"{host} cannot be reached ({_cause(error)}); check the network and the proxy (HTTPS_PROXY), "
            f"{_BY_HAND}"
        )
    return FetchError(f"{url}: {_cause(error)}")


def _check_content(response: requests.Response) -> None:
    """Reject a page in place of a file, and a file that was sent unencrypted although requested by https."""
    if "text/html" in response.headers.get("Content-Type", "").lower():
        # An overloaded Hugging Face, a proxy or the login page of a network.
        raise TransientError(HTML)
    if response.history and response.history[0].url.startswith("https:") and response.url.startswith("http:"):
        raise FetchError(f"{response.history[0].url} redirects to {response.url}, which is not encrypted")


def _check_range(response: requests.Response, offset: int, file: RemoteFile) -> tuple[int, int | None]:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not found or int(found[1]) != offset:
        raise StalePartError(
            f"asked for the bytes from {offset} on, the server sent {response.headers.get('Content-Range')!r}"
        )
    total = int(found[2]) if found[2] != "*" else None
    _check_size(response, total, file)
    return offset, total


def _check_size(response: requests.Response, total: int | None, file: RemoteFile) -> None:
    if total is not None and not file.fits(total):
        raise FetchError(
            f"{response.url} has {total} bytes; expected {'' if file.exact else 'about '}{file.size} "
            f"({file.file_name})"
        )


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(length) if length.isdigit() and not encoded else None


def _complete_length(response: requests.Response) -> int | None:
    found = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip())
    return int(found[1]) if found else None


def _retry_after(response: requests.Response) -> float | None:
    """Read the header ``Retry-After``, seconds or a date; None where it is absent or meaningless."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    now = datetime.datetime.now(datetime.timezone.utc)
    return max(0.0, (moment - now).total_seconds()) if moment.tzinfo else None


def _remedy(status: int) -> str:
    if status in (404, 410):
        return f"; the file is not there: check --mirror or HF_ENDPOINT, {_BY_HAND}"
    if status == 407:
        return "; the proxy wants a name and a password: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT"
    return f"; check --mirror, HF_ENDPOINT and the proxy, {_BY_HAND}"


def _type(value: object) -> str:
    return type(value).__name__


def _cause(error: BaseException) -> str:
    """Return the innermost reason in a few words."""
    seen: list[BaseException] = []
    current: object = error
    while isinstance(current, BaseException) and current not in seen:
        seen.append(current)
        nested = [argument for argument in current.args if isinstance(argument, BaseException)]
        current = getattr(current, "reason", None) or (nested[0] if nested else current.__cause__)
    inner = next((each for each in reversed(seen) if isinstance(each, OSError) and each.strerror), seen[-1])
    text = getattr(inner, "strerror", None) or str(inner)
    return re.sub(r"^.*?object at 0x[0-9a-f]+>?[:,)]*\s*", "", " ".join(text.split())).strip("'() ") or text
