import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.model.serve import DeployedConfig, ServeConfig, ServeStatus
from rayserve_operator.model.serve_parsing import parse_serve_config

ECHO = """
applications:
  - name: echo
    import_path: echo:app
    deployments:
      - name: Echo
        num_replicas: 2
        user_config: {greeting: hello}
"""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def deployed(text: str, **changes: Any) -> DeployedConfig:
    apps = {app["name"]: {**app, **changes} for app in yaml.safe_load(text)["applications"]}
    return DeployedConfig(apps)


def test_no_config_has_no_applications() -> None:
    assert parse_serve_config(None).application_names == ()
    assert parse_serve_config("  # nothing yet\n").document == {"applications": []}


def test_names_ports_and_proxies_have_rays_defaults() -> None:
    config = parse_serve_config("applications: [{import_path: 'a:b'}]")
    assert (config.application_names, config.http_port, config.proxy_location) == (("default",), 8000, "EveryNode")


@pytest.mark.parametrize(
    "same",
    [
        ECHO.replace("\n  ", "\n     "),
        f"# a comment\n{ECHO}",
        json.dumps(yaml.safe_load(ECHO)),
        ECHO.replace("{greeting: hello}", '{"greeting": "hello"}'),
        """
applications:
  - deployments: [{user_config: {greeting: hello}, num_replicas: 2, name: Echo}]
    import_path: echo:app
    name: echo
""",
    ],
    ids=["indentation", "comment", "JSON", "quotes", "order of keys"],
)
def test_formatting_is_no_change(same: str) -> None:
    assert parse_serve_config(same).digest == parse_serve_config(ECHO).digest


