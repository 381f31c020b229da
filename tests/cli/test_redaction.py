from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from rayserve_operator.cli.redaction import REDACTED, redacted, redacted_text

HIDDEN = "hunter2hunter2"
CONFIG = f"""\
applications:
  - name: app
    import_path: app:x
    runtime_env: {{env_vars: {{MODEL: {HIDDEN}}}, working_dir: "https://me:{HIDDEN}@example.com/a.zip?sig={HIDDEN}"}}
    deployments:
      - name: D
        num_replicas: 2
        user_config: {{hf_token: {HIDDEN}, max_tokens: 512, tokenizer: plain}}  # {HIDDEN}
"""


@pytest.mark.parametrize(
    "manifest",
    [
        {"env": [{"name": "A", "value": HIDDEN}]},
        {"env": {"A": HIDDEN}},
        {"env": HIDDEN},
        {"serveConfigV2": CONFIG},
        {"serveConfigV2": f"applications: [{HIDDEN}"},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": HIDDEN}}},
        {"metadata": {"annotations": {"made-from": json.dumps({"env": [{"name": "A", "value": HIDDEN}]})}}},
        {"metadata": {"managedFields": [HIDDEN]}},
        {"redisPassword": {"value": HIDDEN}},
        {"rayStartParams": {"redis-password": HIDDEN}},
        {"password": 123456} | {"apiKey": HIDDEN},
        {"tokens": [HIDDEN]},
        {"args": ["ray start", "--redis-password", HIDDEN]},
        {"args": [f"ray start --redis-password={HIDDEN} --head"]},
        {"args": [f"ray start --redis-password {HIDDEN} --head"]},
        {"args": [f"export API_KEY='{HIDDEN}'; serve"]},
        {"headers": {"Authorization": f"Bearer {HIDDEN}"}},
        {"message": f"GET https://example.com/a?X-Amz-Signature={HIDDEN} failed"},
        {"message": f"redis://:{HIDDEN}@redis:6379 does not answer"},
        {"deployed_app_config": {"runtime_env": {"env_vars": {"A": HIDDEN}}}},
    ],
)
def test_no_secret_is_left_wherever_it_stands(manifest: dict[str, Any]) -> None:
    told = json.dumps(redacted(manifest))
    assert HIDDEN not in told
    assert "123456" not in told


def test_everything_else_stays_as_it_is() -> None:
    pod = {
        "spec": {
            "automountServiceAccountToken": False,
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [{"name": "v", "secret": {"secretName": "certificates", "defaultMode": 420}}],
            "containers": [{"name": "ray", "image": "ray:1", "args": ["ray start --head"]}],
        },
        "authOptions": {"mode": "token", "secretName": "mine"},
        "status": {"message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."},
    }
    assert redacted(pod) == pod


def test_of_a_variable_its_name_stays_and_where_its_value_comes_from() -> None:
    source = {"name": "B", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "password"}}}
    found = redacted({"env": [{"name": "A", "value": "1"}, source]})
    assert found == {"env": [{"name": "A", "value": REDACTED}, source]}


def test_of_a_serve_config_its_shape_stays() -> None:
    [app] = yaml.safe_load(redacted({"serveConfigV2": CONFIG})["serveConfigV2"])["applications"]
    assert app["runtime_env"]["env_vars"] == {"MODEL": REDACTED}
    [deployment] = app["deployments"]
    assert deployment["num_replicas"] == 2
    assert deployment["user_config"] == {"hf_token": REDACTED, "max_tokens": 512, "tokenizer": "plain"}


@pytest.mark.parametrize(
    "line",
    [
        f'{{"level": "info", "token": "{HIDDEN}"}}',
        f"Authorization: Bearer {HIDDEN}",
        f"could not read secret={HIDDEN}, trying again",
    ],
)
def test_logs_are_looked_through_too(line: str) -> None:
    assert HIDDEN not in redacted_text(line)


def test_an_ordinary_line_of_a_log_stays() -> None:
    line = "2030-01-01 12:00:00 WARNING default/demo Ray refuses the token that it was given"
    assert redacted_text(line) == line
