"""The operator as its users have it: from its image, by its chart."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from localcluster import images
from localcluster.proc import process_start_time
from scenarios.harness import ray
from scenarios.harness.kube import Kube, Manifest, kubectl, tool
from scenarios.harness.manifests import CHART
from scenarios.harness.session import local_cluster
from scenarios.harness.waiting import OFTEN, until

LANE = os.environ.get("LANE")
"""Where several runs of the scenarios share a cluster: the one namespace that is this run's."""
NAMESPACE = f"rayserve-system-{LANE}" if LANE else "rayserve-system"
RELEASE = "rayserve"
CONTAINER = "operator"
PORT = 8080
"""Where it answers probes, and tells its metrics."""
USER_AGENT = "rayserve-operator/"

CRDS = ("rayclusters.ray.io", "rayservices.ray.io")
"""What the chart defines."""

_SELECTOR = f"app.kubernetes.io/instance={RELEASE}"


@dataclass(frozen=True)
class OperatorRelease:
    """The installed operator."""

    kube: Kube

    def install(
        self, *further: str, chart: Path = CHART, image: images.Image | None = None
    ) -> None:
        """Install or upgrade by helm, and wait until all replicas are ready.

        `further` are more values, as `name=value`. In a lane the operator looks after that
        namespace alone, and leaves the CRDs to who made the lanes.
        """
        image = image or images.operator_image()
        repository, tag = image.name.rsplit(":", 1)
        values = {
            "image.repository": repository,
            "image.tag": tag,
            "logFormat": "text",
            "logLevel": "DEBUG",
            # The tag stays as the content changes: a new image must still mean a new pod.
            "podAnnotations.image-key": image.key,
        }
        settings = [f"--set-string={key}={value}" for key, value in values.items()]
        # What the operator itself makes of bad input is to be seen here.
        settings.append("--set=webhook.enabled=false")
        if LANE:
            settings += [f"--set=watchNamespaces={{{LANE}}}", "--set=crds.install=false"]
        settings += [f"--set={value}" for value in further]
        _helm("upgrade", "--install", RELEASE, str(chart), *settings, "--create-namespace")

    def roll_back(self) -> None:
        """Go back to the release before the last one, and wait until it is ready."""
        _helm("rollback", RELEASE)

    def uninstall(self) -> None:
        """Remove the release, and wait until it is gone."""
        _helm("uninstall", RELEASE)

    @property
    def leader(self) -> str:
        """The pod of the replica that acts, which its Lease names."""
        [lease] = self.kube.list("leases", NAMESPACE)
        holder: str = lease["spec"]["holderIdentity"]
        return holder

    @property
    def pod(self) -> Manifest:
        """The operator's pod."""
        [pod] = [pod for pod in self._pods if "deletionTimestamp" not in pod["metadata"]]
        return pod

    @property
    def restarts(self) -> int:
        """How often the kubelet has started the operator again."""
        [status] = self.pod["status"]["containerStatuses"]
        count: int = status["restartCount"]
        return count

    @property
    def process(self) -> int:
        """The operator's process, by the id that it has for us."""
        return self.process_in(self.pod["metadata"]["name"])

    @staticmethod
    def process_in(pod: str) -> int:
        """The process of one replica, by the id that it has for us."""
        cluster = local_cluster()
        if cluster is None:
            raise NotImplementedError("only a local cluster lets us reach a container's process")
        return cluster.container_pid(NAMESPACE, pod, CONTAINER)

    def kill(self, process: int | None = None) -> None:
        """Kill the operator's process at once, as the kernel does when memory is short.

        To look for it takes a moment, which can be had before by passing it.
        """
        os.kill(process or self.process, signal.SIGKILL)

    def wait_restarted(self, restarts: int) -> None:
        """Wait until it has been started again, and is ready."""
        until(lambda: self.restarts > restarts, "the kubelet starts the operator again", 60)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the operator's pod is ready."""
        until(lambda: is_ready(self.pod), "the operator is ready", 60)

    def restart(self) -> None:
        """Replace the pod, as an upgrade does."""
        self._kubectl("rollout", "restart", "deployment")
        self._kubectl("rollout", "status", "deployment", "--timeout=90s")

    def scale(self, replicas: int) -> None:
        """Stop the operator (0) or start it (1), and wait until it is so."""
        self._kubectl("scale", "deployment", f"--replicas={replicas}")
        if replicas:
            until(lambda: len(self._pods) == 1, "the operator's pod is there", 30)
            self.wait_ready()
        else:
            until(lambda: not self._pods, "the operator's pod is gone", 60)

    def start_up(self) -> float:
        """Stop and start it; the age of its process, in seconds, when it said that it is ready."""
        self.scale(0)
        self._kubectl("scale", "deployment", "--replicas=1")
        address = until(lambda: self._pods[0]["status"]["podIP"], "its pod has an address", 60)
        url = f"http://{address}:{PORT}/readyz"
        until(lambda: ray.answer(url, timeout=1), "it says that it is ready", 60, every=OFTEN)
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.wait_ready()
        started = process_start_time(self.process)
        assert started is not None, "it has ended again"
        return now - started / os.sysconf("SC_CLK_TCK")

    def run(self, *command: str) -> str:
        """What a command says that is run in its container."""
        name = self.pod["metadata"]["name"]
        arguments = (name, f"--namespace={NAMESPACE}", f"--container={CONTAINER}", "--", *command)
        return kubectl("exec", *arguments)

    def logs(self, lines: int = 200) -> str:
        """The last lines of its log."""
        return self._kubectl("logs", f"--tail={lines}")

    @property
    def _pods(self) -> list[Manifest]:
        return self.kube.list("pods", NAMESPACE, _SELECTOR)

    @staticmethod
    def _kubectl(*arguments: str) -> str:
        return kubectl(*arguments, f"--namespace={NAMESPACE}", f"--selector={_SELECTOR}")


def _helm(*arguments: str) -> None:
    tool("helm", *arguments, "--namespace", NAMESPACE, "--wait", "--timeout", "3m")


def is_ready(pod: Manifest) -> bool:
    """Whether a pod is Ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