def test_a_changed_value_is_a_change() -> None:
    assert parse_serve_config(ECHO.replace("hello", "bonjour")).digest != parse_serve_config(ECHO).digest


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("a: [", "spec.serveConfigV2", "line 2, column 1"),
        ("- a", "spec.serveConfigV2", "is not a mapping"),
        ("just words", "spec.serveConfigV2", "is not a mapping"),
        ("{}", "spec.serveConfigV2:applications", "is not a list"),
        ("applications: {}", "spec.serveConfigV2:applications", "is not a list"),
        ("applications: [1]", "spec.serveConfigV2:applications[0]", "is not a mapping"),
        ("applications: [{}]", "spec.serveConfigV2:applications[0].import_path", "is missing"),
        (
            "applications: [{name: a, import_path: 'a:b'}, {name: a, import_path: 'a:b', route_prefix: /a}]",
            "spec.serveConfigV2:applications[1].name",
            "is a again",
        ),
        (
            "applications: [{name: a, import_path: 'a:b'}, {name: b, import_path: 'a:b'}]",
            "spec.serveConfigV2:applications[1].route_prefix",
            "is / again",
        ),
        (
            "applications: [{import_path: 'a:b', deployments: {D: {num_replicas: 2}}}]",
            "spec.serveConfigV2:applications[0].deployments",
            "is not a list",
        ),
        (
            "applications: [{import_path: 'a:b', deployments: [{name: D}, E]}]",
            "spec.serveConfigV2:applications[0].deployments[1]",
            "is not a mapping",
        ),
        (
            "applications: [{import_path: 'a:b', deployments: [{num_replicas: 2}]}]",
            "spec.serveConfigV2:applications[0].deployments[0].name",
            "is None",
        ),
        ("{http_options: {port: x}, applications: []}", "spec.serveConfigV2:http_options.port", "is x"),
        ("{http_options: 8000, applications: []}", "spec.serveConfigV2:http_options", "is not a mapping"),
        ("{proxy_location: Everywhere, applications: []}", "spec.serveConfigV2:proxy_location", "is Everywhere"),
        ("applications: []\napplications: []", "spec.serveConfigV2", "applications is given twice at line 2"),
        ("a: &a [*a]\napplications: []", "spec.serveConfigV2", "its aliases (*) written out"),
        ("a: &a {k: 1}\nb: {<<: [" + "*a, " * 200_000 + "]}", "spec.serveConfigV2", "its aliases (*) written out"),
        ("[" * 500_000, "spec.serveConfigV2", "more than 100 levels at line 1, column 101"),
        ("- " * 400_000 + "x", "spec.serveConfigV2", "more than 100 levels"),
        ("{applications: [], a: .inf}", "spec.serveConfigV2", ".inf is no value of JSON at line 1, column 23"),
        ("{applications: [], a: 1e999}", "spec.serveConfigV2", "1e999 is no value of JSON"),
        (f"{{applications: [], a: {'9' * 5000}}}", "spec.serveConfigV2", "is no value of JSON"),
        ("{applications: [], a: !!int x}", "spec.serveConfigV2", "x is no value of JSON"),
        ("{applications: [], a: !!bool x}", "spec.serveConfigV2", "x is no value of JSON"),
        ("{applications: [], a: !!binary aGk=}", "spec.serveConfigV2", "binary is nothing that JSON has"),
        ("{applications: [], a: !!set {b}}", "spec.serveConfigV2", "set is nothing that JSON has"),
        ("{applications: [], a: !!map [b]}", "spec.serveConfigV2", "map is nothing that JSON has"),
        ("{applications: [], a: !python/name:os.system x}", "spec.serveConfigV2", "is nothing that JSON has"),
        ('{applications: [], a: "\x00"}', "spec.serveConfigV2", "control characters are not allowed"),
        ("applications: []\n---\napplications: []", "spec.serveConfigV2", "but found another document"),
        ("{http_options: {port: true}, applications: []}", "spec.serveConfigV2:http_options.port", "is True"),
        ("? [a, b]\n: c", "spec.serveConfigV2", "is not YAML"),
        (f"a: {'x' * 1_000_001}", "spec.serveConfigV2", "characters"),
    ],
)
def test_a_config_that_cannot_work_is_refused_with_its_path_and_mend(text: str, path: str, words: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        parse_serve_config(text)
    [problem] = refusal.value.problems
    assert problem.path == path
    assert words in problem.problem
    assert problem.mend


def test_aliases_that_stay_small_are_fine() -> None:
    config = parse_serve_config("applications: [{import_path: 'a:b', args: &x {n: 1}, runtime_env: *x}]")
    assert config.document["applications"][0]["runtime_env"] == {"n": 1}


def test_a_merge_is_no_key_given_twice() -> None:
    text = "a: &a {k: 1}\nx: {y: &b {<<: *a, k: 2}}\nc: {<<: *b}\napplications: []"
    document = parse_serve_config(text).document
    assert (document["x"], document["c"]) == ({"y": {"k": 2}}, {"k": 2})


def levels(depth: int) -> str:
    """Anchors that each stay shallow and together make a value of some depth."""
    chain = [f"a0: &a0 {'[' * 50}{']' * 50}"]
    chain += [f"a{step}: &a{step} {'[' * 10}*a{step - 1}{']' * 10}" for step in range(1, depth // 10 - 4)]
    return "\n".join([*chain, "applications: []"])


def test_depth_is_counted_through_aliases() -> None:
    parse_serve_config(levels(90))
    with pytest.raises(InvalidSpec, match="levels"):
        parse_serve_config(levels(110))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e-4", 0.0001),
        ("2E3", 2000.0),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("-1_000", -1000),
        ("0x10", 16),
        ("yes", True),
        ("~", None),
        ("2026-01-31", "2026-01-31"),
        ("1:30", "1:30"),
        ("1.10.0", "1.10.0"),
        ("e5", "e5"),
        ("'1e5'", "1e5"),
        ("=", "="),
        ("{1: a, b: c}", {"1": "a", "b": "c"}),
        ("{yes: a, 0.5: b}", {"true": "a", "0.5": "b"}),
    ],
)
def test_values_are_read_as_kuberay_reads_them(written: str, read: Any) -> None:
    config = parse_serve_config(f"applications: [{{import_path: 'a:b', args: {{v: {written}}}}}]")
    assert config.document["applications"][0]["args"] == {"v": read}
    assert type(config.document["applications"][0]["args"]["v"]) is type(read)


@given(JSON)
def test_json_is_read_as_json(value: Any) -> None:
    """Every JSON text is YAML and says the same, but for what is too deep, too large or given twice."""
    document = {"applications": [], "value": value}
    with suppress(InvalidSpec):
        assert parse_serve_config(json.dumps(document)).document == document


def only(app: dict[str, Any]) -> ServeConfig:
    return ServeConfig({"applications": [{"name": "a", "import_path": "a:b", **app}]})


def running(app: dict[str, Any]) -> DeployedConfig:
    return DeployedConfig({"a": {"name": "a", "import_path": "a:b", **app}})


def one_deployment(**fields: Any) -> dict[str, Any]:
    return {"deployments": [{"name": "D", **fields}]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"runtime_env": {"env_vars": {"V": "1.10"}}}, {"runtime_env": {"env_vars": {"V": "1.1"}}}),
        ({"args": {"id": "7"}}, {"args": {"id": "007"}}),
        ({"args": {"id": "7"}}, {"args": {"id": 7}}),
        ({"args": {"id": 2**53}}, {"args": {"id": 2**53 + 1}}),
        ({"args": {"a": None}}, {"args": {}}),
        ({"args": {"a": {}}}, {"args": {"a": None}}),
        ({"route_prefix": None}, {}),
        ({"args": {"on": True}}, {"args": {"on": 1}}),
        (one_deployment(user_config={"a": ""}), one_deployment(user_config={"a": None})),
        (one_deployment(autoscaling_config={}), one_deployment()),
        (
            one_deployment(ray_actor_options={"runtime_env": {"env_vars": {"A": "1"}}}),
            one_deployment(ray_actor_options={"runtime_env": {"env_vars": {"A": "1.0"}}}),
        ),
    ],
)
def test_a_change_that_the_application_sees_is_one(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert only(after).differences(running(before))
    assert only(before).differences(running(after))


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        (one_deployment(max_ongoing_requests="7"), one_deployment(max_ongoing_requests=7)),
        (one_deployment(health_check_period_s=5), one_deployment(health_check_period_s=5.0)),
        (one_deployment(ray_actor_options={"num_cpus": "0.5"}), one_deployment(ray_actor_options={"num_cpus": 0.5})),
        (one_deployment(autoscaling_config=None), one_deployment()),
        ({"runtime_env": {}, "args": {"a": None}}, {"runtime_env": {}, "args": {"a": None}}),
    ],
)
def test_rays_own_spelling_of_a_typed_value_is_no_change(written: dict[str, Any], answered: dict[str, Any]) -> None:
    assert only(written).differences(running(answered)) == ()


