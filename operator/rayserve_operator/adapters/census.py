"""The gauges: what there is, found out from the engine whenever it is asked for."""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from rayserve_operator import __version__
from rayserve_operator.adapters import metrics
from rayserve_operator.adapters.metrics import Definition
from rayserve_operator.engine.operator import Operator
from rayserve_operator.engine.store import ClusterRecord, ServiceRecord
from rayserve_operator.model.conditions import ClusterCondition, Condition, ServiceCondition
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels

_CALLS_FOR_ATTENTION: Final = frozenset(
    {
        (ServiceCondition.STALLED, "True"),
        (ServiceCondition.SERVICE_CONFLICT, "True"),
        (ServiceCondition.SUSPENDING, "True"),
        (ServiceCondition.SUSPENDED, "True"),
        (ServiceCondition.SPEC_VALID, "False"),
        (ServiceCondition.APPLICATIONS_HEALTHY, "False"),
        (ServiceCondition.ROUTE_READY, "False"),
    }
)


class Census(Collector):
    """What there is, found out whenever it is asked for."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    @override
    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        load, store = self._operator.loop.load(), self._operator.store
        yield _one(metrics.BUILD, 1, __version__, platform.python_version())
        yield _one(metrics.PASSES_RUNNING, load.running)
        yield _one(metrics.PASSES_WAITING, load.waiting)
        yield _one(metrics.PASSES_HELD, load.is_held)
        yield _one(metrics.LONGEST_PASS, load.longest.total_seconds())
        objects = metrics.OBJECTS.gauge()
        for kind, count in store.counts():
            objects.add_metric([kind], count)
        yield objects
        services, clusters = list(store.services()), list(store.clusters())
        yield _conditions(services, clusters)
        yield _attention(services)
        yield from _of_services(services)
        yield from _of_clusters(clusters)


def _one(definition: Definition, value: float, *of: str) -> Metric:
    family = definition.gauge()
    family.add_metric(of, value)
    return family


def _conditions(services: list[ServiceRecord], clusters: list[ClusterRecord]) -> Metric:
    tally = Tally(
        (kind, condition.type, condition.status, condition.reason)
        for kind, records in ((Kind.RAY_SERVICE, services), (Kind.RAY_CLUSTER, clusters))
        for record in records
        for condition in record.status.conditions
    )
    family = metrics.CONDITIONS.gauge()
    for found, count in tally.items():
        family.add_metric(found, count)
    return family


def _attention(services: list[ServiceRecord]) -> Metric:
    family = metrics.ATTENTION.gauge()
    for record in services:
        for condition in record.status.conditions:
            if (condition.type, condition.status) in _CALLS_FOR_ATTENTION:
                family.add_metric([record.meta.namespace, record.meta.name, condition.type, condition.reason], 1)
    return family


def _of_services(services: list[ServiceRecord]) -> Iterator[Metric]:
    info, ready, upgrade = metrics.SERVICE_INFO.gauge(), metrics.SERVICE_READY.gauge(), metrics.SERVICE_UPGRADE.gauge()
    for record in services:
        about = _about(record)
        info.add_metric(about, 1)
        ready.add_metric([*about, _holds(record, ServiceCondition.READY)], 1)
        upgrade.add_metric([*about, _holds(record, ServiceCondition.UPGRADE_IN_PROGRESS)], 1)
    yield from (info, ready, upgrade)


def _of_clusters(clusters: list[ClusterRecord]) -> Iterator[Metric]:
    info, provisioned = metrics.CLUSTER_INFO.gauge(), metrics.CLUSTER_PROVISIONED.gauge()
    seconds = metrics.CLUSTER_PROVISIONED_SECONDS.gauge()
    for record in clusters:
        about = _about(record)
        info.add_metric([*about, record.meta.labels.get(labels.FROM_CRD, "None")], 1)
        provisioned.add_metric([*about, _holds(record, ClusterCondition.PROVISIONED)], 1)
        took = _provisioned_after(record)
        if took is not None:
            seconds.add_metric(about, took.total_seconds())
    yield from (info, provisioned, seconds)


def _provisioned_after(record: ClusterRecord) -> timedelta | None:
    """How long the cluster took; None where it is not there yet, or its status was written by a careless hand."""
    condition = _condition(record, ClusterCondition.PROVISIONED)
    if condition is None or condition.status != "True" or record.meta.created is None:
        return None
    try:
        return datetime.fromisoformat(condition.last_transition_time) - record.meta.created
    except (ValueError, TypeError):
        return None


def _about(record: ServiceRecord | ClusterRecord) -> tuple[str, str, str]:
    return record.meta.namespace, record.meta.name, record.meta.uid


def _holds(record: ServiceRecord | ClusterRecord, type_: str) -> str:
    condition = _condition(record, type_)
    return "true" if condition is not None and condition.status == "True" else "false"


def _condition(record: ServiceRecord | ClusterRecord, type_: str) -> Condition | None:
    return next((found for found in record.status.conditions if found.type == type_), None)
