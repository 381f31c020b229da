"""The chart's objects as the API server sees them, and the CRDs of those who are to read them."""

import subprocess
from collections.abc import Iterator, Mapping

import pytest
import yaml

from localcluster.versions import KUBERNETES
from scenarios.harness import kube as kubernetes
from scenarios.harness import kuberay, manifests, published
from scenarios.harness.kube import Kube, KubectlError, kubectl, tool
from scenarios.harness.manifests import CHART
from scenarios.harness.namespaces import fresh_namespace

ELSEWHERE = "default"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "as it is": (),
    "three replicas": ("replicas=3", "podLabels.team=serving", "priorityClassName=high"),
    "one replica without a Lease": ("leaderElection=false",),
    "namespaced": (f"watchNamespaces={{{ELSEWHERE}}}",),
    "namespaced without any right in the whole cluster": (
        f"watchNamespaces={{{ELSEWHERE}}}",
        "rbac.clusterReads=false",
        "rbac.aggregate=false",
        "webhook.enabled=false",
        "crds.install=false",
    ),
    "no rights to Secrets": ("rbac.secrets=false",),
    "what others bring": (
        "rbac.create=false",
        "serviceAccount.create=false",
        "serviceAccount.name=default",
        "crds.install=false",
        "metrics.service.create=false",
        "podDisruptionBudget.create=false",
    ),
    "a shard beside KubeRay": ("shard=a", "manage=marked", "nameOverride=operator"),
    "watched": (
        "metrics.serviceMonitor.enabled=true",
        "metrics.rayPodMonitor.enabled=true",
        "metrics.rules.enabled=true",
        "metrics.rules.runbooks=https://example.com/",
        "metrics.dashboards.enabled=true",
    ),
    "certificates of cert-manager": (
        "webhook.certManager.enabled=true",
        "webhook.failurePolicy=Fail",
    ),
    "certificates of one's own issuer": (
        "webhook.certManager.enabled=true",
        "webhook.certManager.issuerRef.name=ours",
        "webhook.certManager.issuerRef.kind=ClusterIssuer",
    ),
    "restricted": (
        "networkPolicy.create=true",
        "networkPolicy.apiServerPorts={6443}",
        "networkPolicy.from[0].namespaceSelector.matchLabels.team=observers",
    ),
    "a gang scheduler and another domain": (
        "batchScheduler=volcano",
        "clusterDomain=example.local",
        "defaultContainerEnv[0].name=HTTP_PROXY",
        "defaultContainerEnv[0].value=http://proxy:3128",
        "env[0].name=TZ",
        "env[0].value=UTC",
        "nodeSelector.pool=system",
        "tolerations[0].key=system",
        "tolerations[0].operator=Exists",
        "imagePullSecrets[0].name=registry",
    ),
}


@pytest.fixture(scope="module")
def readers() -> Iterator[None]:
    """The CRDs of the Prometheus Operator and of cert-manager, without what they are for."""
    files = [
        *published.MONITORS.files(("servicemonitors", "podmonitors", "prometheusrules")),
        *published.CERTIFICATES.files(("certificates", "issuers")),
    ]
    published.install(files)
    yield
    published.remove(files)


@pytest.fixture(scope="module")
def namespace(kube: Kube) -> Iterator[str]:
    """One namespace for all of them, which restricts pods."""
    policy = "pod-security.kubernetes.io"
    labels = {f"{policy}/enforce": "restricted", f"{policy}/warn": "restricted"}
    with fresh_namespace(kube, "chart") as name:
        kube.merge("namespaces", None, name, {"metadata": {"labels": labels}})
        yield name


@pytest.mark.usefixtures("readers")
@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_a_variant_is_taken_without_a_word(values: tuple[str, ...], namespace: str) -> None:
    """Strictly validated, in a namespace that restricts pods; nothing is warned of."""
    settings = [f"--set={value}" for value in values]
    target = (f"--namespace={namespace}", f"--kube-version={KUBERNETES}")
    text = tool("helm", "template", "rayserve", str(CHART), *target, *settings)
    objects = [found for found in yaml.safe_load_all(text) if found]
    # The pod of `helm test` is refused without it.
    accounts = [found for found in objects if found["kind"] == "ServiceAccount"]
    if accounts:
        kubernetes.apply(*accounts)
    done = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(objects)
    unexpected = [line for line in done.stderr.splitlines() if "last-applied-config" not in line]
    assert not unexpected


@pytest.fixture
def moved(kube: Kube, namespace: str, kuberays_crds: None) -> Iterator[str]:
    """The uid of a RayService that was made behind KubeRay's CRDs, which Helm knows nothing of."""
    sample = manifests.sample("minimal")
    made = kube.create("rayservices", kuberay.ray_service(sample["spec"], "moved", namespace))
    yield made["metadata"]["uid"]
    tool("helm", "uninstall", "rayserve", f"--namespace={namespace}", "--ignore-not-found")
    kube.merge("rayservices", namespace, "moved", {"metadata": {"finalizers": None}})
    kube.delete("rayservices", namespace, "moved")


def test_helm_takes_kuberays_definitions_and_they_become_ours(
    kube: Kube, namespace: str, moved: str
) -> None:
    """Not unless it is told to; nothing of KubeRay's rules stays in them, and no object goes."""
    install = ("helm", "install", "rayserve", str(CHART), f"--namespace={namespace}")
    with pytest.raises(KubectlError, match="cannot be imported into the current release"):
        tool(*install)
    tool(*install, "--take-ownership")
    _assert_ours(kube, namespace, moved)
    tool("helm", "uninstall", "rayserve", f"--namespace={namespace}")
    _assert_ours(kube, namespace, moved)


def test_the_definitions_are_brought_first(kube: Kube, namespace: str, moved: str) -> None:
    """By kubectl, as GitOps has it; the chart is installed without them then."""
    kubectl("replace", "-f", str(manifests.CRDS))
    options = (f"--namespace={namespace}", "--set=crds.install=false")
    tool("helm", "install", "rayserve", str(CHART), *options)
    _assert_ours(kube, namespace, moved)


def _assert_ours(kube: Kube, namespace: str, uid: str) -> None:
    for path in manifests.CRDS.glob("*.yaml"):
        ours = manifests.load(path)
        stored = kube.get("customresourcedefinitions", None, ours["metadata"]["name"])
        assert stored["spec"]["versions"] == ours["spec"]["versions"]
    assert kube.get("rayservices", namespace, "moved")["metadata"]["uid"] == uid
