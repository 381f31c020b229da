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
        ("{http_options: {port: x}, applications: []}", "spec.serveConfigV2:http_options.port", "is x"),
        ("{http_options: 8000, applications: []}", "spec.serveConfigV2:http_options", "is not a mapping"),
        ("{proxy_location: Everywhere, applications: []}", "spec.serveConfigV2:proxy_location", "is Everywhere"),
        ("applications: []\napplications: []", "spec.serveConfigV2", "applications is given twice at line 2"),
        ("a: &a [*a]\napplications: []", "spec.serveConfigV2", "grows without bound"),
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


def test_an_answer_of_a_ray_without_serve_is_no_news() -> None:
    status = ServeStatus.parse({"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None})
    assert (status.started, status.all_running, status.deployed) == (False, False, DeployedConfig())


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
    assert status.deployed.apps == {"a": {"import_path": "a:b"}}
