"""RayService: what users write, a Ray cluster together with the Serve applications on it."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rayserve_operator.model.base import Model, ServiceTemplate, keyed_by, rule, rules
from rayserve_operator.model.conditions import Condition
from rayserve_operator.model.raycluster import ManagedBy, RayClusterSpec, RayClusterStatus

DEFAULT_DELETION_DELAY = 60
DEFAULT_WARM_UP_TIMEOUT = 300
DEFAULT_PROGRESS_DEADLINE = 1800
DEFAULT_DRAIN_TIMEOUT = 600
DEFAULT_MIN_REQUESTS = 20
OK = 200
DEFAULT_REVISION_HISTORY_LIMIT = 10


class GatewayReference(Model):
    """A Gateway that is there already."""

    name: Annotated[str, Field(min_length=1)]
    """Its name."""
    namespace: str | None = None
    """Its namespace; unset means that of the RayService."""
    section_name: str | None = None
    """The one of its listeners that takes the traffic; unset means all that may."""


_STEPS_IN_SURGE = (
    "!has(self.stepSizePercent) || !has(self.maxSurgePercent) || self.stepSizePercent <= self.maxSurgePercent",
    "stepSizePercent is above maxSurgePercent; lower stepSizePercent or raise maxSurgePercent",
)
_ONE_WAY_IN = (
    "[has(self.gatewayClassName), has(self.gateway), has(self.httpRoute)].filter(given, given).size() <= 1",
    "more than one of gatewayClassName, gateway and httpRoute is given; leave one of them",
)


class ClusterUpgradeOptions(Model):
    """How an incremental upgrade moves capacity and traffic."""

    model_config = ConfigDict(json_schema_extra=rules(_STEPS_IN_SURGE, _ONE_WAY_IN))

    max_surge_percent: Annotated[int, Field(ge=0, le=100)] | None = 100
    """Percent by which both clusters together may exceed the capacity of one; needs enableInTreeAutoscaling."""
    step_size_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Traffic that moves at a time, in percent."""
    steps: list[Annotated[int, Field(ge=1, le=100)]] = []
    """Shares of the traffic that the new cluster takes one after the other, in percent; in place of stepSizePercent."""
    interval_seconds: Annotated[int, Field(ge=1)] | None = None
    """Seconds between two moves of traffic."""
    gateway_class_name: str | None = None
    """GatewayClass of a Gateway that is made, with an HTTPRoute whose weights share the traffic."""
    gateway: GatewayReference | None = None
    """A Gateway that is there already, to which the HTTPRoute is attached that shares the traffic."""
    http_route: str | None = None
    """Name of an HTTPRoute that is there already; what it gives to the serve Service is shared."""

    @property
    def is_by_route(self) -> bool:
        """Whether an HTTPRoute shares the traffic, and not the pods."""
        return bool(self.gateway_class_name or self.gateway or self.http_route)


class SmokeRequest(Model):
    """A request that a new cluster must answer well."""

    path: Annotated[str, Field(pattern="^/")]
    """Path of a GET that is sent to the Serve proxy of one of its own pods."""
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    """Status of the answer; unset means 200."""

    @property
    def expected(self) -> int:
        """Status of a good answer."""
        return _given(self.status, OK)


class Analysis(Model):
    """What a new cluster is held against before it takes traffic, or more of it."""

    smoke_requests: list[SmokeRequest] = []
    """Requests that it must answer well; it is given up if it does not for 15 s."""
    max_error_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Answers of 5xx, in percent of its answers, above which it is given up unless the old cluster has as many."""
    max_latency_percent: Annotated[int, Field(ge=100)] | None = None
    """Mean latency, in percent of the old cluster's, above which it is given up."""
    min_requests: Annotated[int, Field(ge=1)] | None = None
    """Requests to a cluster below which its errors and its latency say nothing; unset means 20."""

    @property
    def is_measured(self) -> bool:
        """Whether it matters what answers to users are like."""
        return self.max_error_percent is not None or self.max_latency_percent is not None

    @property
    def fewest(self) -> int:
        """Requests to a cluster below which its errors and its latency say nothing."""
        return _given(self.min_requests, DEFAULT_MIN_REQUESTS)


