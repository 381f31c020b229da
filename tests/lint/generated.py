"""What is generated: manifests that Ray takes, by other Serve configs in the good one; and what nobody would write."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import strategies as st

from .cases import GOOD

WORD = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
SECONDS = st.floats(0.5, 600, allow_nan=False)
FREE = st.dictionaries(WORD, st.one_of(st.integers(), st.text(max_size=5), st.none(), st.booleans()), max_size=2)


def options(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these keys."""
    return st.fixed_dictionaries({}, optional=known)


RUNTIME_ENV = options(
    working_dir=st.sampled_from(["https://example.com/a.zip", "s3://bucket/a.zip", "local:///app"]),
    env_vars=st.dictionaries(WORD, WORD, max_size=2),
    pip=st.lists(WORD, max_size=2),
)
LOGGING = options(
    encoding=st.sampled_from(["TEXT", "JSON"]),
    log_level=st.sampled_from(["INFO", "DEBUG", 20]),
    enable_access_log=st.booleans(),
)
SCALING = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5)).flatmap(
    lambda n: options(
        target_ongoing_requests=st.one_of(st.integers(1, 50), SECONDS),
        initial_replicas=st.just(min(n[0] + n[1], n[0] + n[1] + n[2])),
        upscale_delay_s=SECONDS,
        downscale_delay_s=st.integers(0, 600),
        aggregation_function=st.sampled_from(["mean", "max", "MIN"]),
        policy=st.just({"policy_function": "policies:scale", "policy_kwargs": {"a": 1}}),
    ).map(lambda found: {"min_replicas": n[0], "max_replicas": n[0] + n[1] + n[2], **found})
)
DEPLOYMENT = options(
    max_ongoing_requests=st.integers(1, 100),
    max_queued_requests=st.one_of(st.just(-1), st.integers(1, 100)),
    user_config=st.one_of(st.none(), FREE),
    graceful_shutdown_timeout_s=SECONDS,
    health_check_period_s=SECONDS,
    ray_actor_options=options(
        num_cpus=st.floats(0, 8, allow_nan=False),
        num_gpus=st.sampled_from([0, 0.25, 0.5, 1, 2]),
        memory=st.integers(0, 10**11),
        resources=st.dictionaries(WORD, st.integers(0, 4), max_size=1),
        runtime_env=RUNTIME_ENV,
    ),
    logging_config=LOGGING,
    max_surge_percent=st.integers(0, 100),
    rolling_update_percentage=st.floats(0.1, 1),
    backpressure_config=options(status_code=st.sampled_from([503, 429])),
    request_router_config=options(request_router_class=st.just("routers:Mine"), backoff_multiplier=SECONDS),
)
REPLICAS = st.one_of(
    options(num_replicas=st.one_of(st.integers(1, 50), st.just("auto"), st.none())),
    st.fixed_dictionaries({"autoscaling_config": SCALING}, optional={"num_replicas": st.just("auto")}),
)
DEPLOYMENTS = st.lists(st.tuples(DEPLOYMENT, REPLICAS), max_size=3).map(
    lambda found: [{"name": f"D{index}", **one, **more} for index, (one, more) in enumerate(found)]
)
APPLICATIONS = st.lists(
    st.fixed_dictionaries(
        {"import_path": st.sampled_from(["app:app", "pkg.module:build", "pkg.module.app"]), "deployments": DEPLOYMENTS},
        optional={"args": FREE, "runtime_env": RUNTIME_ENV, "logging_config": LOGGING},
    ),
    max_size=3,
).map(lambda found: [{"name": f"a{i}", "route_prefix": f"/a{i}" if i else None, **one} for i, one in enumerate(found)])
CONFIG = st.fixed_dictionaries(
    {"applications": APPLICATIONS},
    optional={
        "proxy_location": st.sampled_from(["EveryNode", "HeadOnly", "Disabled"]),
        "http_options": options(port=st.integers(1, 65535), host=st.just("127.0.0.1"), request_timeout_s=SECONDS),
        "grpc_options": options(port=st.integers(1, 65535), grpc_servicer_functions=st.lists(WORD, max_size=1)),
        "logging_config": LOGGING,
        "target_capacity": st.one_of(st.none(), st.floats(0, 100)),
    },
)


