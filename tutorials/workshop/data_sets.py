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
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever can go wrong with a network or a disk
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(
            f"{name} cannot be prepared in {builder.data_path.parent} (TFDS_DATA_DIR "
            f"names another folder): {reason[0]}"
        ) from error
