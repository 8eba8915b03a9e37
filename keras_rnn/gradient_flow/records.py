"""Records of `GradientFlow` as rows of a CSV file, for TensorBoard, and as a plot."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_rnn.extras import check_installed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# One of `GradientFlow.records`: numbers, and dictionaries of them by name.
Record = dict[str, Any]


def rows(record: Record) -> Iterator[tuple[int, str, str, int | str, float]]:
    """A record as rows of the CSV file."""
    batch = record["batch"]
    yield batch, "loss", "", "", record["loss"]
    yield batch, "global_norm", "", "", record["global_norm"]
    for path, norm in record["gradient_norms"].items():
        yield batch, "gradient_norm", path, "", norm
    for name, profile in record["state_gradient_norms"].items():
        for t, norm in enumerate(profile, start=1):
            yield batch, "state_gradient_norm", name, t, norm
    for quantity in ("saturated", "saturated_gates"):
        for name, share in record[quantity].items():
            if not math.isnan(share):
                yield batch, quantity, name, "", share


class Board:
    """Writes records for TensorBoard.

    Args:
        log_dir: The folder to write to.

    Raises:
        ImportError: TensorFlow or TensorBoard is not installed.
    """

    def __init__(self, log_dir: pathlib.Path) -> None:
        # TensorFlow writes the summaries, and needs TensorBoard for them.
        check_installed("`log_dir`", "plots", "tensorflow", "tensorboard")
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(log_dir))

    def write(self, record: Record, gradients: dict[str, np.ndarray]) -> None:
        summary, step = self._summary, record["batch"]
        with self._writer.as_default(step=step):
            summary.scalar("gradient_flow/loss", record["loss"])
            summary.scalar("gradient_flow/global_norm", record["global_norm"])
            for path, norm in record["gradient_norms"].items():
                summary.scalar(f"gradient_norm/{path}", norm)
                finite = gradients[path][np.isfinite(gradients[path])]
                summary.histogram(f"gradient/{path}", finite)
            for name, profile in record["state_gradient_norms"].items():
                summary.scalar(f"state_gradient_norm/{name}/first_step", profile[0])
                summary.scalar(f"state_gradient_norm/{name}/last_step", profile[-1])
            for quantity in ("saturated", "saturated_gates"):
                for name, share in record[quantity].items():
                    if not math.isnan(share):
                        summary.scalar(f"{quantity}/{name}", share)
        self._writer.flush()


def draw(records: Sequence[Record], names: Sequence[str]) -> Figure:
    """The figure of `GradientFlow.plot`."""
    check_installed("`plot`", "plots", "matplotlib")
    from matplotlib import cm, colors
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2 * (len(names) + 1)), layout="constrained")
    *profiles, norms = figure.subplots(len(names) + 1, 1, squeeze=False)[:, 0]
    batches = [record["batch"] for record in records]
    scale = colors.Normalize(batches[0], max(batches[-1], batches[0] + 1))
    for axes, name in zip(profiles, names):
        for record in records:
            profile = record["state_gradient_norms"][name]
            seen = np.where(profile > 0, profile, np.nan)  # a logarithm has no 0
            colour = cm.viridis(scale(record["batch"]))
            axes.semilogy(np.arange(1, len(profile) + 1), seen, color=colour)
        axes.set_title(name)
        axes.set_xlabel("time step t")
        axes.set_ylabel("norm of dL/dh_t")
    figure.colorbar(
        cm.ScalarMappable(scale, cm.viridis), ax=profiles, label="batches trained"
    )
    norms.semilogy(
        batches, [record["global_norm"] for record in records], ".-", color="black"
    )
    norms.set_title("all variables")
    norms.set_xlabel("batches trained")
    norms.set_ylabel("norm of the gradient")
    return figure