class ServiceUpgradeStrategy(Model):
    """What an edit of rayClusterConfig does."""

    model_config = ConfigDict(
        json_schema_extra=rule(
            "!has(self.type) || self.type != 'NewClusterWithIncrementalUpgrade' || (has(self.clusterUpgradeOptions)"
            " && (has(self.clusterUpgradeOptions.stepSizePercent) || has(self.clusterUpgradeOptions.steps))"
            " && has(self.clusterUpgradeOptions.intervalSeconds))",
            "NewClusterWithIncrementalUpgrade needs clusterUpgradeOptions; give stepSizePercent or steps, and"
            " intervalSeconds",
        )
    )

    type: Literal["NewCluster", "NewClusterWithIncrementalUpgrade", "Recreate", "None"] | None = None
    """`NewCluster` (the default) rolls blue/green; `NewClusterWithIncrementalUpgrade` in steps; `Recreate` drains and
    deletes the old cluster first, so that nothing serves meanwhile; `None` keeps the cluster."""
    cluster_upgrade_options: ClusterUpgradeOptions | None = None
    """Steps of `NewClusterWithIncrementalUpgrade`."""
    auto_promotion: bool | None = None
    """Whether a new cluster takes traffic by itself when it is fit; `false` waits for `rayserve rollout promote`."""
    pause_at_percent: Annotated[int, Field(ge=0, le=99)] | None = None
    """Share of the traffic at which `autoPromotion: false` waits; unset means 0."""
    analysis: Analysis | None = None
    """What a new cluster is held against before it takes traffic, or more of it."""
    preview_service: bool | None = None
    """Whether a Service `{name}-preview-svc` leads to the new cluster until it takes over."""
    progress_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """Seconds that a start or an upgrade may take before it is given up; unset means 1800."""
    rollback: Literal["Automatic", "Manual"] | None = None
    """What follows when a new serveConfigV2 fails in place: `Automatic` (the default) puts the last good one back."""
    warm_up_timeout_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds that a new cluster which works may take to match the capacity of the old one; unset means 300."""
    on_warm_up_timeout: Literal["Proceed", "Rollback"] | None = None
    """What follows when it does not match it by then: `Proceed` (the default) switches, `Rollback` gives it up."""
    drain_timeout_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds after the switch at which the old cluster ends though requests are under way; unset means 600."""
    revision_history_limit: Annotated[int, Field(ge=0)] | None = None
    """Revisions kept beside those that are in use; unset means 10."""


