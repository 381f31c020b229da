"""The keys of a Serve config and their values: the `ServeDeploySchema` of Ray 2.60, modelled without importing Ray.

Ray drops a key that it does not know without a word, and takes some values only to fail with them later. Here neither
passes. The source of every rule is Ray's `serve/schema.py` and `serve/config.py`; rules over more than one key stand in
`serve_agreements`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt
from pydantic_core import PydanticCustomError

AUTO = "auto"
_IMPORT_PATH = re.compile(r"{0}(\.{0})*(:{0}(\.{0})*)?".format(r"[^\s:./]+"))
_LEVELS = ("CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET")
_LEVEL_NUMBERS = (0, 10, 20, 30, 40, 50)
_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_SELECTED = re.compile(rf"!?({_LABEL}|(in)?\({_LABEL}(, ?{_LABEL})*\))|")

Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Object: TypeAlias = dict[str, Any]
RecordPart: TypeAlias = Literal[
    "args", "asctime", "created", "exc_info", "exc_text", "filename", "funcName", "levelname", "levelno", "lineno",
    "message", "module", "msecs", "msg", "name", "pathname", "process", "processName", "relativeCreated", "stack_info",
    "thread", "threadName", "taskName",
]  # fmt: skip
"""What Python's logging knows of a line."""


