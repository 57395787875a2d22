import numpy as np
import pytest
import torch
from assay.components.core.checkpoints import check_checkpoint
from assay.components.core.errors import BadInput
from assay.components.core.ranker import TextEncoder, bucketed, new_ranker, open_ranker

TEXTS = ["red shoe", "a blue kettle of steel", "lamp", "very long " * 20, "red shoe size 42"]


@pytest.fixture(params=["cross", "bi"])
def ranker(request, tiny_encoder):
    return new_ranker(request.param, tiny_encoder, seed=1)


def pairs_of(ranker, labels=None):
    return ranker.tokenise(TEXTS, TEXTS[::-1], labels)


def test_losses_are_per_sample_unreduced_and_differentiable(ranker):
    pairs = pairs_of(ranker, [0, 1, 0.5, 1, 0])
    ranker.eval()
    losses = ranker.losses(pairs.batch(range(5)))
    assert losses.shape == (5,)
    logits = ranker.score(pairs)
    expected = np.logaddexp(0, logits) - np.array([0, 1, 0.5, 1, 0]) * logits
    assert np.allclose(losses.detach().numpy(), expected, atol=1e-5)
    losses.sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in ranker.parameters())


def test_scores_do_not_depend_on_batching(ranker):
    pairs = pairs_of(ranker)
    assert np.allclose(
        ranker.score(pairs, token_budget=8), ranker.score(pairs, token_budget=10_000), atol=1e-5
    )


def test_a_bi_encoder_encodes_each_distinct_text_once(tiny_encoder):
    ranker, seen = new_ranker("bi", tiny_encoder, seed=1).eval(), []
    ranker.network.encoder.register_forward_hook(lambda _, args, out: seen.append(len(out[0])))
    pairs = ranker.tokenise(["lamp"] * 6, ["a", "b", "a", "b", "lamp", "red"])
    scores = ranker.score(pairs)
    assert sum(seen) == 4
    assert np.allclose(scores, ranker.logits(pairs.batch(range(6))).detach(), atol=1e-5)


def test_a_rows_score_is_a_function_of_its_block(ranker):
    """To the last digit: the batches of a block do not know of the others, nor does the order of rows."""
    lengths = np.random.default_rng(0).integers(1, 30, 90)
    texts = [" ".join(["red shoe lamp"] * n) for n in lengths]
    blocks = np.arange(90) // 30
    whole = ranker.score(ranker.tokenise(texts, texts[::-1], blocks=blocks))
    for block in range(3):
        mine = np.flatnonzero(blocks == block)
        alone = ranker.tokenise([texts[i] for i in mine], [texts[89 - i] for i in mine], blocks=blocks[mine])
        assert np.array_equal(ranker.score(alone), whole[mine])
        assert np.array_equal(ranker.score(alone.subset(range(30))), whole[mine])
    pairs = ranker.tokenise(texts, texts, blocks=blocks)
    assert all(len(set(blocks[batch.index.numpy()])) == 1 for batch in pairs.batches(token_budget=500))


def test_a_saved_ranker_gives_the_same_scores(ranker, tmp_path):
    with torch.no_grad():
        for p in ranker.parameters():
            p.add_(0.01)
    before = ranker.score(pairs_of(ranker))
    ranker.save(tmp_path)
    reopened = open_ranker(tmp_path)
    assert np.allclose(reopened.score(pairs_of(reopened)), before, atol=1e-6)
    again = new_ranker(ranker.kind, tmp_path, seed=5)
    assert np.allclose(again.score(pairs_of(again)), before, atol=1e-6)
    assert (reopened.kind, not list(tmp_path.glob("*.bin"))) == (ranker.kind, True)


def test_sentence_transformers_opens_what_is_saved(ranker, tmp_path):
    from sentence_transformers import CrossEncoder, SentenceTransformer

    ranker.save(tmp_path)
    scores = ranker.score(pairs_of(ranker))
    if ranker.kind == "cross":
        peer = CrossEncoder(str(tmp_path), device="cpu")
        found = peer.predict(
            list(zip(TEXTS, TEXTS[::-1], strict=True)),
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
        )
        assert np.allclose(found, scores, atol=1e-4)
    else:
        peer = SentenceTransformer(str(tmp_path), device="cpu")
        left, right = (
            peer.encode(TEXTS, normalize_embeddings=True),
            peer.encode(TEXTS[::-1], normalize_embeddings=True),
        )
        head = ranker.network.head
        found = (left * right).sum(1) * head.weight.item() + head.bias.item()
        assert np.allclose(found, scores, atol=1e-4)


def test_the_head_is_drawn_by_the_seed(tiny_encoder):
    same, again, other = (new_ranker("cross", tiny_encoder, seed=s) for s in (1, 1, 2))
    assert np.array_equal(same.score(pairs_of(same)), again.score(pairs_of(again)))
    assert not np.allclose(same.score(pairs_of(same)), other.score(pairs_of(other)))


def test_batches_keep_to_the_token_budget_and_hold_each_row_once():
    lengths = np.random.default_rng(0).integers(1, 100, 9000)
    batches = list(bucketed(lengths, token_budget=500))
    assert sorted(row for rows in batches for row in rows) == list(range(9000))
    assert all(len(rows) * lengths[rows].max() <= 500 for rows in batches)
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.05 * lengths.sum()
    # Blocks of 4,096 rows share no batch, so that a shard's batches are those of the whole table.
    assert all(rows[0] // 4096 == rows[-1] // 4096 for rows in batches)


def test_a_row_longer_than_the_budget_is_a_batch_of_its_own():
    assert list(bucketed([600, 3, 3], token_budget=500)) == [[0], [1, 2]]


def test_the_encoder_gives_unit_vectors_in_the_order_of_texts(tiny_encoder, tmp_path):
    encoder = TextEncoder(tiny_encoder)
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (5, 32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(encoder.encode([TEXTS[3]])[0], vectors[3], atol=1e-5)
    encoder.save(tmp_path)
    assert np.allclose(TextEncoder(tmp_path).encode(TEXTS), vectors, atol=1e-6)
    assert encoder.encode([]).shape == (0, 32)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "no such folder"),
        ({}, "config.json"),
        ({"config.json": "{}"}, "safetensors"),
        ({"config.json": "{}", "pytorch_model.bin": "x"}, "pickled weights are refused"),
    ],
)
def test_a_model_folder_that_cannot_be_used_is_refused_in_words(tmp_path, files, words):
    folder = tmp_path / "models" / "mine"
    if files is not None:
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(BadInput, match=words):
        check_checkpoint(str(folder))
