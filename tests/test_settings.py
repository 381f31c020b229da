import pytest

from rayserve_operator.settings import Settings


def read(**given: str) -> Settings:
    return Settings.read({f"RAYSERVE_{name.upper()}": value for name, value in given.items()})


def test_a_plain_run_elects_nobody() -> None:
    assert read().lease_name is None


def test_a_lease_needs_a_namespace() -> None:
    with pytest.raises(ValueError, match="RAYSERVE_OPERATOR_NAMESPACE"):
        read(lease_name="operator")
    assert read(lease_name="operator", operator_namespace="system").lease_name == "operator"


def test_a_webhook_needs_a_namespace() -> None:
    with pytest.raises(ValueError, match="RAYSERVE_OPERATOR_NAMESPACE"):
        read(webhook_name="hook")
    assert read(webhook_name="hook", operator_namespace="system", webhook_port="1").webhook_port == 1


@pytest.mark.parametrize("name", ["health_port", "webhook_port"])
def test_a_port_is_a_number(name: str) -> None:
    with pytest.raises(ValueError, match=f"RAYSERVE_{name.upper()}"):
        read(**{name: "http"})


def test_a_replica_has_a_name_without_being_told_one() -> None:
    assert read().identity
    assert read(identity="pod-1").identity == "pod-1"


def test_default_variables_are_entries_of_a_containers_env() -> None:
    given = '[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]'
    assert [entry["name"] for entry in read(default_container_env=given).default_container_env] == ["A", "B"]
    assert read(default_container_env="").default_container_env == ()


@pytest.mark.parametrize("wrong", ["HF_HOME=/models", '{"name": "A"}', '[{"value": "1"}]', '["A"]'])
def test_what_is_no_list_of_variables_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="RAYSERVE_DEFAULT_CONTAINER_ENV"):
        read(default_container_env=wrong)
