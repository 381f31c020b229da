"""Builders: the smallest RayCluster there is, with whatever a test is about."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.render import pods
from rayserve_operator.render.options import RenderOptions

MakeCluster = Callable[..., RayCluster]
MakePod = Callable[..., dict[str, Any]]

DEFAULTS = RenderOptions()


def _template(container: Mapping[str, Any], pod: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": dict(metadata), "spec": {"containers": [{"name": "ray", "image": "ray:2", **container}], **pod}}


@pytest.fixture
def make_cluster() -> MakeCluster:
    """A cluster of a head and one worker group `g`, both made from the same parts."""

    def make(
        *,
        container: Mapping[str, Any] | None = None,
        pod: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        group: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> RayCluster:
        shared = {"template": _template(container or {}, pod or {}, metadata or {}), **(group or {})}
        meta = {"name": "rc", "namespace": "ns", "uid": "u-1", "labels": labels, "annotations": annotations}
        body = {"headGroupSpec": shared, "workerGroupSpecs": [{"groupName": "g", **shared}], **spec}
        return RayCluster(Meta.parse({"metadata": meta}), RayClusterSpec.model_validate(body), RayClusterStatus())

    return make


@pytest.fixture
def make_head(make_cluster: MakeCluster) -> MakePod:
    """The head pod of such a cluster."""

    def make(options: RenderOptions = DEFAULTS, **parts: Any) -> dict[str, Any]:
        return pods.head_pod(make_cluster(**parts), options)

    return make


@pytest.fixture
def make_worker(make_cluster: MakeCluster) -> MakePod:
    """A worker pod of such a cluster."""

    def make(options: RenderOptions = DEFAULTS, **parts: Any) -> dict[str, Any]:
        cluster = make_cluster(**parts)
        return pods.worker_pod(cluster, cluster.spec.worker_group_specs[0], options)

    return make
