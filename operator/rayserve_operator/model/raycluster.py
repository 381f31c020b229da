"""RayCluster: what a RayService makes, and what Ray's own autoscaler patches."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rayserve_operator.model.base import INT32_MAX, Model, OpaqueObject, PodTemplate, ServiceTemplate, keyed_by, rule
from rayserve_operator.model.conditions import Condition

KUBERAY_OPERATOR = "ray.io/kuberay-operator"
OUR_OPERATOR = "ray.io/rayserve-operator"
MULTIKUEUE = "kueue.x-k8s.io/multikueue"

ManagedBy = Annotated[
    Literal["ray.io/kuberay-operator", "ray.io/rayserve-operator", "kueue.x-k8s.io/multikueue"],
    Field(
        json_schema_extra=rule(
            "self == oldSelf || (self.startsWith('ray.io/') && oldSelf.startsWith('ray.io/'))",
            "managedBy changes only between ray.io/kuberay-operator and ray.io/rayserve-operator",
        )
    ),
]


class ScaleStrategy(Model):
    """Which worker pods are to go; written by Ray's autoscaler."""

    workers_to_delete: list[str] = []
    """Names of the worker pods to delete. Names of pods that no longer exist are harmless."""


class IngressTls(Model):
    """TLS of the dashboard's Ingress."""

    hosts: list[str] = []
    """Host names that the certificate covers."""
    secret_name: str | None = None
    """The Secret that holds the certificate."""


class IngressOptions(Model):
    """How the Ingress of the head's dashboard is reached."""

    host: str | None = None
    """Host name of the Ingress rule; empty means every host."""
    path: str | None = None
    """Path of the Ingress rule; unset means `/{cluster name}/(.*)`."""
    path_type: str | None = None
    """`Exact`, `Prefix` or `ImplementationSpecific`."""
    tls: list[IngressTls] = []
    """TLS entries of the Ingress."""


class HeadGroupSpec(Model):
    """The head pod: Ray's control plane, dashboard and (with autoscaling) the autoscaler."""

    template: PodTemplate
    """Pod template of the head; its first container runs Ray."""
    ray_start_params: dict[str, str] = {}
    """Flags of `ray start`, without the leading dashes."""
    head_service: ServiceTemplate | None = None
    """A Service that replaces the generated head Service; its selector is set by the operator."""
    service_type: Literal["", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] | None = None
    """Type of the head Service; unset means a headless Service."""
    enable_ingress: bool | None = None
    """Whether an Ingress for the dashboard is made."""
    ingress_options: IngressOptions | None = None
    """Host, path and TLS of that Ingress."""
    labels: dict[str, str] = {}
    """Ray node labels of the head, also set on its pod."""
    resources: dict[str, str] = {}
    """Logical resources that Ray is told, as quantities; overrides what the pod template says."""


class WorkerGroupSpec(Model):
    """A set of worker pods of one shape."""

    model_config = ConfigDict(
        json_schema_extra=rule(
            "!has(self.minReplicas) || !has(self.maxReplicas) || self.maxReplicas >= self.minReplicas",
            "maxReplicas is below minReplicas; raise maxReplicas or lower minReplicas",
        )
    )

    group_name: Annotated[str, Field(min_length=1)]
    """Name of the group, unique in its cluster."""
    template: PodTemplate
    """Pod template of the workers; its first container runs Ray."""
    replicas: Annotated[int, Field(ge=0)] | None = 0
    """Workers wanted now; clamped to minReplicas and maxReplicas. Under autoscaling Ray owns this field."""
    min_replicas: Annotated[int, Field(ge=0)] | None = 0
    """Workers kept also when idle."""
    max_replicas: Annotated[int, Field(ge=0)] | None = INT32_MAX
    """Workers at most."""
    idle_timeout_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds after which the autoscaler removes an idle worker of this group."""
    num_of_hosts: Annotated[int, Field(ge=1)] | None = 1
    """Pods that make up one replica of the group; they come and go together."""
    priority: int | None = 0
    """Autoscaler's preference among groups that fit; higher first."""
    ray_start_params: dict[str, str] = {}
    """Flags of `ray start`, without the leading dashes."""
    scale_strategy: ScaleStrategy = ScaleStrategy()
    """Which workers are to go; owned by Ray's autoscaler."""
    suspend: bool | None = None
    """Whether the group is held at no pods."""
    labels: dict[str, str] = {}
    """Ray node labels of the workers, also set on their pods."""
    resources: dict[str, str] = {}
    """Logical resources that Ray is told, as quantities; overrides what the pod template says."""


