"""The files of one cluster's state folder."""

from dataclasses import dataclass
from pathlib import Path

from localcluster.cache import clusters_dir


@dataclass(frozen=True)
class Layout:
    """Names every file that a cluster has, so that no other module spells a path."""

    root: Path

    @classmethod
    def of(cls, name: str) -> "Layout":
        """Return the layout of the cluster with this name."""
        return cls(clusters_dir() / name)

    @property
    def kubeconfig(self) -> Path:
        """Credentials of the cluster's admin; its address is reachable inside the box only."""
        return self.root / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """One JSON line for each request that the API server has completed."""
        return self.root / "audit.log"

    @property
    def state(self) -> Path:
        """What ``status`` tells, written by the keeper alone."""
        return self.root / "state.json"

    @property
    def spec(self) -> Path:
        """The specification, read by the supervisor."""
        return self.root / "spec.json"

    @property
    def logs(self) -> Path:
        """One log for each component; kept after ``down``."""
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """The components' configuration files."""
        return self.root / "config"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def containerd(self) -> Path:
        """The node's images and containers, on disk because overlayfs needs a real filesystem."""
        return self.root / "containerd"

    @property
    def kubelet(self) -> Path:
        """The kubelet's folder with the pods' volumes."""
        return self.root / "kubelet"

    @property
    def var_log(self) -> Path:
        """What /var/log is inside the box: the containers' logs, in pods/."""
        return self.logs / "node"

    def component_log(self, component: str) -> Path:
        """Return the log of one component."""
        return self.logs / f"{component}.log"
