"""The films, what each network can know of them, and the tutorial as a script."""

import importlib
import json

import keras
import numpy as np
import pytest
from PIL import Image

from tests.tutorials.scripts import TUTORIALS, refused, rows, small_run

# isort: split

tutorial = importlib.import_module("08_video_classification")

SCRIPT = TUTORIALS / "08_video_classification.py"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the output of a small run."""
    return small_run(SCRIPT, tmp_path_factory)


def build(name):
    keras.utils.set_random_seed(0)
    return tutorial.build(name, tutorial.read_options(["--quick"]), 10)


# ------------------------------------------------------------------------- the films


def test_heaps_share_no_digit():
    heaps = tutorial.load_heaps(seed=3, quick=False)
    pictures = [{image.tobytes() for image in images} for images, _ in heaps]
    assert sum(len(labels) for _, labels in heaps) == 1797
    assert [len(labels) for _, labels in heaps] == [1078, 179, 540]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not pictures[a] & pictures[b]


@pytest.mark.parametrize("frames", range(1, tutorial.LONGEST + 1))
def test_films_by_hand(frames):
    """Each frame is the digit alone, moved by the speed; the middle is where asked."""
    random = np.random.default_rng(frames)
    images = random.uniform(0.1, 1, (4, 8, 8)).astype("float32")
    middle = (tutorial.SIDE - 8) // 2
    films = tutorial.make_films(images, np.full((4, 2), middle), np.arange(4), frames)
    assert films.shape == (4, frames, tutorial.SIDE, tutorial.SIDE, 1)
    for image, film, (down, right) in zip(images, films, tutorial.DIRECTIONS.values()):
        for t, frame in enumerate(film):
            gone = round(tutorial.SPEED * (t - (frames - 1) / 2))
            row, column = middle + gone * down, middle + gone * right
            expected = np.zeros((tutorial.SIDE, tutorial.SIDE), "float32")
            expected[row : row + 8, column : column + 8] = image
            np.testing.assert_array_equal(frame[..., 0], expected)


def test_backwards_is_the_opposite_direction():
    random = np.random.default_rng(0)
    images, middles = random.random((4, 8, 8)), np.full((4, 2), 8)
    films = tutorial.make_films(images, middles, np.arange(4), 5)
    others = tutorial.make_films(images, middles, tutorial.OPPOSITE, 5)
    np.testing.assert_array_equal(films[:, ::-1], others)


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_a_photograph_gives_nothing_away(frames):
    """The middle of a film is the same picture, whatever the direction."""
    images = np.random.default_rng(0).random((6, 8, 8))
    middles = []
    for way in range(4):
        films = tutorial.draw_films(
            images, np.arange(6), np.full(6, way), np.random.default_rng(1), frames
        )
        middles.append(films[:, frames // 2])
    for other in middles[1:]:
        np.testing.assert_array_equal(middles[0], other)


def test_batches():
    """Each epoch has a film of each digit in each direction, of all lengths, anew."""
    images = np.random.default_rng(0).random((50, 8, 8)).astype("float32")
    labels = np.arange(50)
    batches = tutorial.Films(images, labels, 16, seed=2, longest=6)

    def epoch():
        return [batches[n] for n in range(len(batches))]

    first = epoch()
    asked = sorted(
        (digit, way)
        for _, answers in first
        for digit, way in zip(answers["digit"], answers["direction"])
    )
    assert asked == [(digit, way) for digit in range(50) for way in range(4)]
    assert {films.shape[1] for films, _ in first} == {1, 2, 3, 4, 5, 6}
    assert first[0][0].shape[1] != first[1][0].shape[1]
    batches.on_epoch_end()
    second = epoch()
    assert not np.array_equal(first[0][1]["digit"], second[0][1]["digit"])
    again = tutorial.Films(images, labels, 16, seed=2, longest=6)
    again.epoch = 1
    for n, (films, answers) in enumerate(second):
        np.testing.assert_array_equal(films, again[n][0])
        np.testing.assert_array_equal(answers["digit"], again[n][1]["digit"])


# ---------------------------------------------------------------------- the networks


def test_who_sees_order():
    films = np.random.default_rng(0).random((3, 5, 24, 24, 1)).astype("float32")
    for name, sees in (("all frames, no order", False), ("recurrent", True)):
        network = build(name)
        said, backwards = (
            np.array(network(shown)["direction"]) for shown in (films, films[:, ::-1])
        )
        assert np.allclose(said, backwards, atol=1e-6) != sees


def test_each_frame_is_seen_by_itself():
    """`TimeDistributed` is the CNN, frame by frame, for any number of frames."""
    sight = tutorial.build_sight()
    network = tutorial.models.TimeDistributed(sight)
    film = keras.Input((None, 24, 24, 1))
    model = keras.Model(film, network(film))
    for shape in ((2, 7), (5, 3)):
        films = np.random.default_rng(0).random((*shape, 24, 24, 1)).astype("float32")
        expected = np.stack([np.array(sight(each)) for each in films])
        np.testing.assert_allclose(np.array(model(films)), expected, atol=1e-5)
        predicted = model.predict(films, verbose=0)
        np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_answers_do_not_depend_on_the_chunk():
    network = build("recurrent")
    films = np.random.default_rng(0).random((5, 3, 24, 24, 1)).astype("float32")
    whole, parts = tutorial.ask(network, films), tutorial.ask(network, films, 2)
    for question, size in (("direction", 4), ("digit", 10)):
        assert whole[question].shape == (5, size)
        np.testing.assert_allclose(whole[question], parts[question], atol=1e-6)
        np.testing.assert_allclose(whole[question].sum(1), 1, atol=1e-5)


# ------------------------------------------------------------------------ the script


def test_files_and_figures_of_a_run(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {
        "accuracy_by_frames.png",
        "films.gif",
        "films.png",
        "history.csv",
        "metrics.json",
        "model.keras",
    }
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert set(metrics["test_accuracy"]) == {"direction", "digit"}
    assert set(metrics["baselines"]) == {"chance", "one frame", "all frames, no order"}
    for course in metrics["accuracy_by_frames"].values():
        assert [row["frames"] for row in course] == list(range(1, 9))
    ways = metrics["direction_in_other_orders"]["all frames, no order"]
    assert ways["as they are"] == ways["shuffled"]
    assert metrics["seed"] == 1 and metrics["versions"]["keras"] == keras.__version__
    assert len(rows(folder / "history.csv")) == 2
    with Image.open(folder / "films.gif") as gif:
        assert gif.n_frames == tutorial.LONGEST


def test_figures_are_those_of_the_saved_network(finished):
    folder, _ = finished
    network = keras.saving.load_model(folder / "model.keras")
    options = tutorial.read_options(["--quick"])
    _, _, (images, labels) = tutorial.load_heaps(options.seed, options.quick)
    random = np.random.default_rng((options.seed, 2))
    for name in ("one frame", "all frames, no order"):  # they come first
        tutorial.every_way(images, labels, random, tutorial.SEES[name])
    films, asked = tutorial.every_way(images, labels, random, tutorial.FRAMES)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    found = tutorial.share_right(network, films, asked)
    assert found == pytest.approx(metrics["test_accuracy"], abs=1e-9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cell", "rnn"], "--cell"),
        (["--units", "0"], "--units"),
        (["--epochs", "-1"], "--epochs"),
        (["--batch-size", "many"], "--batch-size"),
        (["--resume"], "--resume"),
        (["--output", "{folder}/file/results"], "cannot write to"),
    ],
)
def test_mistakes(options, says, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    options = [option.format(folder=tmp_path) for option in options]
    arguments = ["--output", tmp_path, *options]
    refused(tutorial.main, arguments, says, tmp_path, capsys)
