"""What the operator's own settings say about every rendered object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BatchScheduler = Literal["volcano", "yunikorn", "scheduler-plugins"]
"""The schedulers that can start the pods of a cluster all together or not at all (KubeRay's names for them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """Settings of the operator that show in pods. The defaults are KubeRay's."""

    cluster_domain: str = "cluster.local"
    """DNS domain of the Kubernetes cluster."""
    container_env: tuple[Mapping[str, Any], ...] = ()
    """Environment entries given to every Ray and autoscaler container that does not have them."""
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels given to every Ray pod that does not have them."""
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations given to every Ray pod that does not have them."""
    inject_probes: bool = True
    """Whether Ray containers get the probes that their template leaves out."""
    wait_for_head: bool = True
    """Whether workers get an init container that waits for the head."""
    login_shell: bool = False
    """Whether Ray starts from a login shell, for images that set their PATH there."""
    batch_scheduler: BatchScheduler | None = None
    """The scheduler of all Ray pods whose template names none; None leaves them to the cluster's default."""
    operator_namespace: str | None = None
    """Where the operator itself runs, so that network policies can let it through; None means anywhere."""
