"""Addresses of stores, such as s3://bucket/feeds/today.csv: taken apart, and refused unless below an allowed one.

Nothing is opened here. An address that could mean another place to another reader is refused: whoever checks it and
whoever opens it must not differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from restock.errors import ConfigurationError

if TYPE_CHECKING:
    from restock.settings import Settings

WEB = ("https", "http")
SCHEMES = ("s3", "gs", "az", "sftp", *WEB)
LONGEST = 4096

# Anything that begins like an address, or that a library could take for one, is no path of this machine.
_LIKE_AN_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:|.*::|//|\\\\", re.DOTALL)
_PARTS = re.compile(r"([a-z0-9]+)://([^/?#]+)(?:/([^?#]*))?(?:\?([!-~]*))?")
_PLACE = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_HOST = re.compile(rf"{_PLACE}(?::[0-9]{{1,5}})?")
_HOST_WITH_USER = re.compile(rf"(?:[A-Za-z0-9._-]+@)?{_PLACE}(?::[0-9]{{1,5}})?")
_MAGIC = re.compile(r"[*?\[\]]")
# Characters that take a path apart, for us or for somebody who reads it after decoding or normalising it.
_STRUCTURE = set("/\\.:?#%@*[]|")


@dataclass(frozen=True)
class Address:
    """One file, folder or pattern in a store. `path` has no slash at its start; `query` may hold a secret."""

    scheme: str
    host: str
    path: str
    query: str = field(default="", repr=False)

    def __str__(self) -> str:
        """How people see it: without its query."""
        return f"{self.scheme}://{self.host}/{self.path}"

    @property
    def url(self) -> str:
        """What a store is asked for; never shown."""
        return f"{self}?{self.query}" if self.query else str(self)

    @property
    def is_web(self) -> bool:
        return self.scheme in WEB

    @property
    def is_folder(self) -> bool:
        return not self.is_web and (self.path == "" or self.path.endswith("/"))

    @property
    def is_pattern(self) -> bool:
        return not self.is_web and _MAGIC.search(self.path) is not None

    def at(self, path: str) -> Address:
        """Another path in the same store."""
        return replace(self, path=path, query="")

    def is_below(self, root: Address) -> bool:
        """Whether it is that address, or inside the folder that it names."""
        if (self.scheme, self.host) != (root.scheme, root.host):
            return False
        folder = root.path.rstrip("/")
        return folder == "" or self.path == root.path or self.path.startswith(f"{folder}/")


def is_address(text: str) -> bool:
    """Whether a source is to be read as an address, and not as a path of this machine."""
    return _LIKE_AN_ADDRESS.match(text) is not None


def allowed_address(text: str, settings: Settings) -> Address:
    """The address in a text, if sources may come from there.

    Raises:
        ConfigurationError: it is none, could mean another place, or is not below an allowed one.
    """
    address = parse_address(text)
    refuse_outside([address], settings)
    return address


def refuse_outside(addresses: Iterable[Address], settings: Settings) -> None:
    """Refuse addresses that are not below an allowed one.

    Raises:
        ConfigurationError: one is not.
    """
    roots = [parse_address(root) for root in settings.source_addresses]
    for address in addresses:
        if not any(address.is_below(root) for root in roots):
            raise ConfigurationError(
                f"The source {str(address)!r} is below no address that sources may come from; name the address of its "
                "folder in RESTOCK_SOURCE_ROOTS."
            )


def parse_address(text: str) -> Address:
    """Take an address apart.

    Raises:
        ConfigurationError: it is none, names no store that restock knows, or could mean another place.
    """
    found = _PARTS.fullmatch(text) if len(text) <= LONGEST else None
    if found is None or found[1] not in SCHEMES:
        raise ConfigurationError(
            f"The source {_shown(text)!r} is neither a plain path nor an address as s3://bucket/feed.csv is; restock "
            f"reads from {', '.join(SCHEMES)}."
        )
    address = Address(found[1], found[2], found[3] or "", found[4] or "")
    fault = _host_fault(address) or _path_fault(address)
    if fault is not None:
        raise ConfigurationError(f"The source {_shown(text)!r} is refused: {fault}.")
    return address


def _host_fault(address: Address) -> str | None:
    if ":" in address.host.rpartition("@")[0]:
        return "an address may hold no password; give it to the store's own library, through the environment"
    pattern = _HOST_WITH_USER if address.scheme == "sftp" else _HOST
    if pattern.fullmatch(address.host) is None or ".." in address.host:
        return "its host or bucket must be plain: small letters, digits, points and hyphens"
    return None


def _path_fault(address: Address) -> str | None:
    if address.query and not address.is_web:
        return "only web addresses have a query; write a question mark in a pattern as *"
    plain = unquote(address.path, errors="strict") if address.is_web and address.path.isascii() else address.path
    if address.is_web and (not address.path.isascii() or "%" in plain or plain.count("/") != address.path.count("/")):
        return "a web address must be plain ASCII, with no sign encoded that takes a path apart"
    if not plain.isprintable() or any(sign.isspace() and sign != " " for sign in plain):
        return "its path holds characters that are not seen"
    if any(sign in plain for sign in ("\\", "|", "::", "%")):
        return "its path holds a backslash, a bar, a per cent sign or two colons"
    if any(_STRUCTURE & set(unicodedata.normalize("NFKC", sign)) for sign in plain if not sign.isascii()):
        return "its path holds a character that looks like a sign that takes a path apart"
    steps = plain.split("/")
    if any(step in (".", "..") for step in steps) or "" in steps[:-1]:
        return "its path holds an empty step, '.' or '..'; write it out without them"
    return None


def _shown(text: str) -> str:
    """A refused text without what could be a secret."""
    without_query = re.split(r"[?#]", text, maxsplit=1)[0]
    return re.sub(r"//[^/]*@", "//…@", without_query)[:200]
