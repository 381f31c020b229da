"""The chart, as far as it can be checked without Helm.

Covered: values against their schema and against the templates; the rights; the settings that the Deployment passes;
the copies of the CRDs. What needs rendering or a server is tested end to end.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rayserve_operator import __version__
from rayserve_operator.adapters import webhook
from rayserve_operator.render import network_policies, ports
from rayserve_operator.settings import PREFIX, Settings

from . import readme
from .rights import Right, granted, needed, rights_of

Values = dict[str, Any]


@pytest.fixture(scope="module")
def values(chart: Path) -> Values:
    values: Values = yaml.safe_load((chart / "values.yaml").read_text())
    return values


@pytest.fixture(scope="module")
def schema(chart: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((chart / "values.schema.json").read_text())
    return schema


@pytest.fixture(scope="module")
def templates(chart: Path) -> str:
    return "\n".join(path.read_text() for path in sorted((chart / "templates").rglob("*.*")))


@pytest.fixture(scope="module")
def rights(chart: Path) -> dict[str, set[Right]]:
    """The rules of each name."""
    text = (chart / "templates" / "_rules.tpl").read_text()
    found = re.findall(r'define "rayserve-operator\.(\w+)" -\}\}(.*?)\{\{- end \}\}', text, re.DOTALL)
    return {name: {right for rule in yaml.safe_load(_plain(body)) for right in rights_of(rule)} for name, body in found}


def _plain(body: str) -> str:
    return re.sub(r'\{\{ include "[^"]+" \. \}\}', "name", body)


def _leaves(values: Values, prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and path != "resources":
            yield from _leaves(value, f"{path}.")
        else:
            yield path


def test_the_default_values_meet_the_schema(values: Values, schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)


@pytest.mark.parametrize(
    "wrong",
    [
        {"imag": {"tag": "x"}},
        {"image": {"repository": "", "pullPolicy": "Always"}},
        {"image": {"repository": "x", "pullPolicy": "Sometimes"}},
        {"watchNamespaces": "default"},
        {"watchNamespaces": ["Not_a_name"]},
        {"logLevel": "loud"},
        {"manage": "some"},
        {"env": [{"value": "without a name"}]},
        {"resources": {"request": {}}},
        {"metrics": {"serviceMonitor": {"interval": "30"}}},
        {"metrics": {"rules": {"runbooks": "docs.example.com"}}},
        {"replicas": 2, "leaderElection": False},
        {"replicas": "2"},
        {"shard": "no shard"},
        {"defaultContainerEnv": [{"value": "without a name"}]},
        {"networkPolicy": {"apiServerPorts": []}},
        {"webhook": {"failurePolicy": "ignore"}},
        {"webhook": {"certManager": {"issuerRef": {"issuer": "x"}}}},
    ],
)
def test_a_wrong_value_is_refused(wrong: Values, schema: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_every_value_is_used_and_every_used_value_is_there(values: Values, templates: str) -> None:
    used = set(re.findall(r"\.Values\.([A-Za-z.]*[A-Za-z])", templates))
    assert used == set(_leaves(values))


def test_every_value_is_described(values: Values, chart: Path) -> None:
    described = {value.path for value in readme.values((chart / "values.yaml").read_text())}
    assert described == set(_leaves(values))


def test_every_value_is_in_the_schema(values: Values, schema: dict[str, Any]) -> None:
    assert set(values) == set(schema["properties"]) - {"global"}


def test_the_chart_is_of_the_packages_version(chart: Path) -> None:
    meta = yaml.safe_load((chart / "Chart.yaml").read_text())
    assert meta["appVersion"] == __version__


def test_the_operator_has_the_rights_that_it_needs_and_no_others(rights: dict[str, set[Right]]) -> None:
    assert set(rights) == {
        *("rules", "secretRules", "clusterRules", "leaseRules"),
        *("certificateRules", "renewalRules", "webhookRules"),
    }
    assert set.union(*rights.values()) == needed()


def test_secrets_the_lease_and_what_is_of_no_namespace_have_switches_of_their_own(
    rights: dict[str, set[Right]],
) -> None:
    resources = {name: {resource for _, resource, _ in found} for name, found in rights.items()}
    assert resources["secretRules"] == {"secrets"}
    assert resources["clusterRules"] == {"nodes", "customresourcedefinitions", "leases"}
    assert resources["leaseRules"] == {"leases"}
    assert resources["certificateRules"] == resources["renewalRules"] == {"secrets"}
    assert resources["webhookRules"] == {"validatingwebhookconfigurations"}
    assert not resources["rules"] & {"secrets", "nodes", "leases", "*"}


def test_the_operator_can_grant_what_it_grants_in_every_mode(rights: dict[str, set[Right]]) -> None:
    assert set(granted()) <= rights["rules"]


def test_the_deployment_passes_settings_that_exist(templates: str) -> None:
    passed = set(re.findall(rf"name: {PREFIX}([A-Z_]+)", templates))
    known = {field.name.upper() for field in dataclasses.fields(Settings)}
    assert passed <= known
    assert known - passed == {"HEALTH_PORT", "WEBHOOK_PORT"}


def test_the_default_values_are_settings_that_can_be_read(values: Values) -> None:
    settings = Settings.read(
        {
            f"{PREFIX}WATCH_NAMESPACES": ",".join(values["watchNamespaces"]),
            f"{PREFIX}CLUSTER_DOMAIN": values["clusterDomain"],
            f"{PREFIX}MANAGE": values["manage"],
            f"{PREFIX}LOG_LEVEL": values["logLevel"],
            f"{PREFIX}LOG_FORMAT": values["logFormat"],
            f"{PREFIX}SHARD": values["shard"],
            f"{PREFIX}DEFAULT_CONTAINER_ENV": json.dumps(values["defaultContainerEnv"]),
        }
    )
    assert settings == Settings(log_format="json")


def test_network_policies_know_the_operators_pods(templates: str) -> None:
    [(label, value)] = network_policies.OPERATOR.items()
    assert f'{label}: "{value}"' in templates


def test_probes_ask_where_the_operator_answers(templates: str) -> None:
    assert f"containerPort: {Settings().health_port}" in templates
    assert "path: /healthz" in templates
    assert "path: /readyz" in templates


def test_reviews_are_sent_where_they_are_answered(templates: str) -> None:
    assert f"- name: webhook\n              containerPort: {Settings().webhook_port}\n" in templates
    assert re.search(r"- name: webhook\n +port: 443\n +targetPort: webhook", templates)
    assert f"path: {webhook.PATH}\n" in templates
    assert f"timeoutSeconds: {webhook.PATIENCE:g}\n" in templates


def test_what_is_scraped_is_where_the_metrics_are(templates: str) -> None:
    assert re.search(r"- name: probes\n +containerPort: 8080", templates)
    assert re.search(r"- name: metrics\n +port: 8080\n +targetPort: probes", templates)
    assert ports.METRICS == "metrics", "of both monitors the port"
    assert templates.count("- port: metrics\n") == 2


def test_the_charts_crds_are_copies(root: Path, chart: Path) -> None:
    generated = {path.name: path.read_text() for path in (root / "crds").glob("*.yaml")}
    copies = {path.name: path.read_text() for path in (chart / "files" / "crds").glob("*.yaml")}
    assert copies == generated, "run `make generate`"
    names = {yaml.safe_load(text)["metadata"]["name"] for text in copies.values()}
    assert names == {"rayservices.ray.io", "rayclusters.ray.io"}