def test_differences_are_told_in_the_same_order_always() -> None:
    names = [f"app{number}" for number in range(20)]
    apps = {name: {"name": name, "import_path": "a:b"} for name in names}
    assert ServeConfig({"applications": []}).differences(DeployedConfig(apps)) == tuple(
        f"applications.{name}" for name in sorted(names)
    )


@given(JSON)
def test_whatever_yaml_says_is_read_or_refused(value: Any) -> None:
    with suppress(InvalidSpec):
        assert isinstance(parse_serve_config(yaml.safe_dump(value)).application_names, tuple)


def test_what_ray_runs_is_compared_by_value() -> None:
    config = parse_serve_config(ECHO)
    assert config.differences(deployed(ECHO)) == ()
    assert config.differences(deployed(ECHO.replace("num_replicas: 2", "num_replicas: 2.0"))) == ()
    assert config.differences(deployed(ECHO, runtime_env=None)) == ()


def test_differences_are_named_by_their_path() -> None:
    config = parse_serve_config(ECHO)
    assert config.differences(deployed(ECHO.replace("hello", "hi"))) == (
        "applications.echo.deployments.0.user_config.greeting",
    )
    assert config.differences(DeployedConfig()) == ("applications.echo",)
    assert config.differences(DeployedConfig({**deployed(ECHO).apps, "other": {}})) == ("applications.other",)
    assert config.differences(DeployedConfig(deployed(ECHO).apps, 50)) == ("target_capacity",)


def test_a_flag_is_not_a_number() -> None:
    config = ServeConfig({"applications": [{"name": "a", "import_path": "a:b", "external_scaler_enabled": True}]})
    running = DeployedConfig({"a": {"name": "a", "import_path": "a:b", "external_scaler_enabled": 1}})
    assert config.differences(running)


def test_the_logging_config_of_the_top_is_found_in_each_application() -> None:
    config = parse_serve_config(f"logging_config: {{log_level: DEBUG}}\n{ECHO}")
    assert config.differences(deployed(ECHO, logging_config={"log_level": "DEBUG"})) == ()


