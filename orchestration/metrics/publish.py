"""The metrics of the jobs in the format of Prometheus: as text, as a file that is replaced whole, as a push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest, push_to_gateway, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from models.contracts.metrics import MetricKind
from orchestration.configuration.metrics import MetricsTarget, MetricsWay
from orchestration.metrics.reading import Reading

_PUSHED_AS = "ballast"
_TIMEOUT_S = 10


class PublishError(RuntimeError):
    """The metrics could not be left where they should; the message names the place."""


class _Readings(Collector):
    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        for reading in self._readings:
            kind = CounterMetricFamily if reading.metric.kind is MetricKind.COUNTER else GaugeMetricFamily
            made = kind(reading.metric.name, reading.metric.about, labels=reading.metric.labels)
            for labels, value in reading.rows:
                made.add_metric(labels, value)
            yield made


def as_text(readings: Sequence[Reading]) -> str:
    """What Prometheus reads."""
    return generate_latest(_registry(readings)).decode()


def publish(readings: Sequence[Reading], target: MetricsTarget, market: str) -> None:
    """Replace what was there. `market`: several markets push to one gateway side by side. Raises PublishError."""
    try:
        if target.way is MetricsWay.TEXTFILE:
            write_to_textfile(target.where, _registry(readings))
        else:
            group = {"market": market}
            push_to_gateway(target.where, _PUSHED_AS, _registry(readings), group, timeout=_TIMEOUT_S)
    except OSError as error:  # a connection that fails is one, too
        raise PublishError(f"{target}: {error}") from error


def _registry(readings: Sequence[Reading]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Readings(readings))
    return registry
