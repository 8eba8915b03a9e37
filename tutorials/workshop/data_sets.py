"""Data sets of TensorFlow Datasets."""

from workshop.errors import UsageError


def prepare(builder, name, download):
    """Prepares a data set of TensorFlow Datasets, unless it is there already.

    Without `download` it has to be.
    """
    if builder.is_prepared():
        return
    if not download:
        raise UsageError(
            f"{name} is not in {builder.data_path.parent}: add --download to fetch it"
        )
    import tensorflow_datasets as tfds

    print(f"Preparing {name}, once.")
    tfds.disable_progress_bar()
    builder.download_and_prepare()
