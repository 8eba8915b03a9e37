"""The lesson of sentiment, cell by cell, and its solutions."""

import keras
import pytest
import tensorflow as tf

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "07_sentiment_classification.py"


@pytest.mark.tensorflow
def test_cell_by_cell(tmp_path_factory):
    folder, _ = quick_run(LESSON, tmp_path_factory, pretrain=True)
    names = "many_to_one forgets last_words opinions".split()
    assert {p.name for p in folder.glob("*.png")} == {f"{name}.png" for name in names}
    found = metrics(folder)
    ladder = {row.pop("rung"): row for row in found["ladder"]}
    assert len(ladder) == 10
    assert all(0 <= row["test"] <= 1 for row in ladder.values())
    # Without a recurrent layer, the same words in another order are the same text.
    assert ladder["(mean of vectors)"]["pairs right"] == 0
    # Each state has a line of its own to the loss when the mean of all is taken.
    assert found["ratio"]["with masks"] < found["ratio"]["mean of states"]
    assert found["perplexity"] > 1
    model = keras.saving.load_model(folder / "model.keras")
    told = model.predict(tf.constant(["good", "not bad at all"]), verbose=0)
    assert told.shape == (2, 1) and 0 < told.min() and told.max() < 1


@pytest.mark.tensorflow
def test_the_solutions(tmp_path_factory):
    folder, _ = small_run(TUTORIALS / "solutions" / LESSON.name, tmp_path_factory)
    found = metrics(folder)
    assert set(found["cut"]) == {"the first", "the last"} and len(found["last"]) == 4
    pairs = [row["pairs of order"] for row in found["bags"]]
    assert pairs[0] == 0 < max(pairs[1:])  # pairs of words know something of order
    assert not set(found["says"]["negative"]) & set(found["says"]["positive"])
