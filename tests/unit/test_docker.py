"""What is shipped for containers: linted, and in step with the code. No engine runs it here."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from engine.cli.__main__ import run
from engine.cli.app import COMMANDS
from engine.cli.exporter import ExporterSettings
from engine.cli.market import MarketSettings
from engine.gateway.settings import GatewaySettings, accounts_of
from engine.messaging.identity import IdentitySettings
from engine.messaging.permissions import Role
from engine.worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
GATEWAY = DOCKER / "gateway"
ALWAYS = sorted((DOCKER / "kubernetes").glob("*.yaml"))
MANIFESTS = [*ALWAYS, GATEWAY / "deployment.yaml"]


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found, f"{name} of the test extra"
    return found


def lints(*command: str | Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def documents() -> list[dict[str, Any]]:
    return [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text("utf-8"))]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
    return found


def deployment(name: str) -> dict[str, Any]:
    return next(
        one
        for one in documents()
        if one["kind"] == "Deployment" and one["metadata"]["name"] == name
    )


def test_the_dockerfile_is_sound() -> None:
    lints(tool("hadolint"), DOCKER / "Dockerfile")


def test_every_yaml_file_is_tidy() -> None:
    lints(tool("yamllint"), "--strict", DOCKER)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_is_what_kubernetes_takes(path: Path) -> None:
    lints(tool("kubernetes-validate"), "--strict", path)


def test_every_file_that_is_mounted_or_applied_is_there() -> None:
    mounts = re.findall(r"- (\./[^:]+):", (DOCKER / "compose.yaml").read_text("utf-8"))
    named = [mount for mount in mounts if not mount.startswith("./secrets/")]
    kustomization = yaml.safe_load((DOCKER / "kustomization.yaml").read_text("utf-8"))
    named += kustomization["resources"]
    named += [file for one in kustomization["configMapGenerator"] for file in one["files"]]
    assert len(named) > 10
    assert [name for name in named if not (DOCKER / name).is_file()] == []
    assert {f"kubernetes/{path.name}" for path in ALWAYS} == set(kustomization["resources"])
    gateway = yaml.safe_load((GATEWAY / "kustomization.yaml").read_text("utf-8"))
    assert gateway["resources"] == ["deployment.yaml"]
    assert gateway["configMapGenerator"][0]["files"] == ["gateway.yaml"]


def test_every_variable_is_a_setting_and_every_command_a_command() -> None:
    known = {"ENGINE_NATS", "ENGINE_REPLICAS"} | {
        f"ENGINE_{name.upper()}"
        for kind in (
            WorkerSettings,
            MarketSettings,
            ExporterSettings,
            GatewaySettings,
            IdentitySettings,
        )
        for name in kind.__struct_fields__
    }
    used, commands = set(), set()
    for service in compose()["services"].values():
        if service["image"].startswith("campaign-engine"):
            used |= set(service["environment"])
            commands.add(service["command"][0])
    for document in documents():
        pod = document.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("containers", ()):
            if container["image"].startswith("campaign-engine"):
                used |= {one["name"] for one in container["env"]}
                commands.add(container["args"][0])
    assert used - known == set()
    assert commands - set(COMMANDS) == set()
    assert {"ENGINE_USER", "ENGINE_PASSWORD_FILE", "ENGINE_TLS_CA"} <= used


def test_the_accounts_are_printed_as_they_are_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "accounts"]) == 0
    assert capsys.readouterr().out == (DOCKER / "nats-accounts.conf").read_text("utf-8")


def test_no_password_is_shipped() -> None:
    for path in DOCKER.rglob("*"):
        if path.is_file() and "secrets" not in path.relative_to(DOCKER).parts:
            for found in re.findall(r"(?i)\bpassword: *([^\s},]+)", path.read_text("utf-8")):
                assert found.startswith("$"), f"{path.name}: {found}"


def test_every_user_has_a_password_made(tmp_path: Path) -> None:
    lints(DOCKER / "make-secrets", tmp_path / "secrets")
    made = (tmp_path / "secrets" / "nats.env").read_text("utf-8")
    for user in (*Role, "system"):
        password = (tmp_path / "secrets" / f"{user}_password").read_text("utf-8")
        assert f"{user.upper()}_PASSWORD={password}\n" in made
        assert len(password) >= 40
    lints(DOCKER / "make-secrets", tmp_path / "secrets")
    assert (tmp_path / "secrets" / "nats.env").read_text("utf-8") == made


@pytest.mark.parametrize("part", ["worker", "gateway"])
def test_the_health_of_a_service_is_asked_where_it_answers(part: str) -> None:
    found = deployment(part)
    container = found["spec"]["template"]["spec"]["containers"][0]
    settings = {one["name"]: one.get("value") for one in container["env"]}
    port = int(settings["ENGINE_HEALTH"].rpartition(":")[2])
    metrics = int(settings["ENGINE_METRICS_PORT"].rpartition(":")[2])
    assert container["ports"] == [
        {"name": "health", "containerPort": port},
        {"name": "metrics", "containerPort": metrics},
    ]
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "health"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/live", "port": "health"}
    grace = float(settings["ENGINE_GRACE"])
    assert found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > grace
    msgspec.convert({"health": settings["ENGINE_HEALTH"]}, WorkerSettings)


def test_the_gateway_is_off_by_itself_and_in_dry_run_where_it_is_turned_on() -> None:
    service = compose()["services"]["gateway"]
    assert service["profiles"] == ["gateway"]
    container = deployment("gateway")["spec"]["template"]["spec"]["containers"][0]
    for command in (service["command"], container["args"]):
        assert command == ["gateway"], "nothing is live by the command"
    file = GATEWAY / "gateway.yaml"
    accounts = accounts_of(yaml.safe_load(file.read_text("utf-8")), file=str(file))
    assert not any(one.live for one in accounts.accounts)


def test_the_gateway_finds_its_files_and_has_no_user_but_its_own() -> None:
    service = compose()["services"]["gateway"]
    mounted = {one["target"] for one in service["secrets"] if isinstance(one, dict)}
    mounted |= {one.split(":")[1] for one in service["volumes"]}
    found = deployment("gateway")["spec"]["template"]["spec"]
    container = found["containers"][0]
    folders = {one["mountPath"] for one in container["volumeMounts"]}
    settings = {one["name"]: one.get("value") for one in container["env"]}
    content = yaml.safe_load((GATEWAY / "gateway.yaml").read_text("utf-8"))
    credentials = {one["credentials"] for one in content["accounts"]}
    assert mounted == {service["environment"]["ENGINE_ACCOUNTS"], *credentials}
    for path in (settings["ENGINE_ACCOUNTS"], *credentials):
        assert str(Path(path).parent) in folders
    assert settings["ENGINE_USER"] == service["environment"]["ENGINE_USER"] == Role.GATEWAY
    assert [one for one in service["secrets"] if isinstance(one, str)] == ["ca", "gateway_password"]
    secrets = {one["secret"]["secretName"] for one in found["volumes"] if "secret" in one}
    assert secrets == {"engine-gateway", "engine-platforms"}


def test_the_image_of_the_gateway_has_the_libraries_of_every_platform() -> None:
    extras = set(compose()["services"]["gateway"]["build"]["args"]["EXTRAS"].split(","))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"google", "platforms"} <= extras <= set(project["optional-dependencies"])
