"""Metagradients: how the target's loss after a whole training run changes with the share of every row in it.

The reference that cheaper scores are held against. Training is a function of the rows' shares; it is run, and
then walked back step by step: through the optimiser in closed form, through each step's gradient by a second
derivative. After Engstrom et al. 2025, "Optimizing ML Training with Metagradient Descent", and Ilyas and
Engstrom 2025, "MAGIC: Near-Optimal Data Attribution for Deep Learning"; here for the weights of an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from assay.components.core.ranker import Pairs, Ranker
from assay.components.score.gradients.directions import differentiable, parameters, target_gradients
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

MEMORY = 1 << 30
"""Bytes that states of a training may take; those that do not fit are computed again from those kept."""


@dataclass(frozen=True)
class Recipe:
    """A training run that is a function of its rows' shares: no dropout, no clipping, an order by the seed.

    Attributes:
        epochs: Passes over the rows.
        batch_size: Rows a step.
        learning_rate: At its peak; linear warm-up over a tenth of the steps, then linear decay.
        betas: Of Adam (Kingma & Ba 2015).
        eps: Of Adam. Large on purpose: where it is tiny, a step is little more than the gradient's sign, and
            no derivative tells what a run of such steps would do with other rows.
        seed: Of the order of rows.
    """

    epochs: int = 2
    batch_size: int = 25
    learning_rate: float = 7e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-3
    seed: int = 0

    def batches(self, shares: np.ndarray) -> list[np.ndarray]:
        """Row numbers of each step; a row without a share leaves its place in the batch empty.

        Args:
            shares: (n,) >= 0.
        """
        found = []
        for epoch in range(self.epochs):
            order = np.random.default_rng([self.seed, epoch]).permutation(len(shares))
            found += [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        kept = [batch[shares[batch] > 0] for batch in found]
        return [batch for batch in kept if len(batch)]

    def rate(self, step: int, total: int) -> float:
        """Learning rate of a step."""
        rising = max(1, total // 10)
        return self.learning_rate * min((step + 1) / rising, (total - step) / max(1, total - rising))


@dataclass
class State:
    """Where training stands, or what the target's loss owes to where it stood.

    Attributes:
        weights: That are trained.
        first: Adam's running mean of their gradients.
        second: And of the squares.
    """

    weights: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]

    def copy(self) -> State:
        """The same numbers in memory of their own."""
        return State(*([x.clone() for x in part] for part in (self.weights, self.first, self.second)))

    def bytes(self) -> int:
        """Of all three."""
        return 3 * sum(x.numel() * x.element_size() for x in self.weights)


def at_rest(weights: Sequence[Tensor]) -> State:
    """Weights as they are, Adam's means at zero."""
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    return State([w.detach().clone() for w in weights], first, second)


