"""Maps of images: features as a walk through the layers gives them, PCA as scikit-learn's, t-SNE the same each time, files that heal."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from core.errors import InputError
from core.figures import inside as figures
from core.inference import embedding, kept_maps
from core.inference.embedding import MOST_COMPONENTS, features, points_of, principal_components, tsne
from core.inference.kept_maps import (
    kept_points,
    kept_tsne,
    map_inputs,
    points_for,
    tsne_for,
)
from core.inference.layers import as_input
from core.insight.run_results import store_of
from core.running.session import run_session
from core.runs.artifacts import ArtifactKind
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, create_run
from core.runs.records import evaluated_images, load_predictions
from core.workspace import Workspace, open_workspace
from tests.core.inference.test_layers import network
from tests.core.serving.test_launcher import tiny
from tests.fixtures.networks import LIGHT


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def trained(home) -> Run:
    run = create_run(home, tiny(epochs=2, model={"name": "mnist-batchnorm-cnn"}))
    assert run_session(home, run).reason == "finished"
    return run


@pytest.fixture
def run(trained: Run) -> Run:
    """With nothing kept."""
    for path in (trained.path / "insight").glob("*"):
        path.unlink()
    return trained


def groups(n: int = 300, width: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    return (draw.normal(size=(3, width))[labels] * 4 + draw.normal(size=(n, width))).astype(np.float32), labels


@pytest.mark.parametrize("name", LIGHT)
def test_features_are_what_the_last_layer_turns_into_the_logits(name):
    model, spec = network(name, side=64)
    images = np.random.default_rng(0).integers(0, 256, (9, *spec.shape), dtype=np.uint8)
    indices = np.array([7, 0, 3, 4, 8])
    values, predicted, count = features(model, spec, images, indices)
    with torch.inference_mode():
        logits = model(as_input(images[indices], spec)).numpy()
    assert predicted.tolist() == logits.argmax(axis=1).tolist()
    if name.startswith("squeezenet"):  # its last layer is a convolution, of which a mean over places follows
        assert count == values.shape[1] == model.classifier[1].in_channels
        return
    head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    assert count == head.in_features
    if count == values.shape[1]:
        bias = 0 if head.bias is None else head.bias.detach().numpy()
        by_hand = values @ head.weight.detach().numpy().T + bias
        scale = 0.125 if name.startswith("residual") else 1
        np.testing.assert_allclose(scale * by_hand, logits, rtol=1e-3, atol=1e-4)
    else:
        assert values.shape[1] == embedding.MOST_FEATURES


@pytest.mark.parametrize(("n", "width"), [(300, 20), (40, 200), (1_100, 1_050), (7, 3)])
def test_principal_components_are_those_of_scikit_learn(n, width):
    values, _ = groups(n, width)
    scores, explained = principal_components(values)
    d = min(MOST_COMPONENTS, n, width)
    reference = PCA(n_components=d, svd_solver="full").fit(values.astype(np.float64))
    expected = reference.transform(values.astype(np.float64))
    assert scores.shape == (n, d)
    np.testing.assert_allclose(explained, reference.explained_variance_ratio_, atol=1e-6)
    for k in range(3):  # the direction's sign is a convention; later directions of noise are nearly equal
        sign = np.sign((scores[:, k] * expected[:, k]).sum())
        np.testing.assert_allclose(scores[:, k], sign * expected[:, k], atol=2e-3 * np.abs(expected[:, k]).max())
    assert principal_components(values)[0].tobytes() == scores.tobytes()


def test_pictures_that_are_all_alike_or_of_one_feature_still_have_places():
    scores, explained = principal_components(np.ones((8, 6), np.float32))
    assert (scores == 0).all() and (explained == 0).all()
    scores, explained = principal_components(np.arange(8, dtype=np.float32)[:, None])
    assert scores.shape == (8, 2) and explained.tolist() == [1, 0]
    assert np.isfinite(tsne(np.zeros((6, 2), np.float32))).all()


def test_tsne_keeps_neighbours_is_the_same_each_time_and_tells_how_far_it_is():
    values, labels = groups()
    scores, _ = principal_components(values)
    told = []
    places = tsne(scores, progress=lambda what, done, total: told.append((done, total)))
    assert np.array_equal(places, tsne(scores))
    assert trustworthiness(values, places, n_neighbors=10) > 0.85
    nearest = ((places[:, None] - places[None]) ** 2).sum(axis=2) + np.eye(len(places)) * 1e9
    assert (labels[nearest.argmin(axis=1)] == labels).mean() > 0.98
    assert told[0] == (0, 750) and told[-1] == (750, 750)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_tsne_stops_where_progress_raises():
    scores, _ = principal_components(groups()[0])

    def stop(what: str, done: int, total: int) -> None:
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tsne(scores, progress=stop)


def test_points_say_what_the_evaluation_said_and_a_sample_is_even(home, run):
    store, (indices, _) = store_of(home, run), evaluated_images(run)
    points = points_for(run, find_checkpoint(run, "last"), store, indices, 5_000)
    assert points.positions.tolist() == list(range(len(indices)))
    assert points.predicted.tolist() == load_predictions(run, 2).predicted.tolist()
    assert points.scores.shape == (len(indices), MOST_COMPONENTS)
    some = points_for(run, find_checkpoint(run, "last"), store, indices, 100)
    assert len(some.positions) == 100
    assert set(np.diff(some.positions)) <= {3, 4}  # 287 or so by 99


def test_what_was_worked_out_is_read_again_and_anew_where_it_is_damaged(home, run, monkeypatch):
    store, (indices, _) = store_of(home, run), evaluated_images(run)
    checkpoint = find_checkpoint(run, "last")
    key = map_inputs(checkpoint, store, indices, 200)
    points = points_for(run, checkpoint, store, indices, 200)
    places = tsne_for(run, key, points)
    again = kept_points(run, key)
    assert again.scores.tobytes() == points.scores.tobytes()
    assert (again.num_features, again.num_used) == (points.num_features, points.num_used)
    assert np.array_equal(kept_tsne(run, key, 200), places)
    assert kept_tsne(run, key, 199) is None
    assert not (run.path / "checkpoints" / "artifacts").exists()
    for path in (run.path / "artifacts").rglob("*.npy"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert kept_points(run, key) is None
    assert kept_tsne(run, key, 200) is None
    for rubbish in (b"", b"PK\x05\x06", b"not a map"):
        for path in (run.path / "artifacts").rglob("*.npy"):
            path.write_bytes(rubbish)
        assert kept_points(run, key) is None
    assert points_for(run, checkpoint, store, indices, 200).scores.tobytes() == points.scores.tobytes()
    assert kept_points(run, key) is not None


def test_key_changes_with_weights_pictures_and_sample(home, run):
    store, (indices, _) = store_of(home, run), evaluated_images(run)
    first, last = find_checkpoint(run, "epoch-0001"), find_checkpoint(run, "last")
    keys = {
        map_inputs(last, store, indices, 100).key,
        map_inputs(first, store, indices, 100).key,
        map_inputs(last, store, indices, 101).key,
        map_inputs(last, store, indices[:-1], 100).key,
    }
    assert len(keys) == 4
    assert map_inputs(find_checkpoint(run, "best"), store, indices, 100).key in keys


def test_only_so_many_maps_are_kept_and_none_in_a_deleted_run(home, run, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_maps, "POINTS", ArtifactKind("artifacts/few", 2))
    store, (indices, _) = store_of(home, run), evaluated_images(run)
    checkpoint = find_checkpoint(run, "last")
    for most in (50, 60, 70):
        points_for(run, checkpoint, store, indices, most)
    assert len(list((run.path / "artifacts/few").iterdir())) == 2
    assert kept_points(run, map_inputs(checkpoint, store, indices, 50)) is None
    assert kept_points(run, map_inputs(checkpoint, store, indices, 70)) is not None
    gone = Run(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        points_for(gone, checkpoint, store, indices, 50)
    assert not gone.path.exists()


def test_too_few_pictures_and_numbers_that_are_not_finite_are_said():
    model, spec = network("mlp", side=8, channels=1)
    images = np.zeros((9, 1, 8, 8), np.uint8)
    with pytest.raises(InputError, match="at least 5 evaluated images, there are 4"):
        points_of(model, spec, images, np.arange(4), 100)
    with pytest.raises(InputError, match="stored as 1 × 8 × 8, the network takes 3 × 8 × 8"):
        other, other_spec = network("mlp", side=8, channels=3)
        points_of(other, other_spec, images, np.arange(9), 100)
    with torch.no_grad():
        model.layers[3].bias[0] = float("inf")
    with pytest.raises(InputError, match="not finite"):
        points_of(model, spec, images, np.arange(9), 100)


def test_names_from_outside_are_inert_in_the_chart_and_plain_text_in_the_card():
    names = ["<b>bold</b>", "other"]
    places, classes = np.random.default_rng(0).random((6, 2)), np.array([0, 0, 1, 1, 1, 0])
    ids = np.stack([np.arange(6) + 100, np.arange(6)], axis=1)
    words = [names[k] for k in classes]
    figure = figures.points_map(places, figures.by_class(classes, names), ids, words, ("", ""))
    assert figure.data[0].name == "&lt;b&gt;bold&lt;/b&gt; (3)"
    assert figure.layout.annotations[0].text == "<b>&lt;b&gt;bold&lt;/b&gt;</b>"
    assert figure.data[0].text[0] == "<b>bold</b>"  # the browser sets it as text
    assert figure.data[1].customdata.tolist() == [[102, 2], [103, 3], [104, 4]]


def test_groups_of_a_map_hold_every_point_once():
    draw = np.random.default_rng(0)
    labels, predicted = draw.integers(0, 20, 500), draw.integers(0, 20, 500)
    names = [str(k) for k in range(20)]
    for groups_ in (
        figures.by_class(labels, names),
        figures.by_outcome(labels, predicted),
        figures.by_one_class(labels, predicted, 3, "3"),
    ):
        assert (sum(group.members.astype(int) for group in groups_) == 1).all()
        assert len({(group.colour, group.symbol) for group in groups_}) == len(groups_)
