"""The Kubernetes API with plain dictionaries; applying goes through kubectl, as users do it."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import yaml
from kubernetes import client, config

Manifest = dict[str, Any]

TIMEOUT = 30.0
USER_AGENT = "rayserve-e2e"

_ROOTS: Mapping[str, str] = {
    "controllerrevisions": "/apis/apps/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "deployments": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "gatewayclasses": "/apis/gateway.networking.k8s.io/v1",
    "gateways": "/apis/gateway.networking.k8s.io/v1",
    "httproutes": "/apis/gateway.networking.k8s.io/v1",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "rayclusters": "/apis/ray.io/v1",
    "rayservices": "/apis/ray.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "validatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1",
}
_CORE = "/api/v1"


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Kube:
    """Reads and writes objects by the plural of their kind."""

    def __init__(self) -> None:
        configuration = client.Configuration()
        config.load_kube_config(client_configuration=configuration)
        self._client = client.ApiClient(configuration)

    def close(self) -> None:
        """Close its connections: one that is left to the collector of garbage warns."""
        self._client.rest_client.pool_manager.clear()

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """One request to the API server; raises ApiError."""
        headers = {
            "Accept": "application/json",
            "Content-Type": content_type,
            "User-Agent": USER_AGENT,
        }
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        url = f"{self._client.configuration.host}{path}"
        response = self._client.rest_client.request(
            method, url, headers, body, _request_timeout=TIMEOUT
        )
        try:
            answer = json.loads(response.read())
        finally:
            # An answer that was cut off would hold its connection until it is collected as garbage.
            response.close()
        if response.status >= 400:
            raise ApiError(response.status, answer.get("message", ""))
        return answer

    def find(self, plural: str, namespace: str | None, name: str) -> Manifest | None:
        """The object, or None where there is none."""
        try:
            found: Manifest = self.request("GET", path_of(plural, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def get(self, plural: str, namespace: str | None, name: str) -> Manifest:
        """The object, which must be there."""
        found: Manifest = self.request("GET", path_of(plural, namespace, name))
        return found

    def list(self, plural: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """The objects that a label selector matches."""
        query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
        items: list[Manifest] = self.request("GET", path_of(plural, namespace) + query)["items"]
        return items

    def create(self, plural: str, manifest: Manifest) -> Manifest:
        """Create an object."""
        path = path_of(plural, manifest["metadata"].get("namespace"))
        made: Manifest = self.request("POST", path, manifest)
        return made

    def merge(
        self, plural: str, namespace: str | None, name: str, patch: Manifest, subresource: str = ""
    ) -> Manifest:
        """Change an object by a merge patch."""
        path = path_of(plural, namespace, name) + (f"/{subresource}" if subresource else "")
        changed: Manifest = self.request("PATCH", path, patch, "application/merge-patch+json")
        return changed

    def put_slice(self, namespace: str, service: str, pods: Sequence[str]) -> None:
        """Say which pods a Service sends traffic to, in the place of Kubernetes' controller."""
        name = f"{service}-by-hand"
        manifest: Manifest = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {
                    "kubernetes.io/service-name": service,
                    "endpointslice.kubernetes.io/managed-by": USER_AGENT,
                },
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [f"10.0.0.{number + 1}"],
                    "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace},
                }
                for number, pod in enumerate(pods)
            ],
        }
        path = f"{path_of('endpointslices', namespace, name)}?fieldManager={USER_AGENT}&force=true"
        self.request("PATCH", path, manifest, "application/apply-patch+yaml")

    def replace_spec(self, plural: str, namespace: str | None, name: str, spec: Manifest) -> None:
        """Give an object this spec: what is left out of it is left out then."""
        patch = [{"op": "replace", "path": "/spec", "value": spec}]
        path = path_of(plural, namespace, name)
        self.request("PATCH", path, patch, "application/json-patch+json")

    def delete(
        self, plural: str, namespace: str | None, name: str, *, grace: int | None = None
    ) -> None:
        """Delete an object, its dependents in the background."""
        body: Manifest = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        self.request("DELETE", path_of(plural, namespace, name), body)


def path_of(plural: str, namespace: str | None, name: str | None = None) -> str:
    """The path of an object, or of all objects of a kind, on the API server."""
    within = f"/namespaces/{quote(namespace)}" if namespace else ""
    one = f"/{quote(name)}" if name else ""
    return f"{_ROOTS.get(plural, _CORE)}{within}/{plural}{one}"


class KubectlError(Exception):
    """kubectl ended with an error; its words are the message."""


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl and return what it prints. Raises KubectlError with what it says on stderr."""
    return tool("kubectl", *arguments, text=text)


def tool(*command: str, text: str | None = None) -> str:
    """Run a program and return what it prints. Raises KubectlError with what it says on stderr."""
    done = subprocess.run(command, input=text or "", capture_output=True, text=True, check=False)
    if done.returncode:
        raise KubectlError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def apply(*manifests: Manifest, options: Sequence[str] = ()) -> str:
    """`kubectl apply`, client-side, as its users have it by default."""
    return kubectl(
        "apply", *options, "-f", "-", text=yaml.safe_dump_all(manifests, sort_keys=False)
    )
