"""What a network thinks after each word."""

import keras
import numpy as np
import pytest
from keras import layers
from workshop import drawings_of_reviews


@pytest.mark.tensorflow
def test_the_opinion_after_each_word_is_that_of_the_beginning():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            layers.Embedding(9, 4, mask_zero=True),
            layers.LSTM(3),
            layers.Dense(1, "sigmoid"),
        ]
    )
    texts = np.array([[3, 1, 4, 1, 0, 0], [5, 8, 0, 0, 0, 0]])
    found = drawings_of_reviews.courses(model, texts)
    assert [len(course) for course in found] == [4, 2]
    alone = model.predict(np.array([[3, 1, 4, 0, 0, 0]]), verbose=0)
    assert found[0][2] == pytest.approx(alone.item(), abs=1e-6)
    whole = model.predict(texts, verbose=0)[:, 0]
    np.testing.assert_allclose([course[-1] for course in found], whole, atol=1e-6)
