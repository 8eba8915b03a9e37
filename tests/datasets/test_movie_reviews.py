"""Properties of the builder `movie_reviews`, on the real table of reviews."""

import csv
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from importlib.resources import files

import numpy as np
import pytest
import tensorflow_datasets as tfds

import keras_rnn.datasets
from keras_rnn.datasets import movie_reviews

CONFIGS = {
    "imdb": {"train": 20_000, "test": 5_000},
    "rotten_tomatoes": {"train": 6_824, "test": 1_706},
}
LOAD = (
    "import sys, keras_rnn.datasets, tensorflow_datasets as tfds;"
    "tfds.load('movie_reviews', data_dir=sys.argv[1])"
)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A directory with both configs prepared."""
    directory = tmp_path_factory.mktemp("tensorflow_datasets")
    for config in CONFIGS:
        tfds.builder(
            f"movie_reviews/{config}", data_dir=directory
        ).download_and_prepare()
    return directory


def read(data_dir, config, split):
    """The texts and the labels of a prepared split, in its order on disk."""
    dataset = tfds.load(
        f"movie_reviews/{config}",
        split=split,
        data_dir=data_dir,
        batch_size=-1,
        as_supervised=True,
    )
    texts, labels = tfds.as_numpy(dataset)
    return [text.decode() for text in texts], labels


@pytest.fixture(scope="session")
def examples(data_dir):
    """What `read` returns for each split of each config."""
    return {
        config: {split: read(data_dir, config, split) for split in splits}
        for config, splits in CONFIGS.items()
    }


@pytest.fixture(scope="session")
def table():
    """The package's table: a list of dicts of text, label and source."""
    path = files("movie_reviews") / "data" / "combined_movie_reviews.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def start(data_dir, **environment):
    """Starts a process that loads the default config, thus prepares it."""
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(data_dir)],
        env=os.environ | paths | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("config", CONFIGS)
def test_sizes_and_balance(config, examples, data_dir):
    info = tfds.builder(f"movie_reviews/{config}", data_dir=data_dir).info
    for split, size in CONFIGS[config].items():
        texts, labels = examples[config][split]
        assert info.splits[split].num_examples == len(texts) == size
        np.testing.assert_array_equal(np.bincount(labels), [size // 2, size // 2])


@pytest.mark.parametrize("config", CONFIGS)
def test_every_row_of_the_table_stands_in_one_split_with_its_label(
    config, examples, table
):
    expected = sorted(
        (row["text"], int(row["label"])) for row in table if row["source"] == config
    )
    got = [
        (text, label)
        for texts, labels in examples[config].values()
        for text, label in zip(texts, labels.tolist(), strict=True)
    ]
    assert sorted(got) == expected


@pytest.mark.parametrize("config", CONFIGS)
def test_no_text_is_in_both_splits_or_twice_in_the_test_split(config, examples):
    def words(split):
        return [
            tuple(re.findall(r"\w+", text.lower()))
            for text in examples[config][split][0]
        ]

    test = words("test")
    assert len(set(test)) == len(test)
    assert set(test).isdisjoint(words("train"))


def test_test_split_of_imdb_is_two_runs_of_neighbouring_rows(examples, table):
    test = set(examples["imdb"]["test"][0])
    for first, last, label in [(3_123, 5_657, "0"), (22_493, 24_999, "1")]:
        rows = [row for row, review in enumerate(table) if review["text"] in test]
        rows = [row for row in rows if table[row]["label"] == label]
        assert (rows[0], rows[-1], len(rows)) == (first, last, 2_500)


def test_both_runs_begin_at_the_same_film(table):
    """The film before them and the first one with both labels are known by name."""
    assert "Edward D. Wood" in table[3_122]["text"]
    assert "Edward D. Wood" in table[12_500 + 9_984]["text"]
    assert "Ceylon" in table[3_123]["text"]
    assert "Ceylon" in table[12_500 + 9_999]["text"]


def test_splits_are_shuffled(examples):
    for splits in examples.values():
        for _, labels in splits.values():
            assert 0.4 < labels[:500].mean() < 0.6


def test_same_features_as_imdb_reviews(data_dir, tmp_path):
    ours = tfds.builder("movie_reviews", data_dir=data_dir).info
    theirs = tfds.builder("imdb_reviews/plain_text", data_dir=tmp_path).info
    assert ours.features.to_json() == theirs.features.to_json()
    assert ours.features["label"].names == theirs.features["label"].names
    assert ours.supervised_keys == theirs.supervised_keys
    assert ours.config_name == "imdb"


def test_prepared_data_are_read_from_disk(data_dir, monkeypatch):
    def refuse():
        raise AssertionError("prepared again")

    monkeypatch.setattr(movie_reviews, "_read_table", refuse)
    datasets = tfds.load("movie_reviews", data_dir=data_dir, as_supervised=True)
    text, label = next(iter(datasets["train"]))
    assert (text.dtype, label.dtype) == ("string", "int64")
    # TFDS's way to read data whose builder is not at hand.
    builder = tfds.builder_from_directory(data_dir / "movie_reviews/imdb/1.0.0")
    assert builder.info.splits["test"].num_examples == 5_000


@pytest.mark.slow
def test_killed_preparation_leaves_nothing_half_made(examples, tmp_path):
    place = tmp_path / "movie_reviews" / "imdb"
    process = start(tmp_path)
    while process.poll() is None and not any(place.glob("incomplete.*/*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert any(place.glob("incomplete.*")) and not (place / "1.0.0").exists()

    # The hash seed moves the order of sets, which must not show.
    assert start(tmp_path, PYTHONHASHSEED="1").wait() == 0
    for split, (texts, labels) in examples["imdb"].items():
        texts_again, labels_again = read(tmp_path, "imdb", split)
        assert texts_again == texts
        np.testing.assert_array_equal(labels_again, labels)


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "movie_reviews", None)
    with pytest.raises(ModuleNotFoundError, match=r"keras-rnn\[datasets\]"):
        tfds.load("movie_reviews", data_dir=tmp_path)
    assert not list(tmp_path.rglob("incomplete.*"))


def test_module_that_hides_the_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "movie_reviews.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "movie_reviews", raising=False)
    with pytest.raises(ModuleNotFoundError, match="hidden by another module"):
        movie_reviews._read_table()
    monkeypatch.delitem(sys.modules, "movie_reviews")


def test_another_table_is_refused(monkeypatch):
    monkeypatch.setattr(movie_reviews, "_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="another table"):
        movie_reviews._read_table()


def test_importing_again_keeps_the_registration():
    registered = tfds.builder_cls("movie_reviews")
    importlib.reload(movie_reviews)
    importlib.reload(keras_rnn.datasets)
    assert tfds.builder_cls("movie_reviews") is registered