QUANTITY = st.sampled_from(["1Gi", "1500M", "2147483648", "3.5Gi"])
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "requests": options(cpu=st.sampled_from(["500m", "1", 2, "1.5"]), memory=st.just("1Gi")),
        "limits": options(
            **{"cpu": st.sampled_from(["4", 8]), "memory": QUANTITY, "nvidia.com/gpu": st.integers(1, 2)}
        ),
    },
)
CONTAINER = st.fixed_dictionaries({"name": st.just("ray"), "image": st.just("ray"), "resources": RESOURCES})
POD = st.fixed_dictionaries(
    {"containers": CONTAINER.map(lambda container: [container])},
    optional={
        "terminationGracePeriodSeconds": st.integers(60, 900),
        "nodeSelector": st.dictionaries(WORD, WORD, max_size=1),
        "tolerations": st.just([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]),
        "serviceAccountName": st.just("default"),
    },
)
TEMPLATE = st.fixed_dictionaries(
    {"spec": POD}, optional={"metadata": options(labels=st.dictionaries(WORD, WORD, max_size=1))}
)
SIZE = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 3)).map(
    lambda n: {"minReplicas": n[0], "replicas": n[0] + n[1], "maxReplicas": sum(n)}
)
GROUP = st.tuples(
    SIZE,
    st.fixed_dictionaries(
        {"template": TEMPLATE},
        optional={
            "numOfHosts": st.integers(1, 2),
            "idleTimeoutSeconds": st.integers(10, 600),
            "rayStartParams": options(**{"num-cpus": st.sampled_from(["1", "4"])}),
        },
    ),
).map(lambda found: found[0] | found[1])
GROUPS = st.lists(GROUP, max_size=3).map(lambda found: [{"groupName": f"g{i}", **one} for i, one in enumerate(found)])
SMOKE = st.fixed_dictionaries({"path": st.just("/health")}, optional={"status": st.sampled_from([200, 404])})
LIMITS = options(
    progressDeadlineSeconds=st.integers(60, 7200),
    rollback=st.sampled_from(["Automatic", "Manual"]),
    warmUpTimeoutSeconds=st.integers(0, 600),
    onWarmUpTimeout=st.sampled_from(["Proceed", "Rollback"]),
    drainTimeoutSeconds=st.integers(0, 3600),
    revisionHistoryLimit=st.integers(0, 20),
)
BESIDE = options(
    previewService=st.booleans(),
    autoPromotion=st.booleans(),
    analysis=options(
        smokeRequests=st.lists(SMOKE, max_size=2, unique_by=lambda smoke: smoke["path"]),
        maxErrorPercent=st.integers(1, 50),
        maxLatencyPercent=st.integers(110, 500),
        minRequests=st.integers(1, 100),
    ),
)
STEPS = st.one_of(
    st.tuples(st.integers(1, 100), st.integers(0, 99)).map(
        lambda n: {"stepSizePercent": n[0], "maxSurgePercent": min(n[0] + n[1], 100)}
    ),
    st.fixed_dictionaries({"steps": st.lists(st.integers(1, 99), unique=True, max_size=3).map(sorted)}),
)
STRATEGY = st.one_of(
    st.tuples(LIMITS, options(type=st.sampled_from(["None", "Recreate"]))),
    st.tuples(LIMITS, BESIDE, options(type=st.just("NewCluster"))),
    st.tuples(LIMITS, BESIDE, STEPS, st.integers(1, 600)).map(
        lambda found: (
            *found[:2],
            {
                "type": "NewClusterWithIncrementalUpgrade",
                "clusterUpgradeOptions": {**found[2], "intervalSeconds": found[3]},
            },
        )
    ),
).map(lambda parts: {key: value for part in parts for key, value in part.items()})
SPEC = options(
    rayClusterDeletionDelaySeconds=st.integers(0, 600),
    excludeHeadPodFromServeSvc=st.booleans(),
    upgradeStrategy=STRATEGY,
)
CLUSTER = st.fixed_dictionaries(
    {
        "rayVersion": st.just("2.60.0"),
        "enableInTreeAutoscaling": st.just(value=True),
        "headGroupSpec": st.fixed_dictionaries(
            {"template": TEMPLATE}, optional={"rayStartParams": options(**{"num-cpus": st.just("0")})}
        ),
        "workerGroupSpecs": GROUPS,
    },
    optional={"autoscalerOptions": options(idleTimeoutSeconds=st.integers(10, 600), upscalingMode=st.just("Default"))},
)
MANIFEST = st.tuples(CONFIG, SPEC, CLUSTER).map(
    lambda found: (
        GOOD
        | {
            "spec": {
                **found[1],
                "serveConfigV2": yaml.safe_dump(found[0], sort_keys=False),
                "rayClusterConfig": found[2],
            }
        }
    )
)
"""Whole manifests, unwise as they may be."""


def with_serve(config: Any) -> dict[str, Any]:
    """The good manifest with another Serve config."""
    manifest = copy.deepcopy(GOOD)
    manifest["spec"]["serveConfigV2"] = yaml.safe_dump(config, sort_keys=False)
    return manifest


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 10**20), st.floats(allow_nan=False), st.text(max_size=4)),
    lambda children: st.one_of(st.lists(children, max_size=2), st.dictionaries(WORD, children, max_size=2)),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in it."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """The value with another one at a path."""
    if not path:
        return by
    changed = copy.copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], by)
    return changed
