"""What a cluster is asked to be, and the addresses that every cluster has."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

DEFAULT_NAME = "local"

# Each box has a network namespace without any link to the host, so all may use the same ranges.
NODE_NAME = "node"
NODE_ADDRESS = "172.31.0.2"
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVER_PORT = 6443
CLUSTER_DOMAIN = "cluster.local"

DEFAULT_GPUS = 4
GPU_RESOURCE = "nvidia.com/gpu"


@dataclass(frozen=True)
class ClusterSpec:
    """What ``up`` starts.

    ``images`` are oci-archives for the node; ``up`` moves the large ones into ``store``, where they
    are unpacked already. ``control_plane_only`` leaves out the node, its network and DNS;
    ``controllers`` says whether kube-controller-manager runs. With ``kwok`` a control plane has
    a scheduler, and kwok in the place of every kubelet: nodes are made by creating them, and pods
    run on them at once and in name only. ``dns`` gives it CoreDNS, as a node has it.
    """

    name: str = DEFAULT_NAME
    control_plane_only: bool = False
    controllers: bool = True
    kwok: bool = False
    dns: bool = False
    gpus: int = DEFAULT_GPUS
    images: tuple[Path, ...] = ()
    store: Path | None = None

    @property
    def has_node(self) -> bool:
        """Whether there is a kubelet, and so pods that run."""
        return not self.control_plane_only

    @property
    def has_scheduler(self) -> bool:
        """Whether pods are given a node."""
        return self.has_node or self.kwok

    @property
    def has_dns(self) -> bool:
        """Whether the names of Services resolve."""
        return self.has_node or self.dns

    @property
    def extra_programs(self) -> tuple[str, ...]:
        """The groups of programs that it needs beyond those that every cluster has."""
        return ("kwok",) if self.kwok else ()

    def to_json(self) -> str:
        """Return the specification as JSON, for the process inside the box."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the specification that ``to_json`` has written."""
        fields: dict[str, Any] = json.loads(text)
        fields["images"] = tuple(Path(path) for path in fields["images"])
        fields["store"] = Path(fields["store"]) if fields["store"] else None
        return cls(**fields)
