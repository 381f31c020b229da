"""The admission webhook of an operator that runs beside the API server, and not in the cluster."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import yaml

from scenarios.harness import manifests
from scenarios.harness.kube import ApiError, Kube, Manifest, path_of
from scenarios.harness.process import OperatorProcess
from scenarios.harness.waiting import until
from scenarios.install_manifests import INSTALL

PORT = 19443
NAME = "reviews"
CONFIGURATIONS = "validatingwebhookconfigurations"


def settings(namespace: str) -> Mapping[str, str]:
    """What an operator is told so that it reviews."""
    return {
        "RAYSERVE_OPERATOR_NAMESPACE": namespace,
        "RAYSERVE_WEBHOOK_NAME": NAME,
        "RAYSERVE_WEBHOOK_CONFIGURATION": f"{NAME}-{namespace}",
        "RAYSERVE_WEBHOOK_PORT": str(PORT),
    }


@contextmanager
def reviewed(kube: Kube, namespace: str, operator: OperatorProcess) -> Iterator[None]:
    """Run an operator that is asked about all that is applied in the namespace, and needed."""
    metadata = {"name": NAME, "namespace": namespace}
    kube.create("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    service = {"type": "ExternalName", "externalName": "localhost"}
    kube.create(
        "services", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}
    )
    kube.create(CONFIGURATIONS, _configuration(namespace))
    operator.start()
    try:
        until(lambda: is_answered(kube, namespace), "the API server is answered", 30)
        yield
    finally:
        operator.kill()
        kube.delete(CONFIGURATIONS, None, f"{NAME}-{namespace}")


def is_answered(kube: Kube, namespace: str) -> bool:
    """Whether the API server is answered."""
    bad = manifests.with_serve_config(manifests.sample("minimal"), "applications: [")
    return "RS101" in (refusal(kube, manifests.in_namespace(bad, namespace)) or "")


def refusal(kube: Kube, manifest: Manifest) -> str | None:
    """With which words the strict API server refuses a manifest; None if it does not."""
    path = path_of(f"{manifest['kind'].lower()}s", manifest["metadata"]["namespace"])
    try:
        kube.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)
    except ApiError as error:
        return error.message
    return None


def trusted(kube: Kube, namespace: str) -> str:
    """The authorities that the API server trusts, in base64."""
    [webhook] = kube.get(CONFIGURATIONS, None, f"{NAME}-{namespace}")["webhooks"]
    bundle: str = webhook["clientConfig"].get("caBundle", "")
    return bundle


def _configuration(namespace: str) -> Manifest:
    """The chart's, for one namespace."""
    text = (INSTALL / "cluster-wide" / "operator.yaml").read_text()
    [configuration] = [
        manifest
        for manifest in yaml.safe_load_all(text)
        if manifest["kind"] == "ValidatingWebhookConfiguration"
    ]
    [webhook] = configuration["webhooks"]
    webhook["clientConfig"]["service"] |= {"name": NAME, "namespace": namespace, "port": PORT}
    webhook["failurePolicy"] = "Fail"
    webhook["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return {**configuration, "metadata": {"name": f"{NAME}-{namespace}"}}
