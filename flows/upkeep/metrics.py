"""The ledgers as Prometheus metrics: for a scrape, for a Pushgateway, or to look at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from urllib.error import URLError

from prometheus_client import CollectorRegistry, generate_latest, push_to_gateway, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.runs.databases import visit_databases
from flows.runs.workplace import Workplace
from restock.errors import ConfigurationError, RestockError
from sinks.ledger.measures import CHUNK_SECONDS, FeedMeasures, read_measures


class Ledgers(Collector):
    """Reads the ledgers of feeds.yaml anew each time it is asked."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def describe(self) -> list[Metric]:
        """Nothing, so that being registered does not already ask the databases."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        visits, unreached = visit_databases(self._place)
        up = GaugeMetricFamily("restock_up", "Whether the feed's database answers.", labels=["feed"])
        found: list[FeedMeasures] = []
        for visit in visits:
            try:
                measures, answers = read_measures(visit.history), 1
            except RestockError:  # the metric itself says so; the other ledgers are still told of
                measures, answers = {}, 0
            for feed in visit.sinks:
                up.add_metric([feed], answers)
                found += [measures[feed]] if feed in measures else []
        for missed in unreached:
            up.add_metric([missed.feed], 0)
        yield up
        yield from _counts(found)
        yield from _times(found)


def _counts(found: list[FeedMeasures]) -> Iterator[Metric]:
    rows = CounterMetricFamily("restock_rows", "Rows by what became of them.", labels=["feed", "outcome"])
    waiting = GaugeMetricFamily("restock_outstanding_chunks", "Chunks still to be loaded.", labels=["feed"])
    failed = GaugeMetricFamily("restock_failed_chunks", "Chunks that failed and wait for a person.", labels=["feed"])
    status = GaugeMetricFamily("restock_last_run_status", "1 for the newest run's status.", labels=["feed", "status"])
    for each in found:
        for outcome, number in each.rows.items():
            rows.add_metric([each.feed, outcome], number)
        waiting.add_metric([each.feed], each.chunks_outstanding)
        failed.add_metric([each.feed], each.chunks_failed)
        status.add_metric([each.feed, each.last_status], 1)
    yield from (rows, waiting, failed, status)


def _times(found: list[FeedMeasures]) -> Iterator[Metric]:
    lag = GaugeMetricFamily("restock_lag_seconds", "Seconds since the last completed run ended.", labels=["feed"])
    told = "Seconds from the beginning of a chunk to its commit."
    seconds = HistogramMetricFamily("restock_chunk_seconds", told, labels=["feed"])
    for each in found:
        if each.last_good is not None:
            lag.add_metric([each.feed], max(0.0, each.now - each.last_good))
        limits = [str(limit) for limit in CHUNK_SECONDS]
        buckets = [*zip(limits, each.chunks_within, strict=True), ("+Inf", each.chunks_loaded)]
        seconds.add_metric([each.feed], buckets=buckets, sum_value=each.chunk_seconds)
    yield from (lag, seconds)


def metrics_text(place: Workplace) -> str:
    """The metrics of this moment in Prometheus' text format."""
    return generate_latest(_registry(place)).decode()


def serve_metrics(place: Workplace, host: str, port: int) -> None:
    """Answer Prometheus at `/metrics` until the process is ended.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        start_http_server(port, addr=host, registry=_registry(place))
    except OSError as error:
        raise ConfigurationError(f"Port {port} cannot be used ({error.strerror}); choose another one.") from error
    threading.Event().wait()


def push_metrics(place: Workplace, gateway: str) -> None:
    """Send the metrics of this moment to a Pushgateway.

    Raises:
        RestockError: it does not answer.
    """
    try:
        push_to_gateway(gateway, job="restock", registry=_registry(place))
    except (URLError, OSError, ValueError) as error:
        told = f"The Pushgateway did not take the metrics ({type(error).__name__}); check the address after --push."
        raise RestockError(told) from error


def _registry(place: Workplace) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Ledgers(place))
    return registry
