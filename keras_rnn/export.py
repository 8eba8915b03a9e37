"""Models written for programs that have no Keras: TensorFlow's SavedModel."""

import contextlib
import pathlib
import tempfile

import keras


@contextlib.contextmanager
def new_saved_model(path, what):
    """A folder to write a SavedModel to, which takes the place of `path` when it is whole.

    Args:
        path: Where the SavedModel is to be. One that is there is replaced.
        what: String, what is to write it, for the error.

    Yields:
        A path that does not exist yet, beside `path`.

    Raises:
        RuntimeError: Keras does not run on TensorFlow.
        ValueError: `path` is something else than a SavedModel.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"`{what}` writes a SavedModel, which needs TensorFlow: set "
            f"KERAS_BACKEND=tensorflow (it is {keras.backend.backend()})."
        )
    path = pathlib.Path(path)
    if path.exists() and not (path / "saved_model.pb").exists():
        raise ValueError(
            "`path` must not exist yet, or be a SavedModel, which is replaced. "
            f"Received: path={path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        new, old = pathlib.Path(folder, "new"), pathlib.Path(folder, "old")
        yield new
        if path.exists():
            path.rename(old)
        new.rename(path)
