"""The two SavedModels that the service serves, as functions on Python's own types.

All it needs is TensorFlow: neither Keras nor keras_rnn is there.
"""

import collections
from pathlib import Path

import numpy as np
import tensorflow as tf

ROWS = 64  # texts in one call of the sentiment model


class Mistake(Exception):
    """What the user got wrong, in one line."""


class Sentiment:
    """The SavedModel of examples/train_sentiment.py: is a review positive?

    Args:
        folder: Path of a SavedModel whose `serving_default` maps `text`, strings
            `(batch,)`, to `positive`, the probabilities of "positive", `(batch,)`.
    """

    def __init__(self, folder):
        needed = {"serving_default": {"text", "positive"}}
        self._model = load("--sentiment", folder, needed)
        self._ask = self._model.signatures["serving_default"]
        self.courses([["Good", "."]])  # the first call takes longest

    def courses(self, reviews):
        """What the network thinks after each word: it reads each beginning of a review.

        Args:
            reviews: List of lists of words, none of them empty.

        Returns:
            For each review an array `(words,)`, the probability of "positive" after its
            first word, its first two, ..., all.
        """
        texts = [" ".join(r[: n + 1]) for r in reviews for n in range(len(r))]
        opinions = np.empty(len(texts))
        # Texts of about the same length share a call, so that little is padding.
        order = np.argsort([len(text) for text in texts], kind="stable")
        for rows in np.split(order, range(ROWS, len(texts), ROWS)):
            batch = tf.constant([texts[row] for row in rows])
            opinions[rows] = self._ask(text=batch)["positive"].numpy()
        return np.split(opinions, np.cumsum([len(review) for review in reviews])[:-1])


class Text:
    """A text that is being written: all that the next character depends on.

    Attributes:
        reads: The characters that the network has still to read, a deque.
        states: What it remembers, dict from names to arrays `(units,)`.
        left: How many characters it has still to write.
        temperature, top_k, top_p: How they are drawn; the last two may be `None`.
        random: `numpy.random.Generator`, the dice of this text.
    """

    def __init__(self, reads, states, length, temperature, top_k, top_p, seed):
        self.reads, self.states = collections.deque(reads), states
        self.left = length
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self.random = np.random.default_rng(seed)


class Generator:
    """The SavedModel that `keras_rnn.Generator.export` writes: a network that writes.

    The network itself remembers nothing between two steps. What it knows of a text is in
    the `Text`. So one step serves all texts that are being written, a row for each,
    whether they are still reading their prompts or writing already.

    Args:
        folder: Path of the SavedModel.

    Attributes:
        characters: The characters that it reads and writes, a string.
        conditions: List of its classes of texts, empty if it has none.
        start: The character that each text begins with, or "": a prompt is then needed.
        unknown: The character that it reads in place of others, or "": it reads no others.
    """

    def __init__(self, folder):
        self._model = load(
            "--generator",
            folder,
            {
                "initial_state": set(),
                "step": {"character", "probabilities"},
                "vocabulary": {"characters", "conditions", "start", "unknown"},
            },
        )
        signatures = self._model.signatures
        self._step = signatures["step"]
        told = {
            name: value.numpy() for name, value in signatures["vocabulary"]().items()
        }
        self.characters = b"".join(told["characters"]).decode()
        self.conditions = [name.decode() for name in told["conditions"]]
        self.start, self.unknown = told["start"].decode(), told["unknown"].decode()
        first = signatures["initial_state"]
        if self.conditions:
            states = first(condition=tf.constant(self.conditions))
        else:
            states = first(batch_size=tf.constant(1))
        self._first_states = {
            name: {level: value[i].numpy() for level, value in states.items()}
            for i, name in enumerate(self.conditions or [None])
        }
        name, *_ = self._first_states
        self.step([self.begin(self.characters[0], 1, 1.0, None, None, name, 0)])

    def begin(self, prompt, length, temperature, top_k, top_p, condition, seed):
        """A new `Text`, of which nothing is read yet."""
        states = self._first_states[condition]
        how = temperature, top_k, top_p, seed
        return Text(self.start + prompt, states, length, *how)

    def step(self, texts):
        """One step of each text: it reads a character and, once past its prompt, writes.

        Args:
            texts: List of `Text`, which this changes.

        Returns:
            List with the new character of each text, "" where the prompt goes on.
        """
        batch = {
            name: tf.constant(np.stack([text.states[name] for text in texts]))
            for name in texts[0].states
        }
        read = tf.constant([text.reads.popleft() for text in texts])
        states = self._step(character=read, **batch)
        p = states.pop("probabilities").numpy()  # (texts, characters)
        states = {name: value.numpy() for name, value in states.items()}
        for i, text in enumerate(texts):
            text.states = {name: value[i] for name, value in states.items()}
        new = [""] * len(texts)
        writing = [i for i, text in enumerate(texts) if not text.reads]
        if writing:
            for i, place in zip(writing, draw(p[writing], [texts[i] for i in writing])):
                new[i] = self.characters[place]
                texts[i].reads.append(new[i])
                texts[i].left -= 1
        return new


def draw(p, texts):
    """Draws a character for each text, as `keras_rnn.generation.sampling.sample` does.

    Args:
        p: The chances of the next character, `(texts, characters)`.
        texts: List of `Text`: how to draw.

    Returns:
        The characters' places in the vocabulary, `(texts,)`.
    """
    count = p.shape[1]
    temperature = np.array([[text.temperature] for text in texts])
    top_k = np.array([[text.top_k or count] for text in texts])
    # Running sums end at about 1: at 2 nothing is cut.
    reach = np.array([[text.top_p if (text.top_p or 1) < 1 else 2.0] for text in texts])
    dice = np.array([[text.random.random(dtype="float32")] for text in texts])
    dice = np.where(temperature > 0, dice, 0.0)  # before the likeliest, whatever it is
    order = np.argsort(-p, axis=1, kind="stable")
    logits = np.log(np.maximum(np.take_along_axis(p, order, axis=1), 1e-37))
    logits = (logits - logits[:, :1]) / np.maximum(temperature, 1e-6)
    p = np.where(np.arange(count) < top_k, np.exp(logits), 0.0)
    p /= p.sum(axis=1, keepdims=True)
    sums = np.cumsum(p, axis=1)
    p[sums - p >= reach] = 0
    sums = np.cumsum(p, axis=1)
    ranks = np.sum(sums <= dice * sums[:, -1:], axis=1, keepdims=True)
    return np.take_along_axis(order, ranks, axis=1)[:, 0]


def load(option, folder, needed):
    """A SavedModel that has the signatures, each with at least these in- and outputs."""
    folder = Path(folder)
    if not folder.is_dir():
        raise Mistake(f"{option}: there is no folder {folder}")
    if not (folder / "saved_model.pb").is_file():
        raise Mistake(
            f"{option}: {folder} is not a SavedModel: no saved_model.pb in it"
        )
    try:
        model = tf.saved_model.load(folder)
    except Exception as error:  # whatever TensorFlow raises for a broken file
        raise Mistake(f"{option}: {folder} cannot be loaded: {error}") from error
    for name, parts in needed.items():
        if name not in model.signatures:
            raise Mistake(
                f"{option}: {folder} has no signature `{name}`, but {list(model.signatures)}"
            )
        signature = model.signatures[name]
        has = {
            *signature.structured_input_signature[1],
            *signature.structured_outputs,
        }
        if not parts <= has:
            raise Mistake(
                f"{option}: the signature `{name}` of {folder} has no "
                f"{' and no '.join(sorted(parts - has))}: is it of an older version? Then "
                "export the model again"
            )
    return model