class RayServiceSpec(Model):
    """A Ray cluster and the Serve applications on it."""

    ray_cluster_config: RayClusterSpec
    """The Ray cluster."""
    serve_config_v2: str | None = Field(default=None, alias="serveConfigV2")
    """The Serve applications, as YAML in Ray's own schema."""
    serve_service: ServiceTemplate | None = None
    """A Service that replaces the generated `{name}-serve-svc`; its selector is set by the operator."""
    upgrade_strategy: ServiceUpgradeStrategy | None = None
    """What an edit of rayClusterConfig does."""
    ray_cluster_deletion_delay_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds between the switch of traffic and the removal of the old cluster; unset means 60."""
    exclude_head_pod_from_serve_svc: bool | None = None
    """Whether the head takes no Serve traffic."""
    suspend: bool | None = None
    """Whether the service is held without a cluster."""
    managed_by: ManagedBy | None = None
    """Which controller looks after this object."""
    service_unhealthy_second_threshold: int | None = None
    """Accepted and without effect, as in KubeRay."""
    deployment_unhealthy_second_threshold: int | None = None
    """Accepted and without effect, as in KubeRay."""

    @property
    def deletion_delay(self) -> int:
        """Seconds between the switch of traffic and the removal of the old cluster."""
        return _given(self.ray_cluster_deletion_delay_seconds, DEFAULT_DELETION_DELAY)

    @property
    def progress_deadline(self) -> int:
        """Seconds that a start or an upgrade may take."""
        return _given(self._strategy.progress_deadline_seconds, DEFAULT_PROGRESS_DEADLINE)

    @property
    def warm_up_timeout(self) -> int:
        """Seconds that a working new cluster may take to match the capacity of the old one."""
        return _given(self._strategy.warm_up_timeout_seconds, DEFAULT_WARM_UP_TIMEOUT)

    @property
    def drain_timeout(self) -> int:
        """Seconds after the switch at which the old cluster ends in any case."""
        return _given(self._strategy.drain_timeout_seconds, DEFAULT_DRAIN_TIMEOUT)

    @property
    def revision_history_limit(self) -> int:
        """Revisions kept beside those that are in use."""
        return _given(self._strategy.revision_history_limit, DEFAULT_REVISION_HISTORY_LIMIT)

    @property
    def needs_parity(self) -> bool:
        """Whether a new cluster that never matches the capacity of the old one is given up."""
        return self._strategy.on_warm_up_timeout == "Rollback"

    @property
    def shares(self) -> tuple[int, ...]:
        """Shares of the traffic that a new cluster takes one after the other, in percent; the last is 100."""
        options = self._incremental
        steps: Iterable[int] = ()
        if options is not None:
            size = options.step_size_percent or 100
            steps = options.steps or range(size, 100, size)
        return (*sorted({share for share in (*steps, self.pauses_at or 0) if 0 < share < 100}), 100)  # noqa: PLR2004

    @property
    def surge(self) -> int:
        """Percent by which the capacity of both clusters together may be above that of one; at 100 each has all of it.

        Where nobody scales the worker groups a new cluster comes with all its pods, and its replicas find them. Without
        any surge nothing could move, so that 0 counts as 1.
        """
        options = self._incremental
        if options is None or not self.ray_cluster_config.autoscaling:
            return 100
        return max(_given(options.max_surge_percent, 100), 1)

    @property
    def route_options(self) -> ClusterUpgradeOptions | None:
        """Which HTTPRoute shares the traffic; None where none does."""
        options = self._incremental
        return options if options is not None and options.is_by_route else None

    @property
    def share_interval(self) -> int:
        """Seconds for which a new cluster keeps a share of the traffic before it takes the next."""
        options = self._strategy.cluster_upgrade_options
        return _given(None if options is None else options.interval_seconds, 0)

    @property
    def pauses_at(self) -> int | None:
        """Share of the traffic, in percent, at which a new cluster waits to be promoted; None where it never does."""
        return _given(self._strategy.pause_at_percent, 0) if self._strategy.auto_promotion is False else None

    @property
    def analysis(self) -> Analysis:
        """What a new cluster is held against."""
        return self._strategy.analysis or Analysis()

    @property
    def has_preview(self) -> bool:
        """Whether a Service leads to a new cluster before it takes over."""
        return bool(self._strategy.preview_service)

    @property
    def holds_cluster(self) -> bool:
        """Whether the cluster stays as it is, but for what changes in place."""
        return self._strategy.type == "None"

    @property
    def recreates(self) -> bool:
        """Whether the old cluster is to be gone before a new one is made."""
        return self._strategy.type == "Recreate"

    @property
    def rolls_back(self) -> bool:
        """Whether a Serve config that fails on the running cluster is replaced by the last good one."""
        return self._strategy.rollback != "Manual"

    @property
    def _incremental(self) -> ClusterUpgradeOptions | None:
        """The options of an upgrade in steps; None where it is in one."""
        is_so = self._strategy.type == "NewClusterWithIncrementalUpgrade"
        return self._strategy.cluster_upgrade_options if is_so else None

    @property
    def _strategy(self) -> ServiceUpgradeStrategy:
        return self.upgrade_strategy or ServiceUpgradeStrategy()


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


class DeploymentStatus(Model):
    """A Serve deployment, as Ray reports it."""

    status: str | None = None
    """Ray's word for its state."""
    message: str | None = None
    """Ray's explanation."""


class ApplicationStatus(Model):
    """A Serve application, as Ray reports it."""

    status: str | None = None
    """Ray's word for its state."""
    message: str | None = None
    """Ray's explanation."""
    serve_deployment_statuses: dict[str, DeploymentStatus] = {}
    """Its deployments by name."""


class ClusterServiceStatus(Model):
    """One of the two clusters of a RayService."""

    ray_cluster_name: str | None = None
    """Name of the RayCluster."""
    ray_cluster_status: RayClusterStatus | None = None
    """Status of the RayCluster."""
    application_statuses: dict[str, ApplicationStatus] = {}
    """The Serve applications on it by name."""
    target_capacity: int | None = None
    """Serve's target capacity on it, in percent."""
    traffic_routed_percent: int | None = None
    """Share of the traffic that it takes, in percent."""
    last_traffic_migrated_time: str | None = None
    """When that share last changed."""


class RayServiceStatus(Model):
    """What is known of a RayService."""

    active_service_status: ClusterServiceStatus | None = None
    """The cluster that takes traffic."""
    pending_service_status: ClusterServiceStatus | None = None
    """The cluster that is being made ready to take over."""
    num_serve_endpoints: int | None = None
    """Pods that take traffic through the serve Service."""
    service_status: Literal["", "Running"] | None = None
    """`Running` when the service takes traffic."""
    observed_generation: Annotated[int | None, Field(json_schema_extra={"format": "int64"})] = None
    """The generation of the spec that this status speaks of."""
    last_update_time: str | None = None
    """When this status was last written."""
    conditions: Annotated[list[Condition], Field(json_schema_extra=keyed_by("type"))] = []
    """The facts behind the summary."""