def test_what_only_a_new_cluster_can_change_is_set_apart() -> None:
    config = parse_serve_config(f"proxy_location: HeadOnly\nhttp_options: {{port: 9000}}\n{ECHO}")
    assert config.cluster_part == {"proxy_location": "HeadOnly", "http_options": {"port": 9000}}


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ("proxy_location: EveryNode", {}),
        ("http_options: {host: 0.0.0.0, port: 8000, root_path: '', request_timeout_s: null}", {}),
        ("http_options: {port: 8000, request_timeout_s: 5}", {"http_options": {"request_timeout_s": 5}}),
        ("http_options: {keep_alive_timeout_s: 90}\ngrpc_options: {port: 9000, enable_reflection: true}", {}),
        ("grpc_options: {enable_reflection: false}", {"grpc_options": {"enable_reflection": False}}),
        ("controller_options: {}\nhttp_options: {}", {}),
    ],
)
def test_what_ray_would_take_in_any_case_takes_no_new_cluster(options: str, kept: dict[str, object]) -> None:
    assert parse_serve_config(f"{options}\n{ECHO}").cluster_part == kept


def test_an_answer_of_a_ray_without_serve_is_no_news() -> None:
    status = ServeStatus.parse({"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None})
    assert (status.started, status.all_running, status.deployed) == (False, False, DeployedConfig())


def test_a_node_has_a_proxy_or_is_to_have_one_where_a_replica_runs() -> None:
    statuses = {"10.0.0.1": "HEALTHY", "10.0.0.2": "STARTING", "10.0.0.3": "DRAINING"}
    states = {"10.0.0.4": "RUNNING", "10.0.0.5": "STARTING", "10.0.0.6": "STOPPING"}
    replicas = [{"state": state, "node_ip": address} for address, state in states.items()]
    status = ServeStatus.parse(
        {
            "proxies": {ip: {"node_ip": ip, "status": said} for ip, said in statuses.items()},
            "applications": {"a": {"deployments": {"D": {"replicas": replicas}}}},
        }
    )
    assert status.places == {"10.0.0.1", "10.0.0.2", "10.0.0.4"}


def test_rays_answer_is_read_with_all_that_may_be_absent() -> None:
    status = ServeStatus.parse(
        {
            "controller_info": {"node_ip": "10.0.0.1"},
            "proxies": {"n1": {"node_ip": "10.0.0.1", "status": "HEALTHY"}, "n2": {"status": "STARTING"}},
            "applications": {
                "a": {
                    "status": "DEPLOY_FAILED",
                    "message": "\x1b[31mbroken\x1b[0m",
                    "deployed_app_config": {"import_path": "a:b"},
                    "source": "declarative",
                    "last_deployed_time_s": 12.5,
                    "deployments": {"D": {"status": "UNHEALTHY"}},
                },
                "b": {"status": "RUNNING", "source": "imperative"},
            },
        }
    )
    assert status.started
    assert not status.all_running
    assert status.healthy_proxy_ips == {"10.0.0.1"}
    assert status.applications["a"].message == "broken"
    assert status.applications["a"].deployments["D"].status == "UNHEALTHY"
    assert (status.applications["a"].source, status.applications["a"].last_deployed_time_s) == ("declarative", 12.5)
    assert (status.applications["b"].source, status.applications["b"].last_deployed_time_s) == ("imperative", None)
    assert status.deployed.apps == {"a": {"import_path": "a:b"}}


@pytest.mark.parametrize(
    "application",
    [
        {"status": {}},
        {"message": ["broken"]},
        {"source": 1},
        {"deployed_app_config": ["a:b"]},
        {"last_deployed_time_s": "now"},
        {"last_deployed_time_s": 1e300},
        {"last_deployed_time_s": -1},
        {"deployments": {"D": {"status": 1}}},
        {"deployments": {"D": {"message": {}}}},
    ],
    ids=str,
)
def test_what_ray_never_says_is_not_believed(application: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        ServeStatus.parse({"applications": {"a": application}})


@given(JSON)
def test_whatever_answers_in_the_place_of_ray_is_read_or_refused(answer: Any) -> None:
    for said in (answer, {"applications": answer}, {"applications": {"a": answer}}, {"proxies": {"n": answer}}):
        with suppress(AttributeError, KeyError, TypeError):
            ServeStatus.parse(said)
