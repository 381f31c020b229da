"""Which pods are tried: the head, and one worker of each group, as the operator would make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

from rayserve_operator.advice.structure import Manifest, below
from rayserve_operator.advice.subject import Subject
from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus, WorkerGroupSpec
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.scale import hosts
from rayserve_operator.model.serve_parsing import serve_config_of
from rayserve_operator.render import autoscaler, clusters, names, pods
from rayserve_operator.render.options import RenderOptions

MOST = 50
"""Pods that are tried of one manifest, since each is a request; further groups show when their pods are made."""
NO_UID = "00000000-0000-0000-0000-000000000000"
"""The uid of a cluster that is not there yet."""

Location: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead to a value."""


@dataclass(frozen=True, slots=True)
class Source:
    """A part of the user's manifest that a pod, or a part of it, is made from."""

    path: str
    value: Any
    prefix: Location = ()
    """Which part of the pod."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A pod that is only tried."""

    manifest: Manifest
    sources: tuple[Source, ...]
    """Its template, then what else the user says of it."""

    @property
    def path(self) -> str:
        """Where its template stands."""
        return self.sources[0].path


def of_subject(subject: Subject, options: RenderOptions) -> tuple[Draft, ...]:
    """The pods of a RayService or a RayCluster as it was written; none where its spec cannot be read."""
    meta, spec = _meta(below(subject.manifest, "metadata")), subject.spec
    if isinstance(spec, RayClusterSpec):
        return of_cluster(RayCluster(meta, spec, RayClusterStatus()), "spec", options)
    if spec is None:
        return ()
    return of_service(RayService(meta, spec, RayServiceStatus()), _serve_options(spec), options)


def of_service(service: RayService, serve_options: Mapping[str, Any], options: RenderOptions) -> tuple[Draft, ...]:
    """The pods of the next cluster of a RayService.

    Args:
        service: with the spec that the cluster is made for.
        serve_options: the options of Serve itself, in Ray's spelling.
        options: the operator's settings that show in pods.
    """
    # The name stands for no content, so that pods which an edit leaves alone are the same before and after it.
    name = names.ray_cluster_name(service.meta.name, service.meta.uid, "", 0)
    manifest = clusters.ray_cluster(service, name, service.spec.ray_cluster_config, "", serve_options)
    spec = RayClusterSpec.model_validate(manifest["spec"])
    return of_cluster(RayCluster(Meta.parse(manifest), spec, RayClusterStatus()), "spec.rayClusterConfig", options)


def of_cluster(cluster: RayCluster, path: str, options: RenderOptions) -> tuple[Draft, ...]:
    """The pods of a RayCluster, whose spec stands at the path."""
    known = cluster if cluster.meta.uid else replace(cluster, meta=replace(cluster.meta, uid=NO_UID))
    return tuple(islice(_drafts(known, path, options), MOST))


def _meta(metadata: Manifest) -> Meta:
    """What counts of metadata as it was written, whatever that is."""
    known = {key: str(metadata.get(key) or "") for key in ("name", "uid")}
    noted = {key: below(metadata, key) for key in ("labels", "annotations")}
    return Meta.parse({"metadata": {**known, **noted, "namespace": str(metadata.get("namespace") or "default")}})


def _serve_options(spec: RayServiceSpec) -> Mapping[str, Any]:
    """The options of Serve itself; what is wrong with its config is for others to say."""
    try:
        return serve_config_of(spec).cluster_part
    except InvalidSpec:
        return {}


def _drafts(cluster: RayCluster, path: str, options: RenderOptions) -> Iterator[Draft]:
    head, name = cluster.spec.head_group_spec, cluster.meta.name
    at = f"{path}.headGroupSpec"
    made = _made(lambda: pods.head_pod(cluster, options), head.template, cluster, names.head_pod_prefix(name))
    labelled = Source(f"{at}.labels", head.labels, ("metadata", "labels"))
    yield Draft(made, (Source(f"{at}.template", head.template), labelled, *_of_autoscaler(made, cluster, path)))
    for index, group in enumerate(cluster.spec.worker_group_specs):
        yield _worker(cluster, group, f"{path}.workerGroupSpecs[{index}]", options)


def _worker(cluster: RayCluster, group: WorkerGroupSpec, at: str, options: RenderOptions) -> Draft:
    prefix = names.worker_pod_prefix(cluster.meta.name, group.group_name)
    made = _made(
        lambda: pods.worker_pod(cluster, group, options, _place(cluster, group)), group.template, cluster, prefix
    )
    labelled = Source(f"{at}.labels", group.labels, ("metadata", "labels"))
    return Draft(made, (Source(f"{at}.template", group.template), labelled))


def _place(cluster: RayCluster, group: WorkerGroupSpec) -> pods.Host:
    if hosts(group) == 1:
        return pods.Host(0)
    return pods.Host(0, names.replica_name(group.group_name, cluster.meta.uid, 0, ""))


def _made(render: Callable[[], Manifest], template: Manifest, cluster: RayCluster, prefix: str) -> Manifest:
    """The pod; where a template has such a form that none can be made, the template as one.

    Then it is the API server that says where that form is wrong.
    """
    try:
        pod = render()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
    named = {"namespace": cluster.meta.namespace, "generateName": prefix}
    return {**pod, "metadata": {**below(pod, "metadata"), **named}, **_spec(pod, template)}


def _spec(pod: Manifest, template: Manifest) -> dict[str, Any]:
    """The spec without an account of the operator's making: it is not there yet, and a pod that names it not let in."""
    spec = pod.get("spec")
    if not isinstance(spec, Mapping) or below(template, "spec").get("serviceAccountName"):
        return {}
    return {"spec": {key: value for key, value in spec.items() if key != "serviceAccountName"}}


def _of_autoscaler(pod: Manifest, cluster: RayCluster, path: str) -> Iterator[Source]:
    """What the user says of the container beside the head, under the names that a container has."""
    said = cluster.spec.autoscaler_options
    containers = below(pod, "spec").get("containers")
    if said is None or not isinstance(containers, list):
        return
    for index, container in enumerate(containers):
        if isinstance(container, Mapping) and container.get("name") == autoscaler.CONTAINER:
            yield Source(f"{path}.autoscalerOptions", said.manifest(), ("spec", "containers", index))
