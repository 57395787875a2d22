"""A version that is open: its networks and tokenizers, and how they are used without a queue."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence

import numpy as np
from assay.serving.engine.backends.choose import BackendSettings, open_networks
from assay.serving.engine.backends.cosine import ScaledCosine
from assay.serving.engine.backends.network import Network
from assay.serving.engine.backends.scoring import computed, scored
from assay.serving.engine.tokens import Tokenizer, Tokens
from assay.serving.versions.bundle import Bundle


class OpenPart:
    """A network and its tokenizer.

    Attributes:
        digest: Of weights and backend: equal digests give equal numbers.
        version: Whose part it is.
        rows: Computed so far.
        failed_rows: That failed alone.
        tokens: Computed so far.
        model_seconds: That it took.
    """

    def __init__(self, tokenizer: Tokenizer, network: Network, sha256: str, version: str):
        self.tokenizer = tokenizer
        self.version = version
        self.network = network
        self.digest = hashlib.blake2b(f"{sha256} {network.backend}".encode(), digest_size=16).digest()
        self.rows = self.failed_rows = self.tokens = 0
        self.model_seconds = 0.0
        self._one_at_a_time = threading.Lock()

    def tokenise(self, rows: Sequence[tuple[str, ...]]) -> list[Tokens]:
        """Tokens of texts or of pairs, in their order."""
        columns = list(zip(*rows, strict=True))
        if len(columns) == 1:
            return self.tokenizer.texts(columns[0])
        return self.tokenizer.pairs(*columns)

    @property
    def width(self) -> int:
        """Columns of what it computes."""
        return self.network.width

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the network makes of a padded batch: (b, t) each -> (b, width) float32."""
        with self._one_at_a_time:
            return self.network(inputs)

    def compute(self, rows: Sequence[Tokens]) -> np.ndarray:
        """(n, width) float32 of n rows, as one batch."""
        return self(self.tokenizer.pad(rows))


class ServedModel:
    """An open version.

    Args:
        bundle: Whose it is; already checked.
        ranker: Its ranker: of pairs where it is a cross-encoder, else of texts.
        encoder: Its encoder, of texts.
        head: What makes a logit of two texts' vectors; None for a cross-encoder.
    """

    def __init__(self, bundle: Bundle, ranker: OpenPart, encoder: OpenPart, head: ScaledCosine | None):
        self.ranker = ranker
        self.encoder = encoder
        self.head = head
        self.name, self.version, self.kind = bundle.name, bundle.version, bundle.kind
        self.sha256 = bundle.sha256
        self.backend = ranker.network.backend

    @classmethod
    def open(cls, bundle: Bundle) -> ServedModel:
        """Open a checked bundle and use every part once, so that the first caller does not pay for it.

        The backend is the one that the environment says.

        Args:
            bundle: It.

        Raises:
            BadInput: A file is damaged, the backend is refused, or it cannot run here.
            ArithmeticError: A number is not finite: these weights cannot rank.
        """
        networks = open_networks(bundle, BackendSettings.from_environment())
        ranker, encoder = (
            OpenPart(Tokenizer(bundle.folder / part), network, bundle.sha256[part], bundle.version)
            for part, network in zip(("ranker", "encoder"), networks, strict=True)
        )
        head = ScaledCosine.open(bundle.ranker) if bundle.kind == "bi" else None
        model = cls(bundle, ranker, encoder, head)
        model.warm_up()
        return model

    def warm_up(self) -> None:
        """Use every part, from one token to the longest row: an allocator learns sizes, a broken part shows.

        Raises:
            ArithmeticError: A score or a vector is not a number: these weights cannot rank.
        """
        texts = ["warm", "warm up " * 8, "warm up " * 256]
        scores = self.score([(text, text) for text in texts])
        tokenizer = self.encoder.tokenizer
        vectors = computed(self.encoder, tokenizer, tokenizer.texts(texts))
        if not (np.isfinite(scores).all() and np.isfinite(vectors).all()):
            raise ArithmeticError(
                f"{self.name} version {self.version} gives scores that are not finite numbers"
            )

    def score(self, rows: Sequence[tuple[str, str]]) -> np.ndarray:
        """Logits of (context, item) rows without the batcher. Returns (n,) float32."""
        return scored(self.ranker, self.ranker.tokenizer, self.head, rows)

    @property
    def failed_rows(self) -> int:
        """Rows that failed, of both parts."""
        return self.ranker.failed_rows + self.encoder.failed_rows

    @property
    def rows(self) -> int:
        """Rows computed, of both parts."""
        return self.ranker.rows + self.encoder.rows

    @property
    def tokens(self) -> int:
        """Tokens computed, of both parts."""
        return self.ranker.tokens + self.encoder.tokens

    @property
    def model_seconds(self) -> float:
        """Seconds in the networks, of both parts."""
        return self.ranker.model_seconds + self.encoder.model_seconds

    def close(self) -> None:
        """Let the memory go."""
        self.ranker.network.close()
        self.encoder.network.close()
