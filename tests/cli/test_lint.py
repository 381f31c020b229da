from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from rayserve_operator.cli.app import app
from tests.lint.cases import CASES, GOOD

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))

BAD = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: not-ours, name: twice, date: !!timestamp 2030-01-01}
---
apiVersion: ray.io/v1
kind: RayService
metadata:
  name: shop
spec:
  serveConfigV2: |  # The applications.

      applications:
        - import_path: shop:app
          deployments:
            - name: Model
              max_concurrent_queries: 14
              num_replicas: 2
  rayClusterConfig:
    rayVersion: "2.60.0"
    headGroupSpec:
      rayStartParams: {num-cpus: "2"}
      template:
        spec:
          terminationGracePeriodSeconds: 30
          containers:
            - name: ray
              resources: {requests: {cpu: 2, memory: 4Gi}}
"""


def lint(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["lint", *arguments], input=stdin, env={"COLUMNS": "200"})


def findings(text: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(lint("-", "-o", "json", stdin=text).stdout)
    return told


def places(text: str) -> list[tuple[str, int, int]]:
    return [(one["code"], one["line"], one["column"]) for one in findings(text)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_samples_have_no_errors(sample: Path) -> None:
    assert lint(str(sample)).exit_code == 0


def test_findings_stand_at_lines_and_columns_of_the_file() -> None:
    assert places(BAD) == [("RS105", 16, 15), ("RS403", 24, 11)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('"applications: [{import_path: shop}]"', (3, 3)),
        (">\n    applications:\n      - import_path: shop", (3, 3)),
        ("|\n    # One of them.\n    applications:\n      - import_path: shop", (6, 9)),
        ("|-\n    applications:\n    - {import_path: shop}", (5, 8)),
        ("|2\n      applications:\n      - {import_path: shop}", (5, 10)),
    ],
)
def test_every_style_of_text_has_a_place(text: str, place: tuple[int, int]) -> None:
    manifest = f"kind: RayService\nspec:\n  serveConfigV2: {text}\napiVersion: ray.io/v1\n"
    [found] = [one for one in findings(manifest) if one["code"] == "RS109"]
    assert (found["line"], found["column"]) == place


def test_what_is_no_yaml_within_the_manifest_is_told_at_its_line() -> None:
    assert ("RS101", 13, 28) in places(BAD.replace("import_path: shop:app", "import_path: shop: app"))


def test_a_missing_field_is_told_where_it_belongs() -> None:
    [found] = [one for one in findings(BAD.replace("import_path: shop:app", "name: a")) if one["code"] == "RS103"]
    assert (found["line"], found["column"]) == (13, 11)


def test_people_see_the_place_the_words_and_the_mend() -> None:
    done = lint("-", stdin=BAD)
    place, words, mend, *_ = done.stdout.splitlines()
    assert place == "standard input:16:15 error RS105"
    assert words.endswith("max_concurrent_queries is retired, and Ray drops it")
    assert mend == "  → write max_ongoing_requests"
    assert done.stdout.splitlines()[-1] == "1 manifest: 1 error, 1 warning, 0 advice"


def test_yaml_says_what_json_says() -> None:
    assert yaml.safe_load(lint("-", "-o", "yaml", stdin=BAD).stdout) == findings(BAD)


def test_github_shows_each_finding_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a,b.yaml"
    path.write_text(BAD)
    first, second = lint(str(path), "-o", "github").stdout.splitlines()
    assert first.startswith(f"::error file={tmp_path}/a%2Cb.yaml,line=16,col=15,title=RS105::spec.serveConfigV2:app")
    assert second.startswith("::warning ")


@pytest.mark.parametrize(
    ("fail_on", "status"), [("error", 0), ("warning", 0), ("advice", 1)], ids=["errors", "warnings", "advice"]
)
def test_the_exit_code_is_what_ci_asks_for(fail_on: str, status: int) -> None:
    advice = next(case for case in CASES if case.code == "RS301").manifest
    assert lint("-", "--fail-on", fail_on, stdin=yaml.safe_dump(advice)).exit_code == status


def test_an_error_fails_by_default() -> None:
    assert lint("-", stdin=BAD).exit_code == 1


def test_what_is_unreadable_is_told_after_all_else(tmp_path: Path) -> None:
    good, template = tmp_path / "good.yaml", tmp_path / "template.yaml"
    good.write_text(yaml.safe_dump(GOOD))
    template.write_text("kind: {{ .Values.kind }\n  x")
    done = lint(str(template), str(tmp_path / "none.yaml"), str(good))
    assert done.exit_code == 2
    assert done.stdout == "1 manifest: nothing to say\n"
    assert "template.yaml" in done.stderr
    assert "none.yaml" in done.stderr


def test_a_raycluster_is_told_of_what_concerns_it() -> None:
    cluster = {**GOOD["spec"]["rayClusterConfig"], "serveConfigV2": ""}
    manifest = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "alone"}, "spec": cluster}
    found = findings(yaml.safe_dump(manifest))
    assert [(one["code"], one["path"]) for one in found] == [("RS002", "spec.serveConfigV2")]
