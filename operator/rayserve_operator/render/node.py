"""A Ray node to be: everything that the parts of its pod are made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rayserve_operator.model.objects import RAY_SERVICE, RayCluster
from rayserve_operator.model.raycluster import HeadGroupSpec
from rayserve_operator.model.resources import ray_container, with_mirrored_limits
from rayserve_operator.render import labels, names, ports
from rayserve_operator.render.options import RenderOptions
from rayserve_operator.render.ports import Group


@dataclass(frozen=True)
class Node:
    """The head of a cluster, or any worker of one of its groups."""

    cluster: RayCluster
    group: Group
    options: RenderOptions

    @property
    def is_head(self) -> bool:
        """Whether this is the head."""
        return isinstance(self.group, HeadGroupSpec)

    @property
    def role(self) -> str:
        """The value of the node-type label."""
        return labels.HEAD if self.is_head else labels.WORKER

    @property
    def group_name(self) -> str:
        """Name of the group, as Ray's autoscaler knows it."""
        return labels.HEAD_GROUP if isinstance(self.group, HeadGroupSpec) else self.group.group_name

    @cached_property
    def container(self) -> Mapping[str, Any]:
        """The Ray container as the user wrote it, except that extended resources have their limits."""
        return with_mirrored_limits(ray_container(self.group.template))

    @property
    def head_address(self) -> str:
        """The name that leads to the head from everywhere."""
        name = names.head_service_name(self.cluster)
        return names.fqdn(name, self.cluster.meta.namespace, self.options.cluster_domain)

    @property
    def gcs_address(self) -> str:
        """Where this node finds the head's control store, `host:port`."""
        host = "127.0.0.1" if self.is_head else self.head_address
        return f"{host}:{ports.gcs_port(self.cluster)}"


def runs_service(cluster: RayCluster) -> bool:
    """Whether the cluster belongs to a RayService (KubeRay's rule)."""
    return cluster.meta.labels.get(labels.FROM_CRD) == RAY_SERVICE
