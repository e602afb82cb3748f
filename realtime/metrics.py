"""What a process counts, in the Prometheus text format."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Reading = tuple[str, str, Callable[[], float]]
"""Name without the prefix, one sentence, and where the value is read when somebody asks."""


class Readings(Collector):
    """Values that live in the objects that own them; a name that ends in `_total` is a counter."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []

    def add(self, readings: Iterable[Reading]) -> None:
        self._readings += readings

    def collect(self) -> Iterator[Metric]:
        for name, sentence, read in self._readings:
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(f"gatecast_{name}", sentence, value=read())


def exposition(readings: Readings) -> bytes:
    """All values now."""
    registry = CollectorRegistry()
    registry.register(readings)
    return generate_latest(registry)
