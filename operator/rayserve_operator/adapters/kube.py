"""The Kubernetes API over plain dictionaries: few verbs, a time-out each, errors as our own types."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from urllib.parse import quote, urlencode
from urllib.request import getproxies

import aiohttp
from kubernetes.aio import client, config

from rayserve_operator.adapters.requests import Request, describe, tracing
from rayserve_operator.engine.ports import Listing, Manifest
from rayserve_operator.model.errors import (
    AlreadyExists,
    Disconnected,
    NotFound,
    NotServed,
    OutcomeUnknown,
    Refused,
    Superseded,
    Unavailable,
)
from rayserve_operator.model.objects import RAY_CLUSTER
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.dry_run.verdicts import Answer
from rayserve_operator.render import labels

FIELD_MANAGER = "rayserve-operator"
TIMEOUT = aiohttp.ClientTimeout(total=10)
WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10)
AT_ONCE = 16
"""Requests under way at a time, each on a connection of its own; more of them wait for their turn here, where no
time-out counts yet. An API server is quick enough for these to keep one Python process busy."""
PAGE = 100
"""Objects in one answer to a list: their JSON and what is parsed of it need memory that is never quite given back."""
WORDS = 400
_FAILURE = 400
"""From this status of HTTP on an answer is a failure."""

ANY = "*/*"
JSON = "application/json"
YAML = "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Resource:
    """Where the objects of a kind are found, and which of them concern us."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    selector: str | None = None
    """Label selector of the objects that are watched."""

    @property
    def root(self) -> str:
        """Path of the group's version on the API server."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind are meant, by Kubernetes' selectors; an empty one leaves none out."""

    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of a request."""
        given = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {key: value for key, value in given.items() if value}


_OF_CLUSTERS = f"{labels.FROM_CRD}={RAY_CLUSTER}"

RESOURCES: Mapping[Kind, Resource] = {
    Kind.RAY_SERVICE: Resource("ray.io", "v1", "rayservices"),
    Kind.RAY_CLUSTER: Resource("ray.io", "v1", "rayclusters"),
    Kind.POD: Resource("", "v1", "pods", f"{labels.NODE_TYPE} in ({labels.HEAD},{labels.WORKER})"),
    Kind.SERVICE: Resource("", "v1", "services", f"{labels.FROM_CRD} in (RayService,RayCluster)"),
    Kind.REVISION: Resource("apps", "v1", "controllerrevisions", f"{labels.FROM_CRD}=RayService"),
    Kind.SERVICE_ACCOUNT: Resource("", "v1", "serviceaccounts", _OF_CLUSTERS),
    Kind.ROLE: Resource("rbac.authorization.k8s.io", "v1", "roles", _OF_CLUSTERS),
    Kind.ROLE_BINDING: Resource("rbac.authorization.k8s.io", "v1", "rolebindings", _OF_CLUSTERS),
    Kind.CLAIM: Resource("", "v1", "persistentvolumeclaims", _OF_CLUSTERS),
    Kind.NETWORK_POLICY: Resource("networking.k8s.io", "v1", "networkpolicies", _OF_CLUSTERS),
    Kind.INGRESS: Resource("networking.k8s.io", "v1", "ingresses", _OF_CLUSTERS),
    Kind.BUDGET: Resource("policy", "v1", "poddisruptionbudgets", _OF_CLUSTERS),
    Kind.JOB: Resource("batch", "v1", "jobs", _OF_CLUSTERS),
    Kind.ISSUER: Resource("cert-manager.io", "v1", "issuers", _OF_CLUSTERS),
    Kind.CERTIFICATE: Resource("cert-manager.io", "v1", "certificates", _OF_CLUSTERS),
    Kind.POD_GROUP: Resource("scheduling.x-k8s.io", "v1alpha1", "podgroups", _OF_CLUSTERS),
    Kind.VOLCANO_POD_GROUP: Resource("scheduling.volcano.sh", "v1beta1", "podgroups", _OF_CLUSTERS),
    Kind.GATEWAY: Resource("gateway.networking.k8s.io", "v1", "gateways"),
    Kind.HTTP_ROUTE: Resource("gateway.networking.k8s.io", "v1", "httproutes"),
    Kind.SECRET: Resource("", "v1", "secrets"),
    Kind.NODE: Resource("", "v1", "nodes"),
    Kind.NAMESPACE: Resource("", "v1", "namespaces"),
    Kind.QUOTA: Resource("", "v1", "resourcequotas"),
    Kind.EVENT: Resource("", "v1", "events"),
    Kind.LEASE: Resource("coordination.k8s.io", "v1", "leases"),
    Kind.WEBHOOK: Resource("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"),
}

_ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices")
_CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")


class _Sent(TypedDict, total=False):
    """What goes with a request, beside its method and path."""

    query: Mapping[str, str] | None
    body: Any
    content_type: str
    accept: str


class KubeApi:
    """The `Kube` of the engine, over the official client's connection and credentials."""

    def __init__(self, api_client: client.ApiClient, namespaces: Sequence[str]) -> None:
        self._client = api_client
        self._namespaces = namespaces
        self._turn = asyncio.Semaphore(AT_ONCE)

    @classmethod
    async def connect(
        cls, namespaces: Sequence[str], user_agent: str, on_request: Callable[[Request], None] = lambda _: None
    ) -> KubeApi:
        """Connect as a pod does, or as the current kubeconfig context says where there is one.

        Args:
            namespaces: the namespaces that are watched; none means all.
            user_agent: what the API server's audit log calls us.
            on_request: is told of every request.
        """
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
        configuration.connection_pool_maxsize = AT_ONCE
        # Where aiohttp is to trust the environment, it looks there in a thread at every request, which costs as much as
        # the request itself. So that is asked once, here.
        configuration.client_session_kwargs = {
            "trust_env": bool(getproxies()),
            "trace_configs": [tracing(on_request)],
        }
        api_client = client.ApiClient(configuration)
        api_client.user_agent = user_agent
        return cls(api_client, namespaces)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Read an object afresh. Raises NotFound."""
        return await self._request("GET", _path(kind, namespace, name))

    async def states(self, kind: Kind, namespace: str, name: str) -> AsyncIterator[Manifest]:
        """The object as it is now, and at each change of it. Ends when it is gone. Raises NotFound."""
        last: Manifest | None = None
        async with aclosing(self.families(kind, namespace, Selection(fields=f"metadata.name={name}"))) as families:
            async for family in families:
                if not family:
                    break
                [last] = family
                yield last
        if last is None:
            raise NotFound(f"there is no {kind} {name} in namespace {namespace}")

    async def families(
        self, kind: Kind, namespace: str, selection: Selection
    ) -> AsyncGenerator[tuple[Manifest, ...], None]:
        """All objects that are selected, as they are now, and at each change of one of them."""
        while True:
            found: dict[str, Manifest] = {}
            version = ""
            async for page in self._pages(kind, namespace, JSON, selection):
                found |= {item["metadata"]["uid"]: item for item in page["items"] or ()}
                version = page["metadata"]["resourceVersion"]
            yield tuple(found.values())
            async for event in self._watch(kind, namespace, selection, version):
                if event["type"] == "ERROR":
                    # The version is too old to be watched from; all is listed afresh.
                    break
                changed = event["object"]
                if event["type"] == "DELETED":
                    found.pop(changed["metadata"]["uid"], None)
                else:
                    found[changed["metadata"]["uid"]] = changed
                yield tuple(found.values())

    async def _watch(
        self, kind: Kind, namespace: str, selection: Selection, version: str
    ) -> AsyncIterator[dict[str, Any]]:
        """Watch events of what is selected from a version on, until the API server ends the stream."""
        query = {"watch": "true", "resourceVersion": version, **selection.query}
        path = _path(kind, namespace)
        try:
            response = await self._send("GET", path, query=query, patience=WATCH_TIMEOUT)
            if response.status >= _FAILURE:
                raise _failure(response.status, f"watch {path}", await response.read())
            async for line in response.response.content:
                event: dict[str, Any] = json.loads(line)
                yield event
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Disconnected(f"no answer to watch {path}: {describe(error)}") from error

    async def schema(self, kind: Kind) -> Manifest:
        """The OpenAPI schema by which a kind of ours is served. Raises NotFound and Refused."""
        resource = RESOURCES[kind]
        try:
            found = await self._request("GET", f"{_CRDS.root}/{_CRDS.plural}/{resource.plural}.{resource.group}")
        except Refused:
            return await self._published_schema(kind)
        [version] = (version for version in found["spec"]["versions"] if version["name"] == resource.version)
        schema: Manifest = version["schema"]["openAPIV3Schema"]
        return schema

    async def _published_schema(self, kind: Kind) -> Manifest:
        """The same from the API server's own description, which everybody may see, and which is larger."""
        resource = RESOURCES[kind]
        wanted = {"group": resource.group, "version": resource.version, "kind": str(kind)}
        published = await self._request("GET", f"/openapi/v3{resource.root}")
        schemas: Iterable[Manifest] = published["components"]["schemas"].values()
        for schema in schemas:
            if wanted in schema.get("x-kubernetes-group-version-kind", ()):
                return schema
        raise NotFound(f"the API server does not describe {kind}")

    async def leases(self, name: str) -> Sequence[Manifest]:
        """The Leases of that name, in whatever namespace."""
        query = {"fieldSelector": f"metadata.name={name}"}
        resource = RESOURCES[Kind.LEASE]
        found = await self._request("GET", f"{resource.root}/{resource.plural}", query=query)
        return found["items"] or ()

    async def everything(self, kind: Kind) -> AsyncIterator[Manifest]:
        """Every object of the kind that is watched, whole, a page at a time."""
        for namespace in self._namespaces or ("",):
            async for item in self.selected(kind, namespace, _watched(kind)):
                yield item

    async def selected(self, kind: Kind, namespace: str, selection: Selection) -> AsyncIterator[Manifest]:
        """Every object that is selected, a page at a time; an empty namespace means all of them."""
        async for page in self._pages(kind, namespace, JSON, selection):
            for item in page["items"] or ():
                yield item

    async def living(self, kind: Kind) -> Listing:
        """Every object of the kind that is watched, by a metadata-only list."""
        uids: set[str] = set()
        versions: list[str] = []
        for namespace in self._namespaces or ("",):
            async for page in self._pages(kind, namespace, METADATA_LIST, _watched(kind)):
                uids |= {item["metadata"]["uid"] for item in page["items"] or ()}
                versions.append(page["metadata"]["resourceVersion"])
        return Listing(frozenset(uids), min(versions, key=int))

    async def _pages(self, kind: Kind, namespace: str, accept: str, selection: Selection) -> AsyncIterator[Manifest]:
        query = {"limit": str(PAGE), **selection.query}
        while True:
            page = await self._request("GET", _path(kind, namespace), query=query, accept=accept)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            query = {**query, "continue": token}

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """POST. Raises AlreadyExists, and OutcomeUnknown where no answer came."""
        path, query = _path(kind, manifest["metadata"]["namespace"]), {"fieldManager": FIELD_MANAGER}
        if kind is Kind.REVISION:
            # The API server keeps the data of a ControllerRevision byte for byte and never lets it change, yet spells
            # JSON anew at every later patch. From YAML (which JSON is too) it is in the server's spelling at once.
            return await self._request("POST", path, query=query, body=json.dumps(manifest), content_type=YAML)
        return await self._request("POST", path, query=query, body=manifest)

    async def dry_run(self, kind: Kind, manifest: Manifest) -> Answer:
        """What is said to a create that makes nothing, and in which no field may be unknown. Only silence raises."""
        path = _path(kind, manifest["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER, "dryRun": "All", "fieldValidation": "Strict"}
        status, data = await self._exchange("POST", path, query=query, body=manifest)
        return Answer(status, _status(data) if status >= _FAILURE else {})

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply, taking over fields of others. A resourceVersion is a precondition."""
        metadata = manifest["metadata"]
        path = _path(kind, metadata["namespace"], metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        try:
            return await self._request("PATCH", path, query=query, body=manifest, content_type=APPLY)
        except NotFound as error:
            # An object that is not there is made, so it is the kind that the API server does not know.
            raise Refused(f"{error}; is {RESOURCES[kind].group or 'the namespace'} installed?") from error

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Manifest]) -> Manifest:
        """JSON patch. Raises Superseded where a `test` fails."""
        path, query = _path(kind, namespace, name), {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", path, query=query, body=list(operations), content_type=JSON_PATCH)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> Manifest:
        """JSON merge patch."""
        path, query = _path(kind, namespace, name), {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", path, query=query, body=patch, content_type=MERGE_PATCH)

    async def write_status(self, kind: Kind, namespace: str, name: str, status: Manifest) -> Manifest:
        """Replace the status."""
        path = f"{_path(kind, namespace, name)}/status"
        body = [{"op": "add", "path": "/status", "value": status}]
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", path, query=query, body=body, content_type=JSON_PATCH)

    async def endpoints(self, namespace: str, service: str) -> frozenset[str]:
        """Names of the pods that the Service's EndpointSlices send traffic to."""
        return frozenset(
            endpoint["targetRef"]["name"]
            for one in await self.endpoint_slices(namespace, service)
            for endpoint in one.get("endpoints") or ()
            if (endpoint.get("targetRef") or {}).get("kind") == "Pod" and _takes_traffic(endpoint)
        )

    async def endpoint_slices(self, namespace: str, service: str) -> Sequence[Manifest]:
        """The EndpointSlices of a Service."""
        path = f"{_ENDPOINT_SLICES.root}/namespaces/{quote(namespace)}/{_ENDPOINT_SLICES.plural}"
        slices = await self._request("GET", path, query={"labelSelector": f"kubernetes.io/service-name={service}"})
        return slices["items"] or ()

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        uid: str,
        *,
        grace: int | None = None,
    ) -> Manifest | None:
        """Delete the object with this uid, dependents in the background; a pod is given `grace` seconds to end.

        Returns what is left of it while it terminates, or None once it is gone. Raises NotFound and Superseded.
        """
        body: dict[str, Any] = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        answer = await self._request("DELETE", _path(kind, namespace, name), body=body)
        return None if answer.get("kind") == "Status" else answer

    async def through_pod(self, namespace: str, pod: str, port: int, path: str) -> str:
        """What a pod answers to a GET by plain HTTP, asked for by the API server. Raises NotFound and Refused."""
        answer = await self._answer("GET", f"{_path(Kind.POD, namespace, f'{pod}:{port}')}/proxy{path}", accept=ANY)
        return answer.decode(errors="replace")

    async def logs(self, namespace: str, pod: str, lines: int) -> str:
        """The last lines of what a pod's only container has logged. Raises NotFound and Refused."""
        query = {"tailLines": str(lines), "timestamps": "true"}
        answer = await self._answer("GET", f"{_path(Kind.POD, namespace, pod)}/log", query=query, accept=ANY)
        return answer.decode(errors="replace")

    async def _request(self, method: str, path: str, **sent: Unpack[_Sent]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self._answer(method, path, **sent))
        return answer

    async def _answer(self, method: str, path: str, **sent: Unpack[_Sent]) -> bytes:
        status, data = await self._exchange(method, path, **sent)
        if status >= _FAILURE:
            raise _failure(status, f"{method} {path}", data)
        return data

    async def _exchange(self, method: str, path: str, **sent: Unpack[_Sent]) -> tuple[int, bytes]:
        """The status of an answer, and what came with it."""
        try:
            async with self._turn:
                response = await self._send(method, path, **sent)
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            unanswered = Disconnected if method == "GET" else OutcomeUnknown
            raise unanswered(f"no answer to {method} {path}: {describe(error)}") from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        patience: aiohttp.ClientTimeout = TIMEOUT,
    ) -> Any:
        """The client's answer; `response` in it is aiohttp's."""
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": self._client.user_agent}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        url = f"{self._client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        return await self._client.rest_client.request(
            method, url, headers=headers, body=body, _request_timeout=patience
        )


def current_namespace() -> str:
    """The namespace of the current context of the user's kubeconfig; `default` where it names none.

    Raises:
        Refused: there is no kubeconfig.
    """
    try:
        _, context = config.list_kube_config_contexts()
    except config.ConfigException as error:
        raise Refused(f"no cluster to talk to: {error}; set KUBECONFIG, or give --namespace") from error
    namespace: str = context["context"].get("namespace") or "default"
    return namespace


def _takes_traffic(endpoint: Mapping[str, Any]) -> bool:
    """Whether kube-proxy sends traffic there; an unset condition counts as true (the API of EndpointSlices)."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _watched(kind: Kind) -> Selection:
    return Selection(labels=RESOURCES[kind].selector or "")


def _path(kind: Kind, namespace: str, name: str | None = None) -> str:
    resource = RESOURCES[kind]
    within = f"/namespaces/{quote(namespace)}" if namespace else ""
    one = f"/{quote(name, safe=':')}" if name else ""
    return f"{resource.root}{within}/{resource.plural}{one}"


def _shortened(message: str) -> str:
    """The two ends of a long message; in between the API server repeats the whole object."""
    return message if len(message) <= WORDS else f"{message[: WORDS // 2]} … {message[-WORDS // 2 :]}"


def _status(data: bytes) -> Mapping[str, Any]:
    """The Status that came with a failure; a proxy on the way may have said something else."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": data[:200].decode(errors="replace")}


def _failure(status: int, request: str, data: bytes) -> Exception:
    """The error type for an answer of the API server. The source is its API conventions."""
    answer = _status(data)
    reason, message = answer.get("reason", ""), answer.get("message", "")
    is_about_an_object = bool((answer.get("details") or {}).get("name"))
    words = f"{request}: {_shortened(message) or status}"
    match status, reason:
        case 404, _:
            return NotFound(words) if is_about_an_object else NotServed(words)
        case 409, "AlreadyExists":
            return AlreadyExists(words)
        case 409, _:
            return Superseded(words)
        case 422, _ if "testing path" in message or "test operation" in message:
            return Superseded(words)
        case ((401 | 408 | 429), _):
            return Unavailable(words)
        case _ if status >= 500:  # noqa: PLR2004
            return OutcomeUnknown(words) if status == 504 else Unavailable(words)  # noqa: PLR2004
        case _:
            return Refused(words)
