"""A small TCP proxy that puts a database far away, and what workers are worth there.

`python -m benchmarks.far_away MILLISECONDS HOST_OR_SOCKET` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from benchmarks.catalogue import Catalogue
from benchmarks.contest import hold_contest
from benchmarks.grounds import ROOT, open_grounds
from benchmarks.measuring import Contestant, Measured, Run, Site, by_restock
from benchmarks.sections import Section, machine
from benchmarks.size import Size
from benchmarks.works import Work, prepare_works

# Enough to keep a fast connection full over a long way.
PIECES_UNDER_WAY = 256
MILLISECONDS = 20
CHUNK_ROWS = 10_000
MUST = 1.7
WORKERS = (1, 4)


@contextmanager
def far_away(url: str, milliseconds: float) -> Iterator[str]:
    """The URL of the same PostgreSQL database, as many milliseconds away there and back."""
    at = sa.make_url(url)
    host = str(at.query.get("host") or at.host)
    target = f"{host}/.s.PGSQL.{at.port or 5432}" if host.startswith("/") else f"{host}:{at.port or 5432}"
    command = [sys.executable, "-m", "benchmarks.far_away", str(milliseconds), target]
    proxy = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout is not None
    assert proxy.stdin is not None
    try:
        port = int(proxy.stdout.readline())
        near = at.set(host="127.0.0.1", port=port, query={})
        yield near.render_as_string(hide_password=False)
    finally:
        proxy.stdin.close()
        proxy.wait()


def measure_latency(site: Site, size: Size) -> Section:
    """The same feed with one worker and with four, a long way from its database."""
    works = prepare_works(Catalogue(size.rows, size.seed), site.folder, ("W1", "W2"))
    contestants = [
        Contestant(
            f"workers: {count}",
            _far(count),
            is_reference=count == WORKERS[0],
        )
        for count in WORKERS
    ]
    with open_grounds(site.folder, ("PostgreSQL",)) as grounds:
        conditions = f"{size.told()}, chunks of {CHUNK_ROWS:,} rows. {machine(grounds[0].version)}"
        contest = hold_contest(contestants, grounds, works, site, size.rounds)
    lines = [["four workers against one", "ratio", "must", ""]]
    for work in works:
        ratio = contest.ratio(("PostgreSQL", work.name, "workers: 4")) or 0
        lines.append([work.name, f"× {ratio:.2f}", f"at least × {MUST}", "reached" if ratio >= MUST else "**missed**"])
    return Section(
        "latency",
        "Workers and a database far away",
        f"PostgreSQL behind a proxy that adds {MILLISECONDS} ms to every way there and back.",
        [*contest.tables(), ("", lines)],
        conditions,
    )


def _far(workers: int) -> Run:
    run = by_restock("parquet", workers=workers, chunk_rows=CHUNK_ROWS)

    def far(url: str, work: Work, site: Site) -> Measured:
        with far_away(url, MILLISECONDS) as away:
            return run(away, work, site)

    return far


async def _serve(milliseconds: float, target: str) -> None:
    delay = milliseconds / 2000  # each way

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if target.startswith("/"):
            there_reader, there_writer = await asyncio.open_unix_connection(target)
        else:
            host, _, port = target.rpartition(":")
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_carry(reader, there_writer, delay), _carry(there_reader, writer, delay))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # whoever is still connected is cut off, without a word about it


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass bytes on, each piece so much later than it came; the way holds many pieces at once."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES_UNDER_WAY)

    async def arrive() -> None:
        piece = b"begin"
        while piece:
            due, piece = await under_way.get()
            await asyncio.sleep(due - loop.time())
            writer.write(piece)
            await writer.drain()
        writer.close()

    arriving = asyncio.create_task(arrive())
    try:
        while piece := await reader.read(65_536):
            await under_way.put((loop.time() + delay, piece))
    except ConnectionError:
        pass  # whoever was cut off is told below, as by any network
    await under_way.put((loop.time() + delay, b""))
    await arriving


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]), sys.argv[2]))
