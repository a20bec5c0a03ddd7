"""Real servers of stores, on this machine: S3 (moto), Google (an emulator) and Azure (Azurite).

Azurite is a program of Node.js: `npm install -g azurite` brings it; without it the Azure tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from flows.orchestration.prefect_server import free_port

# What every Azurite knows; it is no secret.
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Cloud(Protocol):
    """An empty bucket, or container, with the name `shop`, whose credentials are in the environment."""

    scheme: str

    def put(self, key: str, body: bytes, encoding: str | None = None) -> None: ...


class S3:
    """A bucket of moto's."""

    scheme = "s3"

    def __init__(self, server: str) -> None:
        import boto3

        self.bucket = boto3.resource("s3", endpoint_url=server).Bucket("shop")
        self.bucket.create()

    def put(self, key: str, body: bytes, encoding: str | None = None) -> None:
        self.bucket.put_object(Key=key, Body=body, **({"ContentEncoding": encoding} if encoding else {}))

    def close(self) -> None:
        self.bucket.object_versions.all().delete()
        self.bucket.meta.client.close()


class Google:
    """A bucket of the emulator's."""

    scheme = "gs"

    def __init__(self, server: str) -> None:
        self._server = server
        self._ask("storage/v1/b", json.dumps({"name": "shop"}).encode())

    def put(self, key: str, body: bytes, encoding: str | None = None) -> None:
        about = json.dumps({"name": key, **({"contentEncoding": encoding} if encoding else {})}).encode()
        parts = (b"application/json\r\n\r\n" + about, b"text/csv\r\n\r\n" + body)
        content = b"".join(b"--part\r\nContent-Type: " + part + b"\r\n" for part in parts) + b"--part--\r\n"
        self._ask("upload/storage/v1/b/shop/o?uploadType=multipart", content, 'multipart/related; boundary="part"')

    def close(self) -> None:
        self._ask("wipe")

    def _ask(self, what: str, body: bytes | None = None, kind: str = "application/json") -> None:
        request = urllib.request.Request(f"{self._server}/{what}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


class Azure:
    """A container of Azurite's."""

    scheme = "az"

    def __init__(self, server: str) -> None:
        from azure.storage.blob import ContainerClient

        self.server = server
        self._container = ContainerClient.from_connection_string(azure_login(server), "shop")
        self._container.create_container()

    def put(self, key: str, body: bytes, encoding: str | None = None) -> None:
        from azure.storage.blob import ContentSettings

        self._container.upload_blob(
            key, body, overwrite=True, content_settings=ContentSettings(content_encoding=encoding)
        )

    def close(self) -> None:
        self._container.delete_container()
        self._container.close()


def azure_login(server: str, key: str = _AZURITE_KEY) -> str:
    """The connection string of an Azurite."""
    place = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;BlobEndpoint={server}/devstoreaccount1;"
    return f"{place}AccountKey={key};"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def gs_server() -> Iterator[str]:
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    with pytest.MonkeyPatch.context() as environment:
        # Else gcsfs asks Google itself, from its import on, what kind a bucket is of.
        environment.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        pytest.importorskip("gcsfs")
        port = free_port()
        with emulator.create_server("127.0.0.1", port, in_memory=True):
            yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def az_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("adlfs")
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed: `npm install -g azurite` runs the tests of az://.")
    port, folder = free_port(), tmp_path_factory.mktemp("azurite")
    # Libraries speak newer versions of the protocol than Azurite has heard of.
    options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    process = subprocess.Popen([program, "--blobPort", str(port), *options], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(params=["s3", "gs", "az"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    """A bucket of each store; what its library needs is in the environment."""
    scheme = request.param
    made: Any = {"s3": S3, "gs": Google, "az": Azure}[scheme]
    server = request.getfixturevalue(f"{scheme}_server")
    needs = {
        "s3": {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "4711", "AWS_DEFAULT_REGION": "us-east-1"},
        "gs": {"STORAGE_EMULATOR_HOST": server},
        "az": {"AZURE_STORAGE_CONNECTION_STRING": azure_login(server)},
    }[scheme]
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    if scheme == "s3":
        needs |= {"AWS_ENDPOINT_URL": server, "AWS_CONFIG_FILE": str(tmp_path / "none")}
    for name, value in needs.items():
        monkeypatch.setenv(name, value)
    cloud = made(server)
    yield cloud
    cloud.close()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing listens at port {port}")
