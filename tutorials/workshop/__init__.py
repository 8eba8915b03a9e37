"""What the lessons share. No lesson is in it.

    lesson.py           the parameters, figures and tables of a lesson
    languages.py        the course in French: catalogues, and a lesson made of one
    command_line.py     the options of a program; errors.py, what ends it; printing.py
    files.py            files that are written whole or not at all; data_sets.py
    runs.py             runs that can be interrupted and resumed
    devices.py          several devices that share a batch
    batches.py          batches of sequences that are about equally long
    models.py           a layer, a learning rate, networks that are loaded
    tagging.py          words, letters and tags in batches; tagged_text.py, in colours
    next_word.py        layers that first learn to say the next word
    plots.py            the look of the plots; machine.py, where it was measured
    drawings_of_*.py    the pictures that one lesson draws
    drawings.py         what drawings of networks are made of
    cells_by_hand.py    a step in NumPy, beside a layer's
    memory_tasks.py, tasks_of_levels.py: tasks that are made, and batches of them
    corpora.py, dates.py, footfall.py, french_numbers.py, moving_digits.py, n_grams.py,
    phrases.py, reviews.py, sentences.py, tunes.py: data

Imported before Keras, it keeps TensorFlow's own lines off the screen.
"""

import contextlib
import logging
import os
import sys


@contextlib.contextmanager
def _quiet():
    """Sends what native code writes to stderr to nowhere."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


# TensorFlow prints lines about its own start, some of which no setting turns off. Who
# sets the variable wants to see them.
if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _quiet():
        import keras

        if keras.backend.backend() != "tensorflow":
            with contextlib.suppress(ImportError):
                import tensorflow  # noqa: F401
