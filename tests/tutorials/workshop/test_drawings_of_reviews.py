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
    text = np.array([[3, 1, 4, 1, 0, 0]])
    found = drawings_of_reviews.course(model, text)
    alone = [
        model.predict(np.array([[*text[0, :n], *[0] * (6 - n)]]), verbose=0).item()
        for n in (1, 2, 3, 4)
    ]
    np.testing.assert_allclose(found, alone, atol=1e-6)