class AutoscalerOptions(Model):
    """The autoscaler container beside the head, and its behaviour."""

    version: Literal["v1", "v2"] | None = None
    """Autoscaler generation; unset leaves the choice to Ray."""
    image: str | None = None
    """Image of the autoscaler container; unset means the head's image."""
    image_pull_policy: str | None = None
    """Pull policy of that image."""
    resources: OpaqueObject | None = None
    """Resource requests and limits of the autoscaler container."""
    security_context: OpaqueObject | None = None
    """Security context of the autoscaler container."""
    command: list[str] | None = None
    """Replaces the command of the autoscaler container."""
    args: list[str] | None = None
    """Replaces the arguments of the autoscaler container."""
    env: list[OpaqueObject] = []
    """Environment variables added to the autoscaler container."""
    env_from: list[OpaqueObject] = []
    """Environment sources added to the autoscaler container."""
    volume_mounts: list[OpaqueObject] = []
    """Volume mounts added to the autoscaler container."""
    idle_timeout_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds after which an idle worker is removed."""
    upscaling_mode: Literal["Default", "Conservative", "Aggressive"] | None = None
    """How fast workers are added."""


class RedisCredential(Model):
    """A Redis user name or password, given or read from a Secret."""

    value: str | None = None
    """The value itself."""
    value_from: OpaqueObject | None = None
    """Where the value is read from, as in a container's env."""


class GcsFaultToleranceOptions(Model):
    """How the cluster's state survives the loss of its head."""

    # The rule stands here and not at the field, where it would not see that the field is taken out and put in again.
    model_config = ConfigDict(
        json_schema_extra=rule(
            "(has(self.backend) ? self.backend : 'redis') == (has(oldSelf.backend) ? oldSelf.backend : 'redis')",
            "gcsFaultToleranceOptions.backend cannot change; make a new cluster",
        )
    )

    backend: Literal["redis", "rocksdb"] | None = None
    """Where the state is kept; unset means Redis."""
    redis_address: str | None = None
    """Address of Redis, `host:port` or `redis://…`."""
    redis_username: RedisCredential | None = None
    """Redis user name."""
    redis_password: RedisCredential | None = None
    """Redis password."""
    external_storage_namespace: str | None = None
    """Key space in Redis; unset means the cluster's uid."""
    storage: OpaqueObject | None = None
    """The volume of the embedded storage (RocksDB)."""


class AuthOptions(Model):
    """Token authentication between Ray's processes."""

    mode: Literal["disabled", "token"] | None = None
    """Whether every process must present the token."""
    secret_name: str | None = None
    """Secret whose key `auth_token` holds the token; unset means one is generated."""
    enable_k8s_token_auth: bool | None = Field(default=None, alias="enableK8sTokenAuth")
    """Whether Kubernetes service account tokens are accepted instead."""


class ClusterUpgradeStrategy(Model):
    """What an edit of a stand-alone RayCluster does to its pods."""

    type: Literal["Recreate", "None"] | None = None
    """`Recreate` replaces all pods when their template changes; `None` leaves them."""


class NetworkPolicyRules(Model):
    """Rules added to a generated NetworkPolicy."""

    ingress_rules: list[OpaqueObject] = []
    """Ingress rules added."""
    egress_rules: list[OpaqueObject] = []
    """Egress rules added."""


class NetworkPolicyGroupRules(NetworkPolicyRules):
    """Rules of the NetworkPolicy of one worker group."""

    group_name: str
    """The worker group."""


class NetworkPolicyOptions(Model):
    """NetworkPolicies for the cluster's pods."""

    mode: Literal["DenyAll", "DenyAllIngress", "DenyAllEgress"] | None = "DenyAll"
    """What is denied before the rules allow."""
    head: NetworkPolicyRules | None = None
    """Rules of the head."""
    worker: NetworkPolicyRules | None = None
    """Rules of all workers."""
    worker_groups: list[NetworkPolicyGroupRules] = []
    """Rules of single worker groups."""