def _broken(code: str, problem: str, mend: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{problem}; {mend}", {"problem": problem, "mend": mend})


def _import_path(path: str) -> str:
    if (":" not in path and "." not in path) or not _IMPORT_PATH.fullmatch(path):
        raise _broken("RS109", f"is {path!r}, which names no application in a module", "write `module:app`")
    return path


def _route_prefix(route: str | None) -> str | None:
    if route is None:
        return None
    if not route.startswith("/"):
        raise _broken("RS110", f"is {route}, without a slash in front", f"write /{route}")
    if route != "/" and route.endswith("/"):
        raise _broken("RS110", f"is {route}, which ends in a slash", f"write {route.rstrip('/') or '/'}")
    if "{" in route or "}" in route:
        raise _broken("RS110", f"is {route}, with a wildcard", "name the path itself; the application routes below it")
    return route


def _replicas(value: Any) -> Any:
    if value is None or value == AUTO or (type(value) is int and value > 0):
        return value
    raise _broken("RS108", f"is {value}", "give a whole number above 0, or auto")


def _most_replicas(value: Any) -> Any:
    return 1 if value == AUTO else value  # Ray makes 100 of it; no bound is checked against it.


def _queued(value: int) -> int:
    if value == -1 or value >= 1:
        return value
    raise _broken("RS108", f"is {value}", "give -1 for no limit, or a number above 0")


def _gpus(value: float | None) -> float | None:
    if value is not None and value > 1 and not value.is_integer():
        raise _broken("RS108", f"is {value:g}", "give a part of one GPU, or a whole number")
    return value


def _log_level(value: Any) -> Any:
    if value in _LEVELS or (type(value) is int and value in _LEVEL_NUMBERS):
        return value
    raise _broken("RS108", f"is {value}", f"use {', '.join(_LEVELS)}")


def _selected(value: str) -> str:
    if _SELECTED.fullmatch(value):
        return value
    raise _broken("RS108", f"is {value}, which selects no label", "write a value, !value or in(one, other)")


class _Options(BaseModel):
    """A part of a Serve config; keys that Ray does not know are found."""

    model_config = ConfigDict(extra="forbid")


class Logging(_Options):
    """`logging_config`."""

    encoding: Literal["TEXT", "JSON"] = "TEXT"
    log_level: Annotated[Any, AfterValidator(_log_level)] = "INFO"
    logs_dir: str | None = None
    enable_access_log: bool = True
    additional_log_standard_attrs: list[RecordPart] = []


class Tracing(_Options):
    """`tracing_config`."""

    enabled: bool = False
    exporter_import_path: str = ""
    sampling_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01


class ActorOptions(_Options):
    """`ray_actor_options`: what a replica takes of its node."""

    runtime_env: Object = {}
    num_cpus: NotNegative | None = None
    num_gpus: Annotated[NotNegative | None, AfterValidator(_gpus)] = None
    memory: NotNegative | None = None
    resources: dict[str, NotNegative] = {}
    accelerator_type: str | None = None
    label_selector: dict[str, Annotated[str, AfterValidator(_selected)]] | None = None
    fallback_strategy: list[Object] | None = None


class Policy(_Options):
    """`policy` of `autoscaling_config`."""

    policy_function: str = ""
    policy_kwargs: Object = {}


class Autoscaling(_Options):
    """`autoscaling_config`. A PUT takes anything here; what is wrong shows when the application is deployed."""

    min_replicas: Annotated[int, Field(ge=0)] = 1
    initial_replicas: Annotated[int, Field(ge=0)] | None = None
    max_replicas: Annotated[int, Field(gt=0), BeforeValidator(_most_replicas)] = 1
    target_ongoing_requests: Positive | None = 2
    metrics_interval_s: Positive = 10
    look_back_period_s: Positive = 30
    smoothing_factor: Positive = 1
    upscale_smoothing_factor: Positive | None = None
    downscale_smoothing_factor: Positive | None = None
    upscaling_factor: Positive | None = None
    downscaling_factor: Positive | None = None
    upscale_delay_s: NotNegative = 30
    downscale_delay_s: NotNegative = 600
    downscale_to_zero_delay_s: NotNegative | None = None
    aggregation_function: Annotated[Literal["mean", "max", "min"], BeforeValidator(lambda v: str(v).lower())] = "mean"
    policy: Policy = Policy()


class Backpressure(_Options):
    """`backpressure_config`."""

    status_code: Literal[503, 429] = 503
    retry_after_s: NotNegative | None = None


class Gang(_Options):
    """`gang_scheduling_config`."""

    gang_size: Annotated[int, Field(ge=1)]
    gang_placement_strategy: Literal["PACK", "SPREAD"] = "PACK"
    runtime_failure_policy: Literal["RESTART_GANG"] = "RESTART_GANG"


class RequestRouter(_Options):
    """`request_router_config`."""

    request_router_class: str = ""
    request_router_kwargs: Object = {}
    request_routing_stats_period_s: Positive = 10
    request_routing_stats_timeout_s: Positive = 30
    initial_backoff_s: Positive = 0.025
    backoff_multiplier: Positive = 2
    max_backoff_s: Positive = 0.5


class DeploymentActor(_Options):
    """One of `deployment_actors`."""

    name: str
    actor_class: str
    init_args: list[Any] = []
    init_kwargs: Object = {}
    actor_options: Object = {}


class Deployment(_Options):
    """One of the `deployments` of an application; what it leaves out, the code decides."""

    name: str
    num_replicas: Annotated[Any, AfterValidator(_replicas)] = None
    max_ongoing_requests: Annotated[int, Field(gt=0)] = 5
    max_queued_requests: Annotated[StrictInt, AfterValidator(_queued)] = -1
    backpressure_config: Backpressure = Backpressure()
    user_config: Object | None = None
    autoscaling_config: Autoscaling | None = None
    graceful_shutdown_wait_loop_s: NotNegative = 2
    graceful_shutdown_timeout_s: NotNegative = 20
    health_check_period_s: Positive = 10
    health_check_timeout_s: Positive = 30
    ray_actor_options: ActorOptions = ActorOptions()
    placement_group_bundles: list[dict[str, NotNegative]] = []
    placement_group_strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = "PACK"
    placement_group_bundle_label_selector: list[dict[str, str]] = []
    max_replicas_per_node: Annotated[int, Field(ge=1, le=100)] = 100
    logging_config: Logging = Logging()
    request_router_config: RequestRouter = RequestRouter()
    gang_scheduling_config: Gang | None = None
    deployment_actors: list[DeploymentActor] | None = None
    rolling_update_percentage: Annotated[float, Field(gt=0, le=1)] = 0.2
    max_surge_percent: Annotated[int, Field(ge=0, le=100)] = 0


class Application(_Options):
    """One of the `applications`."""

    name: Annotated[str, Field(min_length=1)] = "default"
    route_prefix: Annotated[str | None, AfterValidator(_route_prefix)] = "/"
    import_path: Annotated[str, AfterValidator(_import_path)]
    runtime_env: Object = {}
    deployments: list[Deployment] = []
    autoscaling_policy: Object | None = None
    args: Object = {}
    logging_config: Logging | None = None
    external_scaler_enabled: bool = False


class Http(_Options):
    """`http_options`."""

    host: str = "0.0.0.0"  # noqa: S104  Ray's default.
    port: Annotated[int, Field(ge=1, le=65_535)] = 8000
    root_path: str = ""
    request_timeout_s: float | None = None
    keep_alive_timeout_s: int = 90
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: str | None = None


class Grpc(_Options):
    """`grpc_options`."""

    port: Annotated[int, Field(ge=1, le=65_535)] = 9000
    grpc_servicer_functions: list[str] = []
    request_timeout_s: float | None = None
    enable_reflection: bool = True


class Controller(_Options):
    """`controller_options`."""

    runtime_env: Object | None = None


class ServeSchema(_Options):
    """A Serve config as a whole."""

    proxy_location: Literal["EveryNode", "HeadOnly", "Disabled"] = "EveryNode"
    http_options: Http = Http()
    grpc_options: Grpc = Grpc()
    controller_options: Controller | None = None
    logging_config: Logging | None = None
    tracing_config: Tracing | None = None
    applications: list[Application]
    target_capacity: Annotated[float, Field(ge=0, le=100)] | None = None
