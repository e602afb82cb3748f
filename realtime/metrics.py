"""What a process counts, in the Prometheus text format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Value = (
    float | Mapping[str, float] | Mapping[tuple[str, str], float] | Mapping[tuple[str, ...], float]
)
"""One number, or one for each label, or for each tuple of labels."""


class Reading(Struct, frozen=True):
    """Name without the prefix, one sentence, and where the value is read when somebody asks."""

    name: str
    sentence: str
    read: Callable[[], Value]
    labels: tuple[str, ...] = ()


class Source(Protocol):
    """Values that have to be fetched before they can be read."""

    async def refresh(self) -> None:
        """Fetch them, or note that they cannot be had; raises nothing and takes bounded time."""
        ...


class Readings(Collector):
    """Values that live in the objects that own them; a name that ends in `_total` is a counter.

    `registry` belongs to the process: what measures by itself registers there.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        self._readings: list[Reading] = []
        self._sources: list[Source] = []

    def add(self, readings: Sequence[Reading]) -> None:
        """Also tell these."""
        self._readings += readings

    def ask(self, source: Source) -> None:
        """Have it refreshed before each answer."""
        self._sources.append(source)

    async def refresh(self) -> None:
        """Fetch what has to be fetched."""
        for source in self._sources:
            await source.refresh()

    def collect(self) -> Iterator[Metric]:
        for reading in self._readings:
            counts = reading.name.endswith("_total")
            family = CounterMetricFamily if counts else GaugeMetricFamily
            metric = family(f"gatecast_{reading.name}", reading.sentence, labels=reading.labels)
            value = reading.read()
            if isinstance(value, Mapping):
                for labels, each in sorted(value.items()):
                    metric.add_metric([labels] if isinstance(labels, str) else labels, each)
            else:
                metric.add_metric([], value)
            yield metric


def exposition(readings: Readings) -> bytes:
    """All values now."""
    return generate_latest(readings.registry)
