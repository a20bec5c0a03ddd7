"""Stores of files beside this machine's own, reached through fsspec; what each scheme needs is an extra of its name.

Credentials come from the environment and from where each library keeps them, never from an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from restock.errors import ConfigurationError, RestockError, SourceChanged, SourceError

if TYPE_CHECKING:
    from sources.places.addresses import Address

PART_BYTES = 8 * 2**20
# What the libraries of Google and Azure unpack on the way, although the size they tell is that of the packed bytes.
_UNPACKED_ON_THE_WAY = {"gzip", "x-gzip", "deflate", "br", "zstd"}


@dataclass(frozen=True)
class Version:
    """What a store says about the bytes of a file. With a `tag`, other bytes have another one."""

    size: int | None
    tag: str | None
    modified: str | None = None


@dataclass(frozen=True)
class Reading:
    """A file that is being read: its version, and its bytes in parts, to be taken once."""

    version: Version
    parts: Iterator[bytes]


class Store(Protocol):
    """Where files with addresses are."""

    def reading(self, address: Address) -> Any:
        """A context in which a file can be read: it gives a `Reading`.

        Raises:
            SourceError: the store cannot be reached, or has no such file.
            SourceChanged: the file changed while its parts were taken.
        """


class FileSystem:
    """A store that fsspec knows."""

    def __init__(self, scheme: str, login: Callable[[], dict[str, Any]] = dict) -> None:
        """Make ready; nothing is connected before a file is asked for.

        Args:
            scheme: how fsspec knows it.
            login: gives the options of the connection, where the store's library does not find them itself.

        Raises:
            ConfigurationError: the extra of the scheme is not installed.
        """
        import fsspec

        self._scheme, self._login = scheme, login
        try:
            self._class = fsspec.get_filesystem_class(scheme)
        except ImportError as error:
            raise ConfigurationError(
                f"Sources of {scheme}:// need another package; install the extra restock[{scheme}]."
            ) from error

    def find(self, address: Address) -> list[Address]:
        """The files that a folder or a pattern stands for.

        Raises:
            SourceError: the store cannot be reached, or has no such files.
        """
        with _reaching(address):
            system = self._connected()
            if address.is_folder:
                entries = system.ls(_place(address), detail=True)
            else:
                entries = system.glob(_place(address), detail=True).values()
            found = [entry["name"] for entry in entries if entry["type"] == "file"]
        own = "" if self._scheme == "sftp" else f"{address.host}/"
        paths = [name.lstrip("/").removeprefix(own) for name in found]
        # S3 keeps folders as empty files. Hidden files are left out, as they are on this machine.
        paths = [path for path in paths if (name := path.rpartition("/")[2]) and not name.startswith(".")]
        if not paths:
            raise SourceError(f"No file matches the source {str(address)!r}; put one there, or correct the source.")
        return [address.at(path) for path in sorted(paths)]

    @contextmanager
    def reading(self, address: Address) -> Iterator[Reading]:
        with _reaching(address):
            system = self._connected()
            info = system.info(_place(address))
            _refuse_encoded(info, address)
            version = _version(info)
        yield Reading(version, self._parts(system, address, version))

    def _parts(self, system: Any, address: Address, version: Version) -> Iterator[bytes]:
        with _reaching(address):
            with system.open(_place(address), "rb", block_size=PART_BYTES) as file:
                while part := file.read(PART_BYTES):
                    yield part
            system.invalidate_cache()
            if _version(system.info(_place(address))) != version:
                raise SourceChanged(f"{address} changed while it was read; nothing of it was loaded, so start again.")

    def _connected(self) -> Any:
        return self._class(**self._login(), skip_instance_cache=True)


def _place(address: Address) -> str:
    return f"/{address.path}" if address.scheme == "sftp" else f"{address.host}/{address.path}"


def _version(info: dict[str, Any]) -> Version:
    if info.get("type") == "directory":
        raise IsADirectoryError
    modified = next((info[key] for key in ("LastModified", "mtime", "updated", "last_modified") if info.get(key)), None)
    # Not S3's VersionId: a bucket that has stopped keeping versions calls each of them "null".
    tag = next((info[key] for key in ("generation", "ETag", "etag") if info.get(key)), None)
    return Version(info.get("size"), str(tag) if tag else None, str(modified) if modified else None)


def _refuse_encoded(info: dict[str, Any], address: Address) -> None:
    encoding = info.get("contentEncoding") or (info.get("content_settings") or {}).get("content_encoding")
    if encoding in _UNPACKED_ON_THE_WAY:
        raise SourceError(
            f"{address} is stored with the content encoding {encoding}, and would be unpacked on the way and cut at "
            "its packed size; store it without that, under a name that says how it is packed."
        )


@contextmanager
def _reaching(address: Address) -> Iterator[None]:
    """Turn what goes wrong on the way to a store into a sentence; the texts of libraries may hold secrets."""
    try:
        yield
    except RestockError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"There is no file {address}; put it there, or correct the source.") from error
    except IsADirectoryError as error:
        raise SourceError(f"{address} is a folder; end it with a slash to mean the files in it.") from error
    except PermissionError as error:
        raise SourceError(
            f"{address} may not be read; check the credentials in the environment, and what they allow."
        ) from error
    except Exception as error:  # each library has errors of its own, with no class in common
        if type(error).__name__ == "FileExpired":
            raise SourceChanged(
                f"{address} changed while it was read; nothing of it was loaded, so start again."
            ) from error
        raise SourceError(
            f"{address} cannot be read ({type(error).__name__}); check the address, the network and the credentials in "
            "the environment."
        ) from error
