"""The metrics of Ray that dashboards and alerts read, with their labels, as Ray 2.60 defines them.

Ray adds its prefix `ray_`, and `_total` to counters. Labels that every series has are left out (SessionName, WorkerId).
"""

from collections.abc import Mapping

_DEPLOYMENT = frozenset({"application", "deployment"})
_REPLICA = _DEPLOYMENT | {"replica", "route"}
_PROXY = frozenset({"application", "route", "method"})
_NODE = frozenset({"ip", "RayNodeType"})
_CLUSTER = frozenset({"node_type"})

COUNTERS: Mapping[str, frozenset[str]] = {
    "ray_serve_num_http_requests_total": _PROXY | {"status_code"},
    "ray_serve_num_http_error_requests_total": _PROXY | {"error_code"},
    "ray_serve_deployment_error_counter_total": _REPLICA | {"exception_type"},
}
HISTOGRAMS: Mapping[str, frozenset[str]] = {
    "ray_serve_http_request_latency_ms": _PROXY | {"status_code"},
    "ray_serve_deployment_processing_latency_ms": _REPLICA,
    "ray_serve_replica_startup_latency_ms": _DEPLOYMENT,
}
GAUGES: Mapping[str, frozenset[str]] = {
    "ray_serve_num_ongoing_http_requests": frozenset({"node_id", "node_ip_address"}),
    "ray_serve_deployment_queued_queries": _DEPLOYMENT | {"handle", "actor_id"},
    "ray_serve_replica_processing_queries": _REPLICA - {"route"},
    "ray_serve_replica_utilization_percent": _REPLICA - {"route"},
    "ray_serve_deployment_replica_healthy": _DEPLOYMENT,
    "ray_serve_autoscaling_target_replicas": _DEPLOYMENT,
    "ray_serve_autoscaling_desired_replicas": _DEPLOYMENT,
    "ray_serve_autoscaling_total_requests": _DEPLOYMENT,
    "ray_serve_application_status": frozenset({"application"}),
    "ray_serve_proxy_status": frozenset({"node_id", "node_ip_address"}),
    "ray_serve_controller_control_loop_duration_s": frozenset(),
    "ray_node_cpu_count": _NODE,
    "ray_node_cpu_utilization": _NODE,
    "ray_node_gpus_utilization": _NODE,
    "ray_cluster_pending_nodes": _CLUSTER,
    "ray_cluster_failed_nodes": _CLUSTER,
}
