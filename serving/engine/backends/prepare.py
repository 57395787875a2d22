"""Derives ONNX files from a bundle, puts them through the gate and measures them: once for each version.

    python -m assay.serving.engine.backends.prepare FOLDER [--backend auto]

A process of its own: it loads torch, which a service need not. A second run does nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing, sha256_of
from assay.components.core.progress import say
from assay.serving.engine.backends.choose import NAMES, BackendSettings, choice, has_cuda, wanted
from assay.serving.engine.backends.cosine import ScaledCosine
from assay.serving.engine.backends.derived import FILES, FOLDER, Derived, key_of, maker
from assay.serving.engine.backends.network import Network, open_network
from assay.serving.engine.backends.parity import TEXTS, Parity, judge, judge_vectors
from assay.serving.engine.backends.scoring import computed, scored
from assay.serving.engine.tokens import Tokenizer
from assay.serving.versions.canary_set import CanarySet

if TYPE_CHECKING:
    from assay.serving.versions.bundle import Bundle

STEP = "prepare"
ROWS_ALONE = 48
"""Rows that are computed alone as well."""
SAME_TOKENS = 1e-4
"""By how much the core's logits may differ from those of our tokens and the same network."""
PAIRS, BATCHES, ROUNDS = 20, 6, 5
"""Of the measurement: rows a batch, batches, and how often each."""


def prepare(folder: str | Path, settings: BackendSettings) -> dict[str, str]:
    """Derive, judge and measure what a setting asks for, unless that was done.

    Args:
        folder: Of a bundle; `derived/` is written into it.
        settings: Which backend will be asked for.

    Returns:
        Backend of each part that will serve.

    Raises:
        BadInput: The backend that was named is refused for this version, the bundle is damaged, or its
            tokenizer does not give without transformers what it gives with it.
    """
    from assay.serving.versions.bundle import Bundle

    bundle, cuda = Bundle.open(folder), has_cuda()
    derived = Derived.read(bundle.folder, bundle.sha256)
    if _is_stale(derived, bundle, settings, cuda):
        from filelock import FileLock

        try:
            with FileLock(bundle.folder / f".{FOLDER}.lock"):
                derived = Derived.read(bundle.folder, bundle.sha256)
                if _is_stale(derived, bundle, settings, cuda):
                    derived = _derive(bundle, wanted(settings.name, cuda))
        except OSError as error:
            raise BadInput(
                f"{bundle.folder / FOLDER} cannot be written ({error}): run this where the bundle is made"
            ) from error
    return choice(settings.name, derived, cuda)


def _is_stale(derived: Derived | None, bundle: Bundle, settings: BackendSettings, cuda: bool) -> bool:
    if derived is None or not set(wanted(settings.name, cuda)) <= set(derived.ranker):
        return True
    for name, sha256 in derived.files.items():
        file = bundle.folder / FOLDER / name
        if not file.is_file() or sha256_of(file) != sha256:
            return True
    # An image without torch serves what was derived where there was one.
    return importlib.util.find_spec("torch") is not None and derived.made_with != maker(bundle)


def _derive(bundle: Bundle, backends: Sequence[str]) -> Derived:
    say(STEP, f"{bundle.name} version {bundle.version}: {', '.join(backends)}")
    canary = CanarySet.read(bundle)
    if canary is not None and not canary.measurable:
        canary = None
    rows = list(TEXTS) if canary is None else canary.rows
    derived = Derived(key_of(bundle.sha256), maker(bundle))
    with publishing(bundle.folder / FOLDER, step=STEP) as (beside, _):
        bench = _Bench(bundle, rows, canary)
        derived.ranker["torch-fp32"] = bench.tokens_are_those_of_the_core()
        for backend in backends:
            if backend != "torch-fp32":
                derived.ranker[backend] = bench.judged(backend, beside)
            say(STEP, f"{backend}: {derived.ranker[backend].refused or 'passed'}")
        if "onnx-fp32" in backends:
            derived.encoder["onnx-fp32"] = bench.judged_encoder(beside)
            derived.milliseconds.update(bench.measured())
            for backend, each in derived.milliseconds.items():
                say(STEP, f"{backend}: {each:.3f} processor ms a row")
        files = {file.name: sha256_of(file) for file in sorted(beside.glob("*.onnx"))}
        derived = replace(derived, files=files)
        derived.write(beside)
    return derived


