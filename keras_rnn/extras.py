"""What an extra brings, and the error where it is not installed."""

from __future__ import annotations

import importlib.util


def check_installed(what: str, extra: str, *packages: str) -> None:
    """Raises an `ImportError` that names the extra, where a package of it is missing.

    Args:
        what: String, what needs the packages: "`log_dir`".
        extra: String, the name of the extra.
        *packages: Strings, the names by which they are imported.
    """
    for package in packages:
        try:
            found = importlib.util.find_spec(package)
        except ValueError:  # what another module of the same name hides
            found = None
        if found is None:
            raise ImportError(
                f'{what} needs the package {package}: pip install "keras-rnn[{extra}]"'
            )