@dataclass
class Training:
    """A run of a recipe, step by step, there and back.

    Attributes:
        ranker: What is trained.
        rows: (n,) rows.
        shares: (n,) >= 0, each row's weight in the mean loss of its batches.
        recipe: How.
        weights: Which of the ranker's weights.
    """

    ranker: Ranker
    rows: Pairs
    shares: np.ndarray
    recipe: Recipe
    weights: list[nn.Parameter]

    def __post_init__(self) -> None:
        self.plan = self.recipe.batches(self.shares)

    def put(self, state: State) -> None:
        """Write a state's weights into the ranker."""
        with torch.no_grad():
            for w, value in zip(self.weights, state.weights, strict=True):
                w.copy_(value)

    def losses(self, step: int) -> tuple[Tensor, Tensor]:
        """(b,) losses of a step's rows, and (b,) their shares."""
        batch = self.rows.batch(self.plan[step].tolist()).to(self.ranker.device)
        losses = self.ranker.losses(batch)
        shares = torch.as_tensor(self.shares[self.plan[step]], dtype=losses.dtype, device=losses.device)
        return losses, shares

    def advance(self, state: State, step: int) -> None:
        """The state after a step, in place; the ranker is left with its weights."""
        self.put(state)
        losses, shares = self.losses(step)
        gradients = self._grad((losses * shares).sum() / shares.sum())
        b1, b2 = self.recipe.betas
        rate = self.recipe.rate(step, len(self.plan)) / (1 - b1 ** (step + 1))
        for w, m, v, g in zip(state.weights, state.first, state.second, gradients, strict=True):
            m.mul_(b1).add_(g, alpha=1 - b1)
            v.mul_(b2).addcmul_(g, g, value=1 - b2)
            spread = (v / (1 - b2 ** (step + 1))).sqrt_().add_(self.recipe.eps)
            w.addcdiv_(m, spread, value=-rate)
        self.put(state)

    def back(self, before: State, owed: State, step: int) -> np.ndarray:
        """What the loss at the end owes to the shares of a step's rows. (b,) float64.

        Args:
            before: The state before the step.
            owed: What the loss owes to the state after it; becomes what it owes to the state before it.
            step: Its number.
        """
        self.put(before)
        # Only this kind of attention has a second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            losses, shares = self.losses(step)
            shares.requires_grad_(True)
            gradients = self._grad((losses * shares).sum() / shares.sum(), create_graph=True)
            wanted = self._through_adam(before, [g.detach() for g in gradients], owed, step)
            product = torch.stack([(g * w).sum() for g, w in zip(gradients, wanted, strict=True)]).sum()
            of_shares, *of_weights = torch.autograd.grad(product, [shares, *self.weights], allow_unused=True)
        for total, more in zip(owed.weights, of_weights, strict=True):
            if more is not None:
                total += more
        return of_shares.double().cpu().numpy()

    @torch.no_grad()
    def _through_adam(self, before: State, gradients: list[Tensor], owed: State, step: int) -> list[Tensor]:
        """What the loss owes to a step's gradients; `owed` to Adam's means goes from after to before it."""
        b1, b2 = self.recipe.betas
        c1, c2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        rate, found = self.recipe.rate(step, len(self.plan)), []
        for i, g in enumerate(gradients):
            m = b1 * before.first[i] + (1 - b1) * g
            root = ((b2 * before.second[i] + (1 - b2) * g * g) / c2).sqrt_()
            spread = root + self.recipe.eps
            moved = owed.weights[i] * (rate / c1) / spread
            owed.first[i] -= moved
            # A weight that had no gradient yet (LoRA's first factor, until the second moves) does not move.
            still = root == 0
            owed.second[i] += (moved * m / (2 * c2 * spread * root)).masked_fill_(still, 0.0)
            of_gradient = (1 - b1) * owed.first[i] + 2 * (1 - b2) * g * owed.second[i]
            found.append(of_gradient.masked_fill_(still, 0.0))
            owed.first[i] *= b1
            owed.second[i] *= b2
        return found

    def _grad(self, loss: Tensor, create_graph: bool = False) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            loss, self.weights, create_graph=create_graph, allow_unused=True, materialize_grads=True
        )

    def backwards(self, marks: list[State], stride: int) -> Iterator[tuple[int, State]]:
        """(step, the state before it), the last step first.

        Args:
            marks: The state before every `stride`-th step; those between are computed again.
            stride: Steps from one to the next.
        """
        while marks:
            state, first = marks.pop(), len(marks) * stride
            between = [state.copy()]
            for step in range(first, min(first + stride, len(self.plan)) - 1):
                self.advance(state, step)
                between.append(state.copy())
            for step in reversed(range(first, first + len(between))):
                yield step, between.pop()


def train(
    ranker: Ranker,
    rows: Pairs,
    recipe: Recipe,
    shares: np.ndarray | None = None,
    scope: str = "adapter",
) -> None:
    """Train a ranker, and leave it so.

    Args:
        ranker: As training starts.
        rows: (n,) rows.
        recipe: How.
        shares: (n,) >= 0, each row's weight in the mean loss of its batches; 1 if None.
        scope: Which weights, of `parameters`.
    """
    ranker.eval()
    shares = np.ones(len(rows)) if shares is None else shares
    with differentiable(ranker, list(parameters(ranker, scope))) as weights:
        run, state = Training(ranker, rows, shares, recipe, weights), at_rest(weights)
        for step in range(len(run.plan)):
            run.advance(state, step)


def metagradient(
    ranker: Ranker,
    rows: Pairs,
    target: Pairs,
    recipe: Recipe,
    shares: np.ndarray | None = None,
    scope: str = "adapter",
    progress=iter,
) -> np.ndarray:
    """d(mean target loss after training) / d(share of each row). (n,) float64; 0 where a row has no share.

    Costs three to four training runs on the rows that have a share, and one more where not all states fit in
    memory. The ranker is left as it was.

    Args:
        ranker: As training starts.
        rows: (n,) rows to train on.
        target: (t,) rows whose loss counts.
        recipe: How.
        shares: (n,) as `train` takes them.
        scope: Which weights are trained, of `parameters`.
        progress: Wraps the steps, there and back.
    """
    ranker.eval()
    shares = np.ones(len(rows)) if shares is None else shares
    names, out = list(parameters(ranker, scope)), np.zeros(len(rows))
    with differentiable(ranker, names) as weights:
        start = at_rest(weights)
        run, state, marks = Training(ranker, rows, shares, recipe, weights), start.copy(), []
        total = len(run.plan)
        stride = 1 if start.bytes() * total <= MEMORY else round(total**0.5)
        for step in progress(range(total)):
            if step % stride == 0:
                marks.append(state.copy())
            run.advance(state, step)
        [wanted] = target_gradients(ranker, target, scope=scope)
        owed = at_rest([wanted[name] for name in names])
        for step, before in progress(run.backwards(marks, stride)):
            out[run.plan[step]] += run.back(before, owed, step)
        run.put(start)
    return out
