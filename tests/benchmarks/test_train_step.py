"""The benchmark of training steps runs, at sizes of which the numbers mean nothing."""

import json

import pytest
import train_step

from keras_rnn import ElmanRNN, bptt

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    kinds = ["--only", "inference", "fit", "sizes"]
    train_step.main(["--quick", *kinds, "--rounds", "1", "--output", str(folder)])
    assert (folder / "train_step.png").stat().st_size
    return json.loads((folder / "train_step.json").read_text())


def test_every_peer_is_measured(record):
    assert {"ours", "keras"} <= set(record["peers"])
    assert [entry["shape"] for entry in record["inference"]] == ["A", "G"]
    for entry in record["inference"]:
        assert list(entry["samples"]) == record["peers"]
    (fit,) = record["fit"]
    for way in ("dataset", "arrays", "predict"):
        assert all(fit[way][name][0] > 0 for name in ("ours", "keras"))
    (sizes,) = record["sizes"]
    for name in ("ours", "keras"):
        assert sizes[name]["first"] > 0 and sizes[name]["later"] > 0


def test_graphs_only():
    """Nothing is compiled within, and all of a fixed number of steps after it."""
    import tensorflow as tf

    def kinds_of_loops():
        layer = ElmanRNN(3)
        layer.build((2, 4, 2))
        tf.function(lambda x: layer(x, training=True))(tf.ones((2, 4, 2)))
        (one_pass,) = layer._passes.values()
        return {name for key in one_pass._compiled for name in key[1:]}

    usual = bptt.choose
    with train_step.graphs_only():
        assert "jit_compile" not in kinds_of_loops()
    assert bptt.choose is usual
    assert "jit_compile" in kinds_of_loops()