class _Bench:
    """A bundle's networks beside those of torch in float32."""

    def __init__(self, bundle: Bundle, rows: list[tuple[str, str]], canary: CanarySet | None):
        self._bundle, self._rows, self._canary = bundle, rows, canary
        self._tokenizer = Tokenizer(bundle.ranker)
        self._head = ScaledCosine.open(bundle.ranker) if bundle.kind == "bi" else None
        self._torch = open_network(bundle.ranker, bundle.kind, "torch-fp32")
        self._fit: dict[str, Network] = {"torch-fp32": self._torch}
        self._reference = self._scores(self._torch, rows)

    def tokens_are_those_of_the_core(self) -> Parity:
        """Scores by the core, which tokenises through transformers, against those of our tokens."""
        from assay.components.core.ranker import open_ranker

        texts = [*TEXTS, *self._rows[:ROWS_ALONE]]
        ours = self._scores(self._torch, texts)
        core = open_ranker(self._bundle.ranker)
        theirs = core.score(core.tokenise(*zip(*texts, strict=True)))
        if not np.isfinite(theirs).all():
            raise BadInput(f"{self._bundle.ranker} gives scores that are not finite numbers: it cannot rank")
        if not np.abs(ours - theirs).max() <= SAME_TOKENS:
            raise BadInput(
                f"{self._bundle.ranker}: without transformers its tokenizer gives other tokens; scores are "
                f"{np.abs(ours - theirs).max():.2g} off"
            )
        return Parity("torch-fp32", "", len(texts), float(np.abs(ours - theirs).max()))

    def judged(self, backend: str, folder: Path) -> Parity:
        """What the gate finds of a backend of the ranker; its file, if it has one, goes into the folder."""
        try:
            file = self._made(backend, folder) if backend.startswith("onnx") else None
            network = open_network(self._bundle.ranker, self._bundle.kind, backend, file)
            found = self._scores(network, self._rows)
            alone = np.concatenate([self._scores(network, [row]) for row in self._rows[:ROWS_ALONE]])
        except Exception as error:  # Whatever it is, there are other backends.
            return Parity(backend, str(error))
        parity = judge(backend, found, self._reference, alone, self._canary)
        if not parity.refused:
            self._fit[backend] = network
        return parity

    def judged_encoder(self, folder: Path) -> Parity:
        """What the gate finds of the encoder on ONNX Runtime; its file is written into the folder."""
        from assay.serving.engine.backends.export import export

        part, file = self._bundle.encoder, folder / FILES["encoder", "onnx-fp32"]
        tokenizer = Tokenizer(part)
        texts = [item for _, item in (*TEXTS, *self._rows[:ROWS_ALONE])]
        rows = tokenizer.texts(list(dict.fromkeys(texts)))
        try:
            export(part, "encoder", file)
            network = open_network(part, "encoder", "onnx-fp32", file)
            found = computed(network, tokenizer, rows)
            alone = np.concatenate([computed(network, tokenizer, [row]) for row in rows])
        except Exception as error:  # Whatever it is, torch is there.
            file.unlink(missing_ok=True)
            return Parity("onnx-fp32", str(error))
        reference = computed(open_network(part, "encoder", "torch-fp32"), tokenizer, rows)
        return judge_vectors("onnx-fp32", found, reference, alone)

    def measured(self) -> dict[str, float]:
        """Processor milliseconds a row of the backends that passed: medians over batches, taken in turn."""
        batches = self._batches()
        names = list(self._fit)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(ROUNDS + 1):
            for batch in batches:
                for name in names if turn % 2 else reversed(names):
                    started = time.process_time()
                    self._fit[name](batch)
                    # The first round is for allocators and caches.
                    if turn:
                        seconds[name].append((time.process_time() - started) / len(batch["input_ids"]))
        return {name: float(np.median(each)) * 1e3 for name, each in seconds.items()}

    def _batches(self) -> list[dict[str, np.ndarray]]:
        wanted_rows = PAIRS * BATCHES
        rows = (self._rows * (wanted_rows // len(self._rows) + 1))[:wanted_rows]
        contexts, items = map(list, zip(*rows, strict=True))
        cross = self._bundle.kind == "cross"
        tokens = self._tokenizer.pairs(contexts, items) if cross else self._tokenizer.texts(items)
        return [self._tokenizer.pad(tokens[at : at + PAIRS]) for at in range(0, wanted_rows, PAIRS)]

    def _made(self, backend: str, folder: Path) -> Path:
        from assay.serving.engine.backends.export import export
        from assay.serving.engine.backends.quantise import quantise

        exact, file = folder / FILES["ranker", "onnx-fp32"], folder / FILES["ranker", backend]
        if not exact.is_file():
            export(self._bundle.ranker, self._bundle.kind, exact)
        if file != exact:
            quantise(exact, file)
        return file

    def _scores(self, network: Network, rows: Sequence[tuple[str, str]]) -> np.ndarray:
        return scored(network, self._tokenizer, self._head, rows)


def main(arguments: list[str] | None = None) -> int:
    """The command; exit code 2 is bad input, told on the last line of stderr."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__)
    parser.add_argument("folder", help="of a bundle")
    parser.add_argument("--backend", choices=NAMES, help="also ASSAY_BACKEND_NAME")
    given = parser.parse_args(arguments)
    try:
        settings = BackendSettings.from_environment()
        chosen = prepare(given.folder, replace(settings, name=given.backend or settings.name))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    say(STEP, f"the ranker is computed by {chosen['ranker']}, the encoder by {chosen['encoder']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
