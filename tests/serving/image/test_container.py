"""The image, really built and run: read-only, without root and privileges, with the scores of the process.

Where there is podman. The base is `ASSAY_TEST_BASE_IMAGE`, or one here that has Python 3.11; one is made by

    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm rootfs
    tar -C rootfs -c . | podman import - localhost/debian-python:1
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from assay.serving.engine.backends.choose import BackendSettings
from assay.serving.engine.backends.prepare import prepare
from assay.serving.image.context import write_context
from assay.serving.image.overlay import write_overlay
from assay.serving.image.requirements import public
from assay.serving.versions.bundle import Bundle, write_bundle
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.serving.image.podman import HARDENED, Podman

pytestmark = [pytest.mark.containers, pytest.mark.slow]

BODY = {"context": "red shoe", "candidates": [{"id": str(i), "text": "shoe " * i} for i in range(1, 21)]}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def podman(tmp_path_factory) -> Podman:
    found = Podman.found(tmp_path_factory.mktemp("podman"))
    if found is None:
        pytest.skip("podman is not here, or does not work: no image is built")
    return found


@pytest.fixture(scope="module")
def base(podman) -> str:
    image = podman.base_image()
    if image is None:
        pytest.skip("no image with Python 3.11 is here: name one by ASSAY_TEST_BASE_IMAGE")
    return image


@pytest.fixture(scope="module")
def prepared(parts, tmp_path_factory) -> Bundle:
    """The version with its ONNX files."""
    folder = tmp_path_factory.mktemp("prepared") / "3"
    bundle = write_bundle(folder, "assay-search", "3", parts.ranker, parts.encoder)
    assert prepare(folder, BackendSettings())["ranker"] == "onnx-fp32"
    return bundle


@pytest.fixture(scope="module")
def context(prepared, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "context"
    assert write_context(prepared, folder) == ["onnx"]
    return folder


@pytest.fixture(scope="module")
def image(podman, base, context, tmp_path_factory) -> Iterator[str]:
    tag = f"localhost/assay-test:{uuid.uuid4().hex[:12]}"
    podman.build(context, tag, base, tmp_path_factory.mktemp("scratch"))
    yield tag
    podman.run("rmi", "--force", tag, check=False, timeout=300)


@pytest.fixture(scope="module")
def container(podman, image) -> Iterator[tuple[str, str]]:
    """A running one, and its address."""
    port = free_port()
    options = ("--detach", "--network=host", *HARDENED, image, "--port", str(port))
    name = podman.run("run", *options).stdout.strip()
    url = f"http://127.0.0.1:{port}"
    yield name, url
    podman.run("rm", "--force", name, check=False)


def test_it_ranks_as_the_process_does(podman, container, start, prepared):
    name, url = container
    podman.wait_until_ready(name, url)
    server = start(ASSAY_BUNDLE=str(prepared.folder))
    server.wait_until_ready()
    here, there = (
        {item["id"]: item["score"] for item in httpx.post(f"{where}/rank", json=BODY).json()["items"]}
        for where in (server.url, url)
    )
    assert server.stop() == 0
    assert httpx.get(f"{url}/info").json()["backend"] == "onnx-fp32"
    assert here.keys() == there.keys()
    assert len(there) == 20
    np.testing.assert_allclose([there[key] for key in here], list(here.values()), atol=1e-5)


def test_it_may_do_nothing_but_serve(podman, container):
    name, _ = container

    def inside(command: str) -> str:
        return podman.run("exec", name, "sh", "-c", command).stdout.strip()

    assert inside("id -u; id -g").split() == ["1034", "1034"]
    assert inside("touch /opt/assay/x /etc/x /var/tmp/x 2>/dev/null || echo refused") == "refused"
    assert inside("touch /tmp/x && echo written") == "written"
    status = inside("cat /proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert inside("command -v pip gcc || echo none") == "none"


def test_it_lists_what_it_holds(podman, container, context):
    name, _ = container
    text = podman.run("exec", name, "cat", "/opt/assay/sbom.cdx.json").stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    python = {
        part["name"]: public(part["version"])
        for part in components
        if part.get("purl", "").startswith("pkg:pypi/")
    }
    promised = dict(line.split("==") for line in (context / "requirements.txt").read_text().split())
    script = (
        "import json; from importlib.metadata import distributions as d;"
        "from assay.serving.image.requirements import canonical, public;"
        "print(json.dumps({canonical(x.metadata['Name']): public(x.version) for x in d()}))"
    )
    installed = json.loads(podman.run("exec", name, "python", "-c", script).stdout)
    assert promised == installed
    assert installed.items() <= python.items()
    assert [part["name"] for part in components if part.get("purl", "").startswith("pkg:deb/")]
    assert {part["name"] for part in components if part["type"] == "machine-learning-model"} == {
        "assay-search/ranker",
        "assay-search/encoder",
    }


def test_the_image_says_what_it_is(podman, image, prepared):
    about = podman.inspect(image)
    assert about["Labels"]["assay.model.version"] == "3"
    assert about["Labels"]["assay.model.ranker.sha256"] == prepared.sha256["ranker"]
    assert about["User"] == "1034:1034"
    print(f"image: {about['Size'] / 1e6:.0f} MB")


def test_a_signal_ends_it_and_what_is_in_flight_is_answered(podman, container):
    # The last of this container.
    name, url = container
    podman.wait_until_ready(name, url)
    stats = json.loads(podman.run("stats", "--no-stream", "--format", "json", name).stdout)
    print(f"memory: {stats[0]['mem_usage']}")
    texts = [{"id": str(i), "text": f"running shoe {i} " * 3} for i in range(100)]
    with ThreadPoolExecutor(8) as callers:
        # Each of its own rows: what was scored before would be answered at once.
        bodies = [{"context": f"red shoe {i}", "candidates": texts} for i in range(8)]
        asked = [callers.submit(httpx.post, f"{url}/rank", json=body, timeout=60) for body in bodies]
        time.sleep(0.5)
        assert not all(answer.done() for answer in asked)
        podman.run("stop", "--time", "40", name)
        assert [answer.result().status_code for answer in asked] == [200] * 8
    assert podman.inspect(name)["State"]["ExitCode"] == 0
    assert "Traceback" not in podman.logs(name)


def rendered(folder: Path) -> list[dict]:
    try:
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("kubectl is not on PATH: the manifests are not rendered")
    return list(yaml.safe_load_all(done.stdout))


def test_the_manifests_run_it(podman, image, tmp_path):
    """The rendered Deployment and ConfigMap, by `podman kube play`; what podman cannot do is left out."""
    overlay = write_overlay(image, "assay-search", "3", tmp_path / "overlay")
    documents = {document["kind"]: document for document in rendered(overlay)}
    deployment = documents["Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    port = free_port()
    deployment["spec"]["replicas"] = 1
    pod["hostNetwork"] = True
    container["command"][container["command"].index("3000")] = str(port)
    # podman 4.3 knows neither values of the downward API nor named ports of probes; limits need cgroups.
    container["env"] = [variable for variable in container["env"] if "value" in variable]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        del container[probe]
    container["resources"] = {}
    del container["ports"]  # Nor ports of a host's network.
    played = tmp_path / "played.yaml"
    played.write_text(yaml.safe_dump_all([documents["ConfigMap"], deployment]))
    podman.run("kube", "play", played)
    try:
        [name] = podman.run(
            "ps", "-a", "--format", "{{.Names}}", "--filter", "name=assay-serving"
        ).stdout.split()[-1:]
        url = f"http://127.0.0.1:{port}"
        podman.wait_until_ready(name, url)
        answer = httpx.post(f"{url}/rank", json=BODY, timeout=60)
        assert answer.status_code == 200
        assert answer.json()["version"] == "3"
        assert podman.run("exec", name, "id", "-u").stdout.strip() == "1034"
        assert podman.run("exec", name, "touch", "/opt/x", check=False).returncode != 0
    finally:
        podman.run("kube", "play", "--down", played, check=False)
