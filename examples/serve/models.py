"""The two SavedModels that the service serves, as functions on Python's own types.

All it needs is TensorFlow: neither Keras nor keras_rnn is there.
"""

import collections
from pathlib import Path

import numpy as np
import tensorflow as tf

ROWS = 64  # texts in one call of the sentiment model
CHECKED = 20  # characters of a text by which the start of a generator is checked


class Mistake(Exception):
    """What the user got wrong, in one line."""


class Sentiment:
    """The SavedModel of tutorials/sentiment_classification.py: is a review positive?

    Args:
        folder: Path of a SavedModel whose `serving_default` maps one string tensor
            `(batch,)` to one float tensor `(batch,)`, the probability of "positive".
    """

    def __init__(self, folder):
        self._model = load("--sentiment", folder, {"serving_default": set()})
        self._ask = self._model.signatures["serving_default"]
        takes = list(self._ask.structured_input_signature[1].values())
        gives = list(self._ask.structured_outputs.values())
        if [(t.dtype, t.shape.rank) for t in takes + gives] != [
            (tf.string, 1),
            (tf.float32, 1),
        ]:
            raise Mistake(
                f"--sentiment: `serving_default` of {folder} must map strings (batch,) to "
                f"probabilities (batch,) in float32, not {takes} to {gives}"
            )
        self._text = takes[0].name
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
            (positive,) = self._ask(**{self._text: batch}).values()
            opinions[rows] = positive.numpy()
        return np.split(opinions, np.cumsum([len(review) for review in reviews])[:-1])


class Text:
    """A text that is being written: all that the next character depends on.

    Attributes:
        reads: The characters that the network has still to read, a deque.
        states: What it remembers, dict from names to arrays `(units,)`.
        left: How many characters it has still to write.
        temperature, top_k: How they are drawn; `top_k` is `None` for all.
        random: `numpy.random.Generator`, the dice of this text.
    """

    def __init__(self, reads, states, length, temperature, top_k, seed):
        self.reads, self.states = collections.deque(reads), states
        self.left = length
        self.temperature, self.top_k = temperature, top_k
        self.random = np.random.default_rng(seed)


class Generator:
    """The SavedModel that `keras_rnn.Generator.export` writes: a network that writes.

    The network itself remembers nothing between two steps. What it knows of a text is in
    the `Text`. So one step serves all texts that are being written, a row for each,
    whether they are still reading their prompts or writing already.

    Args:
        folder: Path of the SavedModel.
        start: The character that each text of the model begins with, if it has one.
        conditions: List of the model's classes of texts, empty if it has none.

    Attributes:
        characters: The characters that it reads and writes, a string.
        start: The character, or "" if the model has none: a prompt is then needed.
        conditions: As given.
    """

    def __init__(self, folder, start="\n", conditions=()):
        self._model = load(
            "--generator",
            folder,
            {
                "generate": {"prompts", "length", "temperature", "top_k", "seed"},
                "initial_state": set(),
                "step": {"character"},
                "vocabulary": set(),
            },
        )
        signatures = self._model.signatures
        self._step = signatures["step"]
        found = signatures["vocabulary"]()["characters"].numpy()
        self.characters = b"".join(found).decode()
        self.conditions = list(conditions)
        self._first_states = self._ask_first_states(signatures["initial_state"])
        self.start = ""
        written = self._written_from_nothing(signatures["generate"])
        if written is not None:
            self.start = self._checked_start(start, written)

    def _ask_first_states(self, initial_state):
        """The states before the first step, for each condition, or for `None`."""
        has = "condition" in initial_state.structured_input_signature[1]
        if self.conditions and not has:
            raise Mistake("--conditions: the generator has none: leave the option out")
        if not has:
            return {None: row(initial_state(batch_size=tf.constant(1)), 0)}
        try:
            names = tf.constant(self.conditions or [""])
            states = initial_state(condition=names)
        except tf.errors.InvalidArgumentError as error:
            said = error.message.partition("assertion failed: ")[2] or error.message
            raise Mistake(
                "--conditions: the generator writes texts of several classes, which must "
                f"be named here. It says: {said.splitlines()[0]}".replace("\\", "")
            ) from error
        return {name: row(states, i) for i, name in enumerate(self.conditions)}

    def _written_from_nothing(self, generate):
        """The likeliest text without a prompt, or `None` if there must be one."""
        condition = {"condition": tf.constant(self.conditions[:1])}
        try:
            return generate(
                prompts=tf.constant([""]),
                length=tf.constant(CHECKED),
                temperature=tf.constant(0.0),
                top_k=tf.constant(0),
                seed=tf.constant(0, tf.int64),
                **(condition if self.conditions else {}),
            )["texts"][0].numpy()
        except tf.errors.InvalidArgumentError:
            return None

    def _checked_start(self, start, written):
        """The start, if the likeliest text from there on is `written`."""
        if len(start) == 1 and start in self.characters:
            condition = self.conditions[0] if self.conditions else None
            text = Text(start, self._first_states[condition], CHECKED, 0, None, 0)
            if (
                "".join(self.step([text])[0] for _ in range(CHECKED))
                == written.decode()
            ):
                return start
        raise Mistake(
            f"--start: the texts of the generator do not begin with {start!r}. Name the "
            "character that it was made with, Generator(..., start=...)"
        )

    def begin(self, prompt, length, temperature, top_k, condition, seed):
        """A new `Text`, of which nothing is read yet."""
        reads = self.start + prompt
        return Text(
            reads, self._first_states[condition], length, temperature, top_k, seed
        )

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
    """Draws a character for each text, as `keras_rnn.generation.sample` does.

    Args:
        p: The chances of the next character, `(texts, characters)`.
        texts: List of `Text`: how to draw.

    Returns:
        The characters' places in the vocabulary, `(texts,)`.
    """
    count = p.shape[1]
    temperature = np.array([[text.temperature] for text in texts])
    top_k = np.array([[text.top_k or count] for text in texts])
    dice = np.array([[text.random.random(dtype="float32")] for text in texts])
    dice = np.where(temperature > 0, dice, 0.0)  # before the likeliest, whatever it is
    order = np.argsort(-p, axis=1, kind="stable")
    logits = np.log(np.maximum(np.take_along_axis(p, order, axis=1), 1e-37))
    logits = (logits - logits[:, :1]) / np.maximum(temperature, 1e-6)
    kept = np.where(np.arange(count) < top_k, np.exp(logits), 0.0)
    sums = np.cumsum(kept, axis=1)
    ranks = np.sum(sums <= dice * sums[:, -1:], axis=1, keepdims=True)
    return np.take_along_axis(order, ranks, axis=1)[:, 0]


def row(states, i):
    """The states of one text of a batch."""
    return {name: value[i].numpy() for name, value in states.items()}


def load(option, folder, needed):
    """A SavedModel that has the signatures, each with at least these inputs."""
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
    for name, inputs in needed.items():
        if name not in model.signatures:
            raise Mistake(
                f"{option}: {folder} has no signature `{name}`, but {list(model.signatures)}"
            )
        has = set(model.signatures[name].structured_input_signature[1])
        if not inputs <= has:
            raise Mistake(
                f"{option}: the signature `{name}` of {folder} must take "
                f"{sorted(inputs)}, but takes {sorted(has)}"
            )
    return model