class TlsOptions(Model):
    """Mutual TLS between Ray's processes."""

    enabled: bool | None = None
    """Whether TLS is on."""


class RayClusterSpec(Model):
    """A Ray cluster: one head and any number of worker groups."""

    head_group_spec: HeadGroupSpec
    """The head pod."""
    worker_group_specs: Annotated[list[WorkerGroupSpec], Field(json_schema_extra=keyed_by("groupName"))] = []
    """The worker groups."""
    ray_version: str | None = None
    """Version of Ray in the images, as `2.60.0`, for those who read it; the images decide."""
    enable_in_tree_autoscaling: bool | None = None
    """Whether Ray's autoscaler scales the worker groups. Unset means on if autoscalerOptions is present."""
    autoscaler_options: AutoscalerOptions | None = None
    """The autoscaler container and its behaviour."""
    gcs_fault_tolerance_options: GcsFaultToleranceOptions | None = None
    """How the cluster's state survives the loss of its head."""
    head_service_annotations: dict[str, str] = {}
    """Annotations of the head Service."""
    auth_options: AuthOptions | None = None
    """Token authentication between Ray's processes."""
    upgrade_strategy: ClusterUpgradeStrategy | None = None
    """What an edit of a stand-alone RayCluster does to its pods."""
    suspend: bool | None = None
    """Whether the cluster is held at no pods."""
    managed_by: ManagedBy | None = None
    """Which controller looks after this object; clusters of a RayService follow it."""
    network_policy: NetworkPolicyOptions | None = None
    """NetworkPolicies for the cluster's pods."""
    tls_options: TlsOptions | None = None
    """Mutual TLS between Ray's processes."""
    history_server_options: OpaqueObject | None = None
    """KubeRay's history server; not supported."""

    @property
    def autoscaling(self) -> bool:
        """Whether Ray's autoscaler owns the replicas of the worker groups."""
        if self.enable_in_tree_autoscaling is None:
            return self.autoscaler_options is not None
        return self.enable_in_tree_autoscaling


class HeadInfo(Model):
    """Where the head is found."""

    pod_ip: str | None = Field(default=None, alias="podIP")
    """Address of the head pod."""
    pod_name: str | None = None
    """Name of the head pod."""
    service_ip: str | None = Field(default=None, alias="serviceIP")
    """Address of the head Service; the pod's own for a headless Service."""
    service_name: str | None = None
    """Name of the head Service."""


class RayClusterStatus(Model):
    """What is known of a RayCluster."""

    state: Literal["", "ready", "unhealthy", "failed", "suspended"] | None = None
    """A summary: `ready` when every wanted pod is ready now."""
    desired_cpu: str | None = Field(default=None, alias="desiredCPU")
    """CPUs of all wanted pods."""
    desired_memory: str | None = None
    """Memory of all wanted pods."""
    desired_gpu: str | None = Field(default=None, alias="desiredGPU")
    """GPUs of all wanted pods."""
    desired_tpu: str | None = Field(default=None, alias="desiredTPU")
    """TPUs of all wanted pods."""
    ready_worker_replicas: int | None = None
    """Worker pods that are up: their start-up probe has passed."""
    available_worker_replicas: int | None = None
    """Worker pods that run."""
    desired_worker_replicas: int | None = None
    """Worker pods wanted."""
    min_worker_replicas: int | None = None
    """Sum of minReplicas."""
    max_worker_replicas: int | None = None
    """Sum of maxReplicas."""
    last_update_time: str | None = None
    """When this status was last written."""
    state_transition_times: dict[str, str] = {}
    """When each state was last entered."""
    endpoints: dict[str, str] = {}
    """Ports of the head Service by name."""
    head: HeadInfo | None = None
    """Where the head is found."""
    reason: str | None = None
    """Why the state is not `ready`, in words."""
    conditions: Annotated[list[Condition], Field(json_schema_extra=keyed_by("type"))] = []
    """The facts behind the state."""
    observed_generation: Annotated[int | None, Field(json_schema_extra={"format": "int64"})] = None
    """The generation of the spec that this status speaks of."""
