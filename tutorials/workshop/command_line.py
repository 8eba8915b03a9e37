"""The command line of a program: the options that all have, and settings made of them."""

import argparse
import contextlib
import dataclasses
import math
from pathlib import Path

from workshop.errors import UsageError


class Options(argparse.ArgumentParser):
    """The command line of a tutorial: its own options come after the common ones.

    There is no `--resume` with `resumes=False`, where nothing is trained for long.
    """

    def __init__(self, description, output, resumes=True):
        super().__init__(
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument(
            "--output", type=Path, default=output, metavar="DIR", help="where to write"
        )
        if resumes:
            unfinished = self.add_mutually_exclusive_group()
            unfinished.add_argument(
                "--resume",
                action="store_true",
                help="go on with the run in DIR that was interrupted",
            )
            unfinished.add_argument(
                "--discard",
                action="store_true",
                help="start anew where the run in DIR was interrupted",
            )
        self.add_argument("--seed", type=seed, default=1, help="of all randomness")
        self.add_argument(
            "--quick",
            action="store_true",
            help="a small network and little data, to see that everything works",
        )

    def error(self, message):
        raise UsageError(message)

    def count(self, name, default, help):
        """Adds an option that is 1, 2, 3, ..."""
        self.add_argument(name, type=positive, default=default, help=help)

    def switch(self, name, default, help):
        """Adds an option that is turned on by `--NAME` and off by `--no-NAME`."""
        yes_or_no = argparse.BooleanOptionalAction
        self.add_argument(name, action=yes_or_no, default=default, help=help)

    def parse(self, argv, quick):
        """The options, where `--quick` puts the defaults `quick` in the usual's place."""
        options = self.parse_args(argv)
        if options.quick:
            self.set_defaults(**quick)
            options = self.parse_args(argv)
        for name, value in vars(options).items():
            if isinstance(value, str) and not is_utf8(value):
                raise UsageError(f"--{name}: {value!r} is not in UTF-8")
        return options


def is_utf8(text):
    """Whether a string of the command line was in UTF-8 there."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # what was not has become lone surrogates
        return False
    return True


def _whole(text, least, below, allowed):
    with contextlib.suppress(ValueError):
        if least <= int(text) < below:
            return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number{allowed}, not {text!r}")


def positive(text):
    """The type of an option that is 1, 2, 3, ..."""
    return _whole(text, 1, math.inf, ", 1 or more")


def whole(text):
    """The type of an option that is 0, 1, 2, ..."""
    return _whole(text, 0, math.inf, ", 0 or more")


def number(text, least, most):
    """A number of the command line, from `least` to `most`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        allowed = f"a number from {least} to {most}"
        raise argparse.ArgumentTypeError(f"must be {allowed}, not {text!r}")
    return value


def fraction(text):
    """The type of an option that is a share."""
    return number(text, 0, 0.99)


def seed(text):
    """The type of a seed, as `keras.utils.set_random_seed` takes it."""
    return _whole(text, 0, 2**32, f" from 0 to {2**32 - 1}")


class Settings:
    """What decides the networks of a tutorial, which makes a dataclass of it.

    The fields are options of the command line, and others, which have defaults.
    """

    small = {}  # those of the others that are something else with `--quick`

    @classmethod
    def of(cls, options):
        """The settings that the options ask for."""
        names = {field.name for field in dataclasses.fields(cls)}
        chosen = {name: value for name, value in vars(options).items() if name in names}
        return cls(**chosen, **(cls.small if options.quick else {}))
