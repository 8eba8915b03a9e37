"""The options that all programs have."""

import argparse
import dataclasses

import pytest

# isort: split
from workshop import command_line
from workshop.errors import UsageError


def parse(*arguments):
    parser = command_line.Options("", "there")
    parser.add_argument("--text")
    parser.count("--units", 3, "")
    return parser.parse([*arguments], {"units": 1})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seed", "-1"], "from 0 to 4294967295, not '-1'"),
        (["--seed", "4294967296"], "from 0 to 4294967295"),
        (["--units", "0"], "1 or more, not '0'"),
        (["--units", "1.5"], "'1.5'"),
        (["--resume", "--discard"], "not allowed with"),
        (["--text", "caf\udce9"], "--text: 'caf.udce9' is not in UTF-8"),
        (["--tex", "a"], "--tex"),
    ],
)
def test_what_is_refused(arguments, says):
    with pytest.raises(UsageError, match=says):
        parse(*arguments)


def test_quick_is_for_what_is_not_given():
    assert parse("--quick").units == 1
    assert parse("--quick", "--units", "5").units == 5
    assert parse("--seed", "4294967295").seed == 2**32 - 1


def test_settings_of_options():
    @dataclasses.dataclass(kw_only=True)
    class Settings(command_line.Settings):
        units: int
        vector: int = 64

        small = {"vector": 8}

    given = {"units": 3, "output": "there"}
    for quick, vector in ((False, 64), (True, 8)):
        found = Settings.of(argparse.Namespace(quick=quick, **given))
        assert dataclasses.asdict(found) == {"units": 3, "vector": vector}
