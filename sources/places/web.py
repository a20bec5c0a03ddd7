"""Files behind web addresses, by the standard library alone: no redirect is followed, and no byte may be missing."""

from __future__ import annotations

import base64
import http.client
import netrc
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from restock.errors import SourceError
from sources.places.stores import PART_BYTES, Reading, Version

if TYPE_CHECKING:
    from sources.places.addresses import Address

TIMEOUT_SECONDS = 60


class Web:
    """A store of files that are fetched by GET. A name and password for a host may stand in the user's .netrc."""

    @contextmanager
    def reading(self, address: Address) -> Iterator[Reading]:
        """A file, from one answer of its server.

        Raises:
            SourceError: the server cannot be reached, sends us elsewhere or has no such file, or breaks off.
        """
        request = urllib.request.Request(address.url, headers=_headers(address.host.partition(":")[0]))
        try:
            response = _opener().open(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            error.close()
            raise SourceError(_meaning(address, error.code)) from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(
                f"{address} cannot be reached ({_kind(error)}); check the address and the network."
            ) from error
        with response:
            yield Reading(_version(response, address), _parts(response, address))


def _opener() -> urllib.request.OpenerDirector:
    """Knows http and https, through the proxies of the environment, and nothing else: no redirect, no file."""
    opener = urllib.request.OpenerDirector()
    for part in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(part)
    return opener


def _headers(host: str) -> dict[str, str]:
    headers = {"User-Agent": "restock", "Accept-Encoding": "identity"}
    try:
        known = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        known = None
    if known is not None:
        login, _, password = known
        headers["Authorization"] = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()
    return headers


def _version(response: http.client.HTTPResponse, address: Address) -> Version:
    tag = response.headers.get("ETag")
    if tag is not None and tag.startswith("W/"):
        tag = None  # a weak tag stays the same where bytes may differ
    if response.length is None and not response.chunked:
        raise SourceError(
            f"The server of {address} does not say how long the file is, so a part of it could pass for the whole; "
            "have it served with its length."
        )
    return Version(response.length, tag, response.headers.get("Last-Modified"))


def _parts(response: http.client.HTTPResponse, address: Address) -> Iterator[bytes]:
    try:
        while part := response.read(PART_BYTES):
            yield part
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{address} broke off ({_kind(error)}); nothing of it was loaded, so start again.") from error


def _meaning(address: Address, status: int) -> str:
    if status in (404, 410):
        return f"There is no file {address} (status {status}); correct the source."
    if status in (401, 403):
        return f"{address} may not be read (status {status}); check the credentials, or have the address signed again."
    if 300 <= status < 400:
        return f"{address} leads to another address (status {status}), which is not followed; give the final one."
    return f"{address} cannot be read: its server answers with status {status}; try again later."


def _kind(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return type(reason if isinstance(reason, Exception) else error).__name__
