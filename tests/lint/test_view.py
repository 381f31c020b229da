"""What the rules take a pod to have is what `ray start` is told in it."""

from __future__ import annotations

import shlex
from decimal import Decimal
from typing import Any

import pytest

from rayserve_operator.advice.view import view_of
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.resources import parse_custom
from rayserve_operator.render.node import Node
from rayserve_operator.render.options import RenderOptions
from rayserve_operator.render.start_command import start_params
from tests.builders import cluster_config, group

META = Meta.parse({"metadata": {"name": "demo", "namespace": "default"}})
CONTAINER = {"limits": {"cpu": "1500m", "memory": "2Gi"}, "requests": {"nvidia.com/gpu": 2}}


@pytest.mark.parametrize(
    ("resources", "fields"),
    [
        ({}, {}),
        (CONTAINER, {}),
        (CONTAINER, {"rayStartParams": {"num-cpus": "7", "memory": "5000000000"}}),
        (CONTAINER, {"rayStartParams": {"num-gpus": "1", "resources": '"{\\"disk\\": 4}"'}}),
        (CONTAINER, {"rayStartParams": {"num-cpus": "7"}, "resources": {"cpu": "3", "disk": "2"}}),
        ({"limits": {"google.com/tpu": "4"}}, {"rayStartParams": {"resources": "'{\"disk\": 4}'"}}),
    ],
    ids=["nothing", "container", "flags", "custom", "group", "accelerator"],
)
def test_a_pod_has_what_ray_is_told(resources: dict[str, Any], fields: dict[str, Any]) -> None:
    template = {"spec": {"containers": [{"name": "ray", "image": "ray", "resources": resources}]}}
    spec = RayClusterSpec.model_validate(cluster_config(group(template=template, **fields)))
    cluster = RayCluster(META, spec, RayClusterStatus())
    told = start_params(Node(cluster, spec.worker_group_specs[0], RenderOptions()))
    [pod] = [one.pod for one in view_of(spec, "spec", None).workers]
    custom = parse_custom(*shlex.split(told["resources"])) if "resources" in told else {}
    assert pod.cpus == (Decimal(told["num-cpus"]) if "num-cpus" in told else None)
    assert len(pod.gpus) == int(told.get("num-gpus", 0))
    assert pod.memory == (Decimal(told["memory"]) if "memory" in told else None)
    assert pod.others == custom
