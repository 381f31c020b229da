import pytest

from rayserve_operator.adapters.ray import ongoing

NODE = 'ray_node_mem_used{NodeAddress="10.0.0.1"} 5.0\n'
PROXY = "# TYPE ray_serve_num_ongoing_http_requests gauge\n"


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ("", None),
        ("python_info 1.0\n", None),
        (NODE, 0),
        (NODE + PROXY + 'ray_serve_num_ongoing_http_requests{node="a"} 0.0\n', 0),
        (
            NODE
            + PROXY
            + 'ray_serve_num_ongoing_http_requests{node="a"} 2.0\nray_serve_num_ongoing_http_requests{node="b"} 1.0\n',
            3,
        ),
        (NODE + "ray_serve_num_ongoing_grpc_requests 1.0\n", 1),
        (NODE + "ray_serve_replica_processing_queries 4.0\n", 4),
        (NODE + "ray_serve_deployment_request_counter_total 7.0\n", 0),
    ],
    ids=["empty", "none of Ray's", "no request yet", "idle", "two proxies", "gRPC", "in a replica", "a counter"],
)
def test_requests_under_way_are_read_from_a_pods_metrics(metrics: str, expected: int | None) -> None:
    assert ongoing(metrics) == expected
