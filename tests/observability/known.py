"""Every series that a query may name, with its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector

from rayserve_operator.adapters.metrics import DEFINITIONS

from . import ray

OF_SCRAPES = frozenset({"job", "instance", "namespace", "pod", "ray_io_cluster", "ray_io_node_type", "ray_io_group"})
"""Labels that Prometheus gives to what it scrapes by the chart's monitors."""


def _of_histogram(name: str, labels: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    yield f"{name}_bucket", labels | {"le"}
    yield f"{name}_sum", labels
    yield f"{name}_count", labels


def _series() -> Iterator[tuple[str, frozenset[str]]]:
    for definition in DEFINITIONS:
        if definition.type == "histogram":
            yield from _of_histogram(definition.name, frozenset(definition.labels))
        else:
            yield definition.name, frozenset(definition.labels)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for family in registry.collect():
        yield from ((sample.name, frozenset()) for sample in family.samples)
    yield from ray.COUNTERS.items()
    yield from ray.GAUGES.items()
    for name, labels in ray.HISTOGRAMS.items():
        yield from _of_histogram(name, labels)


SERIES: Mapping[str, frozenset[str]] = dict(_series())
