"""Rendering changes nothing that it is given, and always says the same, whatever a user wrote."""

# ruff: noqa: S108 (what stands inside containers)

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.render import clusters, labels, pods, rbac, services
from rayserve_operator.render.options import RenderOptions


def parts(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


texts = st.sampled_from(["a", "b", "metrics", "serve", "serve-x", "shared-mem", "true", "false", "8", "$X"])
quantities = st.sampled_from(["1", "500m", "2Gi", 3])
amounts = st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu", "google.com/tpu", "x.io/y"]), quantities)
noted = st.none() | st.dictionaries(st.sampled_from(["a", labels.APP_NAME, labels.CLUSTER, labels.SERVE]), texts)
ports = st.lists(
    parts(name=texts, protocol=st.sampled_from(["TCP", "UDP"])).flatmap(
        lambda port: st.integers(1, 9).map(lambda number: {**port, "containerPort": number})
    ),
    max_size=3,
)
variables = st.lists(st.builds(lambda name, value: {"name": name, "value": value}, texts, texts), max_size=3)
mounts = st.lists(
    st.sampled_from([{"name": "m", "mountPath": path} for path in ("/dev/shm", "/tmp/ray", "/data/gcs", "/x")]),
    max_size=2,
)
containers = st.builds(
    lambda some: {"name": "ray", "image": "ray:2", **some},
    parts(
        resources=parts(requests=st.none() | amounts, limits=st.none() | amounts),
        ports=st.none() | ports,
        env=st.none() | variables,
        command=st.lists(texts, max_size=2),
        volumeMounts=st.none() | mounts,
        readinessProbe=st.just({"exec": {"command": ["true"]}}),
    ),
)
templates = st.builds(
    lambda metadata, some, first, others: {
        "metadata": metadata,
        "spec": {**some, "containers": [first, *others]},
    },
    st.none() | parts(labels=noted, annotations=noted),
    parts(
        volumes=st.none() | st.just([{"name": "shared-mem", "emptyDir": {}}]),
        initContainers=st.lists(containers, max_size=1),
        serviceAccountName=texts,
        terminationGracePeriodSeconds=st.integers(0, 900),
    ),
    containers,
    st.lists(containers, max_size=1),
)
groups = {
    "rayStartParams": st.dictionaries(st.sampled_from(["port", "num-cpus", "resources", "block", "x"]), texts),
    "labels": st.dictionaries(texts, texts, max_size=1),
    "resources": st.dictionaries(st.sampled_from(["cpu", "memory", "x"]), st.just("1")),
}
cluster_specs = st.builds(
    lambda head, worker, some, template: {
        "headGroupSpec": {"template": template, **head},
        "workerGroupSpecs": [{"groupName": "g", "template": template, **worker}],
        **some,
    },
    parts(**groups, serviceType=st.sampled_from(["", "ClusterIP", "NodePort"])),
    parts(**groups),
    parts(
        autoscalerOptions=parts(version=st.sampled_from(["v1", "v2"]), env=variables),
        gcsFaultToleranceOptions=parts(backend=st.sampled_from(["redis", "rocksdb"])),
        authOptions=parts(mode=st.sampled_from(["token", "disabled"])),
    ),
    templates,
)


def render(service: RayService) -> Iterator[dict[str, Any]]:
    options = RenderOptions()
    made = clusters.ray_cluster(service, "rs-abcde", service.spec.ray_cluster_config, "rev", {})
    yield made
    meta = Meta.parse({"metadata": {**made["metadata"], "uid": "c-1"}})
    cluster = RayCluster(meta, RayClusterSpec.model_validate(made["spec"]), RayClusterStatus())
    yield pods.head_pod(cluster, options)
    yield pods.worker_pod(cluster, cluster.spec.worker_group_specs[0], options)
    yield services.cluster_head_service(cluster)
    yield services.stable_head_service(service, cluster)
    yield services.stable_serve_service(service, cluster)
    yield rbac.role(cluster)


@given(config=cluster_specs, own=noted)
def test_render(config: dict[str, Any], own: dict[str, str] | None) -> None:
    given_config = copy.deepcopy(config)
    metadata = {"name": "rs", "namespace": "ns", "uid": "s-1", "labels": own, "annotations": own}
    spec = RayServiceSpec.model_validate({"rayClusterConfig": config})
    service = RayService(Meta.parse({"metadata": metadata}), spec, RayServiceStatus())
    before = service.spec.model_dump_json()
    rendered = list(render(service))
    assert config == given_config
    assert service.spec.model_dump_json() == before
    assert rendered == list(render(service))
    for pod in rendered[1:3]:
        check_pod(pod)
    for made in rendered[3:6]:
        check_service(made)


def check_pod(pod: dict[str, Any]) -> None:
    """What the API server would refuse, unless the user wrote it so."""
    container = pod["spec"]["containers"][0]
    resources = container.get("resources") or {}
    for name in resources.get("requests") or {}:
        assert "/" not in name or name in resources["limits"]
    added = {"shared-mem", "ray-logs", "gcs-storage"}
    volumes = {volume["name"] for volume in pod["spec"].get("volumes") or ()}
    assert {mount["name"] for mount in container.get("volumeMounts") or ()} & added <= volumes
    assert pod["metadata"]["labels"][labels.CLUSTER] == "rs-abcde"


def check_service(service: dict[str, Any]) -> None:
    ports_of_service = service["spec"]["ports"]
    assert ports_of_service
    assert len({port["name"] for port in ports_of_service}) == len(ports_of_service)
    assert len({(port["port"], port["protocol"]) for port in ports_of_service}) == len(ports_of_service)
