"""A SavedModel from prompts to texts, with the whole loop inside: TensorFlow's alone."""

from typing import Any

import keras

from keras_rnn.generation.sampling import uniform
from keras_rnn.generation.writing import UNROLL, WritingLoop
from keras_rnn.hints import StrPath


def save_generator(model: Any, loop: WritingLoop, path: StrPath) -> None:
    """The SavedModel of `Generator.export`.

    Args:
        model: A `keras_rnn.Generator`.
        loop: Its loop.
        path: Where to write it.
    """
    import tensorflow as tf

    characters = model._vocabulary
    names = [
        [
            f"level_{i}_{name.removeprefix('initial_')}"
            for name in cell.initial_state_names
        ]
        for i, cell in enumerate(level.cell for level in model.levels)
    ]
    module = tf.Module()
    module.weights = [variable.value for variable in model.weights]

    def checked(value, right, message):
        """The value, if it is right. What is computed from it waits for the check."""
        with tf.control_dependencies([tf.debugging.Assert(right, [message, value])]):
            return tf.identity(value)

    def classes(condition):
        if not model.conditions:
            return None
        names = tf.constant(model.conditions)
        known = tf.reduce_all(tf.reduce_any(condition[:, None] == names, 1))
        message = f"`condition` must be one of {model.conditions}:"
        condition = checked(condition, known, message)
        return tf.argmax(condition[:, None] == names, axis=1, output_type=tf.int32)

    def by_name(states):
        return dict(zip(sum(names, []), keras.tree.flatten(states)))

    def generate(prompts, length, temperature, top_k, top_p, seed, condition=None):
        length = checked(length, length >= 1, "`length` must be a positive integer:")
        temperature = checked(
            temperature,
            (temperature >= 0) & tf.math.is_finite(temperature),
            "`temperature` must be a finite number, at least 0:",
        )
        message = "`top_k` must be a positive integer, or 0:"
        top_k = checked(top_k, top_k >= 0, message)
        message = "`top_p` must be in (0, 1]:"
        top_p = checked(top_p, (top_p > 0) & (top_p <= 1), message)
        message = "`seed` must be in [0, 2**32):"
        seed = checked(seed, (seed >= 0) & (seed < 2**32), message)
        if condition is not None:
            message = "`condition` must have one for each of `prompts`:"
            as_many = tf.size(condition) == tf.size(prompts)
            condition = checked(condition, as_many, message)
        texts = tf.strings.join([model.start or "", prompts])
        some = (tf.size(prompts) > 0) & tf.reduce_all(tf.strings.length(texts) > 0)
        texts = checked(texts, some, "`prompts` must not be empty:")
        tokens = characters.encode_tensor(texts)
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        last, states = loop.begin(tokens.to_tensor(), lengths, classes(condition))
        rows = tf.cast(tf.range(tf.size(prompts))[None], tf.uint32)
        steps = tf.cast(tf.range(-(-length // UNROLL) * UNROLL)[:, None], tf.uint32)
        uniforms = uniform(tf.cast(seed, tf.uint32), rows, steps)
        top_k = tf.where(top_k > 0, top_k, len(model.vocabulary))
        settings = [temperature, top_k, top_p]
        written, _, _ = loop.write(last, states, uniforms, length, settings)
        return {"texts": characters.decode_tensor(tf.transpose(written[:length]))}

    def initial_state(batch_size=None, condition=None):
        if model.conditions:
            batch_size = tf.size(condition)
        message = "`batch_size` must be a positive integer:"
        batch_size = checked(batch_size, batch_size >= 1, message)
        return by_name(model.get_initial_state(batch_size, classes(condition)))

    def step(character, **states):
        tokens = characters.encode_tensor(character)
        tf.debugging.assert_equal(
            tf.cast(tokens.row_lengths(), tf.int32),
            1,
            "`character` must be one character",
        )
        for name, state in states.items():
            as_many = tf.shape(state)[0] == tf.size(character)
            message = f"`{name}` must have one row for each of `character`:"
            states[name] = checked(state, as_many, message)
        nested = [[states[name] for name in level] for level in names]
        logits, nested = model.step(tokens.values, nested)
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        return {"probabilities": probabilities, **by_name(nested)}

    def vocabulary():
        return {
            "characters": tf.constant(list(model.vocabulary)),
            "conditions": tf.constant(model.conditions, tf.string),
            "start": tf.constant(model.start or ""),
            "unknown": tf.constant(model.unknown or ""),
        }

    def text(name):
        return tf.TensorSpec((None,), tf.string, name)

    def number(name, dtype):
        return tf.TensorSpec((), dtype, name)

    class_of_row = {"condition": text("condition")} if model.conditions else {}
    states = {
        name: tf.TensorSpec((None, size), cell.compute_dtype, name)
        for cell, level in zip((level.cell for level in model.levels), names)
        for name, size in zip(level, cell.state_sizes)
    }
    arguments = {
        generate: {
            "prompts": text("prompts"),
            "length": number("length", tf.int32),
            "temperature": number("temperature", tf.float32),
            "top_k": number("top_k", tf.int32),
            "top_p": number("top_p", tf.float32),
            "seed": number("seed", tf.int64),
            **class_of_row,
        },
        initial_state: class_of_row or {"batch_size": number("batch_size", tf.int32)},
        step: {"character": text("character"), **states},
        vocabulary: {},
    }
    tf.saved_model.save(
        module,
        path,
        signatures={
            function.__name__: tf.function(function).get_concrete_function(**specs)
            for function, specs in arguments.items()
        },
    )
