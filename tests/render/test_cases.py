"""Manifests in, manifests out.

Each file under cases/ holds what a user writes and, below it, all that is rendered from it. To accept a change of
rendering, run with RENDER_ACCEPT=1 and review the difference.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import override

from rayserve_operator.model.objects import RAY_SERVICE, Meta, RayCluster, RayService
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.render import clusters, gateways, pods, rbac, services
from rayserve_operator.render.options import RenderOptions

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


class Dumper(yaml.SafeDumper):
    """Writes no anchors, and what is long as a block."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text or len(text) > 80 else None)


Dumper.add_representer(str, _text)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    given, *expected = yaml.safe_load_all(path.read_text())
    rendered = list(_rendered(given))
    if os.environ.get("RENDER_ACCEPT"):
        comment = path.read_text().partition("\n---")[0]
        documents = yaml.dump_all(
            rendered, Dumper=Dumper, sort_keys=False, width=120, explicit_start=True, default_flow_style=None
        )
        path.write_text(f"{comment}\n{documents}")
        return
    assert rendered == expected


def _rendered(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if given["kind"] == RAY_SERVICE:
        service = RayService(Meta.parse(given), RayServiceSpec.model_validate(given["spec"]), RayServiceStatus())
        serve = parse_serve_config(service.spec.serve_config_v2)
        made = clusters.ray_cluster(
            service, f"{service.meta.name}-bcdfg", service.spec.ray_cluster_config, "revision-1", serve.cluster_part
        )
        cluster = _cluster({**made, "metadata": {**made["metadata"], "uid": "cluster-uid"}})
        yield made
        yield from _of_cluster(cluster)
        yield services.stable_head_service(service, cluster)
        yield services.stable_serve_service(service, cluster)
        yield from _of_gateway(service, cluster)
    else:
        yield from _of_cluster(_cluster(given))


def _of_gateway(service: RayService, cluster: RayCluster) -> Iterator[dict[str, Any]]:
    options = service.spec.route_options
    if options is not None:
        yield services.cluster_serve_service(cluster)
        if options.gateway_class_name:
            yield gateways.gateway(service, options.gateway_class_name)
        yield gateways.http_route(service, options, [(cluster, 100)])


def _of_cluster(cluster: RayCluster) -> Iterator[dict[str, Any]]:
    options = RenderOptions()
    yield pods.head_pod(cluster, options)
    for group in cluster.spec.worker_group_specs:
        yield pods.worker_pod(cluster, group, options)
    yield services.cluster_head_service(cluster)
    if cluster.spec.autoscaling:
        account = rbac.service_account(cluster)
        yield from [account] if account else []
        yield rbac.role(cluster)
        yield rbac.role_binding(cluster)


def _cluster(manifest: dict[str, Any]) -> RayCluster:
    return RayCluster(Meta.parse(manifest), RayClusterSpec.model_validate(manifest["spec"]), RayClusterStatus())
