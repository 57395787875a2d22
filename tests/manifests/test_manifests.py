"""The manifests are valid, agree with each other and with the service, and carry what an overlay names."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from assay.components.core.errors import BadInput
from assay.serving import environment
from assay.serving.image.overlay import ANNOTATION, write_overlay
from assay.serving.limits import Limits
from assay.serving.telemetry.settings import TelemetrySettings

MANIFESTS = Path(__file__).parents[2] / "manifests"
BASE, EXAMPLE = MANIFESTS / "base", MANIFESTS / "overlays" / "example"
KUBERNETES = "1.32"
"""Version whose schemas are checked against: the oldest that is still maintained."""

DIGEST = "sha256:" + "ab" * 32


def base_files() -> dict[str, dict[str, Any]]:
    """The base's objects by kind, read from the files that its kustomization names."""
    named = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    documents = [yaml.safe_load((BASE / name).read_text()) for name in named]
    return {document["kind"]: document for document in documents}


def render(folder: Path) -> dict[str, dict[str, Any]]:
    """What `kubectl apply --kustomize` would apply, by kind."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH: kustomizations are not rendered")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}


OBJECTS = base_files()
POD = OBJECTS["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
DATA = OBJECTS["ConfigMap"]["data"]


def test_the_kustomization_names_every_file_and_a_file_is_a_kind():
    files = {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == {f"{kind.lower()}.yaml" for kind in OBJECTS}
    assert set(OBJECTS) == {"ServiceAccount", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}


@pytest.mark.parametrize("kind", OBJECTS)
def test_base_files_are_valid(kind):
    kubernetes_validate.validate(OBJECTS[kind], KUBERNETES, strict=True)


def test_the_validation_is_strict():
    wrong = json.loads(json.dumps(OBJECTS["Deployment"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=["base", "example"])
def test_what_is_rendered_is_valid(folder):
    rendered = render(folder)
    assert set(rendered) == set(OBJECTS)
    for document in rendered.values():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("objects", [lambda: OBJECTS, lambda: render(BASE)], ids=["files", "rendered"])
def test_selectors_match_the_labels_of_the_pods(objects):
    documents = objects()
    labels = documents["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert documents["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert documents["Service"]["spec"]["selector"].items() <= labels
    assert documents["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert {"app.kubernetes.io/name", "app.kubernetes.io/component"} <= dict(labels).keys()


def test_names_that_point_at_each_other():
    assert CONTAINER["envFrom"] == [{"configMapRef": {"name": OBJECTS["ConfigMap"]["metadata"]["name"]}}]
    assert POD["serviceAccountName"] == OBJECTS["ServiceAccount"]["metadata"]["name"]
    ports = {port["name"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in OBJECTS["Service"]["spec"]["ports"]} <= ports
    mounted = {mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert mounted == {volume["name"] for volume in POD["volumes"]}


def test_probes_ask_routes_that_the_service_has():
    from assay.serving.service import Assay

    routes = set(Assay.openapi_spec.asdict()["paths"])
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["path"] for probe in probes.values()} <= routes
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"http"}


def test_the_container_runs_the_service_on_the_port_that_it_declares():
    from assay.serving import run

    command = CONTAINER["command"]
    assert command[:3] == ["python", "-m", run.__name__]
    assert command[command.index("--port") + 1] == str(CONTAINER["ports"][0]["containerPort"])
    assert command[command.index("--host") + 1] == "0.0.0.0"


READ = {*environment.VARIABLES, *Limits.variables(), *TelemetrySettings.variables()}


def test_every_variable_is_one_that_the_service_reads():
    assert set(DATA) <= READ
    TelemetrySettings.from_environment(DATA)
    assert {environment.NAME, environment.VERSION, environment.REGISTRY} <= set(DATA)
    own = {variable["name"] for variable in CONTAINER["env"] if variable["name"].startswith("ASSAY_")}
    assert own <= READ


def test_the_limits_are_all_there_and_are_the_defaults():
    assert set(Limits.variables()) <= set(DATA)
    assert Limits.from_environment(DATA) == Limits()


def test_a_pod_has_the_time_to_answer_what_it_took_in():
    [_, seconds] = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    limits = Limits.from_environment(DATA)
    needed = int(seconds) + limits.drain_seconds + limits.timeout_seconds
    assert POD["terminationGracePeriodSeconds"] > needed
    readiness = CONTAINER["readinessProbe"]
    assert int(seconds) >= readiness["periodSeconds"] * readiness["failureThreshold"]


def test_a_pod_may_do_nothing_but_serve():
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] > 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert OBJECTS["ServiceAccount"]["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert CONTAINER["securityContext"]["allowPrivilegeEscalation"] is False
    assert CONTAINER["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(CONTAINER["resources"]) == {"requests", "limits"}
    # Nothing can be written but where the volume is, so all that is written must be told to go there.
    [mount] = CONTAINER["volumeMounts"]
    told = {variable["name"]: variable.get("value") for variable in CONTAINER["env"]}
    for variable in ("HOME", "BENTOML_HOME", "ASSAY_CACHE"):
        assert Path(told[variable]).is_relative_to(mount["mountPath"])


def test_the_example_is_what_write_overlay_writes(tmp_path):
    written = write_overlay("registry.example.com/assay-serving:0.1.0", "assay-search", "1", tmp_path / "o")
    for file in written.iterdir():
        content = yaml.safe_load(file.read_text())
        if file.name == "kustomization.yaml":
            content["resources"] = ["../../base"]
        assert content == yaml.safe_load((EXAMPLE / file.name).read_text())


@pytest.mark.parametrize(
    "image",
    [
        "assay:1",
        "registry:5000/team/assay:0.2.0",
        f"ghcr.io/assay@{DIGEST}",
        f"registry:5000/a:0.2.0@{DIGEST}",
    ],
    ids=["short", "with port", "digest", "tag and digest"],
)
def test_an_overlay_carries_image_and_version(tmp_path, image):
    folder = write_overlay(image, "assay-ads", "12", tmp_path / "a" / "b")
    shutil.copytree(BASE, tmp_path / "base")
    folder = write_overlay(image, "assay-ads", "12", folder, tmp_path / "base")
    rendered = render(folder)
    pod = rendered["Deployment"]["spec"]["template"]
    # kustomize drops the tag where there is a digest: the digest alone decides.
    expected = image.replace(":0.2.0@", "@")
    assert pod["spec"]["containers"][0]["image"] in (image, expected)
    data = rendered["ConfigMap"]["data"]
    assert (data[environment.NAME], data[environment.VERSION]) == ("assay-ads", "12")
    assert {key: value for key, value in DATA.items() if "MODEL" not in key}.items() <= data.items()
    assert pod["metadata"]["annotations"] == {ANNOTATION: "assay-ads-12"}
    for document in rendered.values():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_another_version_is_another_pod(tmp_path):
    def pod(version: str) -> dict[str, Any]:
        overlay = write_overlay("assay:1", "assay-search", version, tmp_path / version)
        return render(overlay)["Deployment"]["spec"]["template"]

    assert pod("1") != pod("2")


def test_an_overlay_is_renewed_and_what_a_person_added_is_left(tmp_path):
    folder = write_overlay("assay:1", "assay-search", "1", tmp_path / "overlay")
    (folder / "notes.txt").write_text("mine")
    write_overlay("assay:2", "assay-search", "2", folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert yaml.safe_load((folder / "model.yaml").read_text())["data"][environment.VERSION] == "2"
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("image", ["assay", "registry:5000/assay", "a@sha256:abc", "as say:1", "assay:", ""])
def test_an_image_that_may_move_is_refused(tmp_path, image):
    with pytest.raises(BadInput, match="tag or a digest"):
        write_overlay(image, "assay-search", "1", tmp_path / "overlay")
    assert not (tmp_path / "overlay").exists()


@pytest.mark.parametrize("version", ["", "champion", "0", "1.2", "-1", "latest"])
def test_a_version_that_is_no_number_is_refused(tmp_path, version):
    with pytest.raises(BadInput, match="give its number"):
        write_overlay("assay:1", "assay-search", version, tmp_path / "overlay")
    assert not (tmp_path / "overlay").exists()


COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())


def with_components(*names: str, folder: Path) -> dict[str, dict[str, Any]]:
    """What an overlay with components comes to."""
    for part in ("base", "components"):
        shutil.copytree(MANIFESTS / part, folder / part)
    overlay = write_overlay("assay:1", "assay-search", "1", folder / "o", folder / "base", names)
    return render(overlay)


@pytest.mark.parametrize("names", [*((name,) for name in COMPONENTS), COMPONENTS], ids=str)
def test_components_are_valid_alone_and_together(names, tmp_path):
    rendered = with_components(*names, folder=tmp_path)
    for document in rendered.values():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    selected = rendered["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    if "network" in names:
        assert rendered["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= selected
    if "autoscaling" in names:
        scaled = rendered["HorizontalPodAutoscaler"]["spec"]
        assert scaled["scaleTargetRef"]["name"] == rendered["Deployment"]["metadata"]["name"]
        assert "replicas" not in rendered["Deployment"]["spec"]
        assert scaled["minReplicas"] == OBJECTS["Deployment"]["spec"]["replicas"]


def test_a_gpu_is_asked_for_and_the_rest_stays(tmp_path):
    pod = with_components("gpu", folder=tmp_path)["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["resources"]["limits"]["cpu"] == CONTAINER["resources"]["limits"]["cpu"]
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    assert container["securityContext"] == CONTAINER["securityContext"]


def test_the_network_policy_leaves_the_way_to_what_the_base_names():
    from urllib.parse import urlsplit

    policy = yaml.safe_load((MANIFESTS / "components" / "network" / "networkpolicy.yaml").read_text())
    out = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert {53, urlsplit(DATA[environment.REGISTRY]).port} <= out
    [taken] = policy["spec"]["ingress"]
    assert [port["port"] for port in taken["ports"]] == [port["name"] for port in CONTAINER["ports"]]


def test_a_missing_base_is_told(tmp_path):
    with pytest.raises(BadInput, match="no kustomize base"):
        write_overlay("assay:1", "assay-search", "1", tmp_path / "overlay", tmp_path)
