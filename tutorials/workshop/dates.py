"""Dates as people write them, in a dozen languages, each with the same in ISO 8601.

The names of the months and the ways to write a date come from CLDR, the Unicode
Consortium's collection of what is usual where, by the package Babel.
"""

import datetime
import functools
from typing import NamedTuple

import babel
import babel.dates
import numpy as np

LANGUAGES = ("de", "en", "es", "fi", "fr", "hu", "nl", "pl", "pt", "ru", "sv", "tr")
UNSEEN = "it"  # nothing in Italian is ever trained on
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)


class Written(NamedTuple):
    """A date as it is written in a language, and in ISO 8601."""

    source: str
    target: str
    language: str


def name(language):
    """The English name of a language."""
    return babel.Locale(language).english_name


@functools.cache
def formats(language):
    """The ways to write a date in a language, as CLDR's patterns.

    Two kinds are left out, since no reader could tell what is meant: years of two
    digits, and a month in digits before the day (in American English 4/5/2018 is in
    April, and everywhere else in May).
    """
    locale = babel.Locale(language)
    known = [locale.date_formats[size] for size in ("full", "long", "medium", "short")]
    skeletons = ("yMMMd", "yMMMEd", "yMMMMd", "yMMMMEd", "yMd")
    known += [locale.datetime_skeletons.get(skeleton) for skeleton in skeletons]
    patterns = dict.fromkeys(each.pattern for each in known if each is not None)
    return [pattern for pattern in patterns if "yy" not in pattern and clear(pattern)]


def in_words(pattern):
    """Whether a pattern names the month instead of counting it."""
    return "MMM" in pattern


def clear(pattern):
    """Whether one can tell the day from the month."""
    year, month, day = (pattern.index(letter) for letter in "yMd")
    return in_words(pattern) or not month < day < year


def write(day, language, pattern):
    """A date in a language: `write(date(2018, 9, 7), "fr", "d MMMM y")`."""
    text = babel.dates.format_date(day, pattern, locale=language)
    return text.replace("\u202f", " ")  # narrow, and on no keyboard


def cut(random):
    """All days from 1900 to 2099, shuffled, in three parts that share no day."""
    days = random.permutation(np.arange(FIRST.toordinal(), LAST.toordinal() + 1))
    return np.split(days, [-10_000, -5_000])  # to train on, to validate, to test


def compose(count, days, languages, random, only_in_words=False):
    """Draws `count` days, and for each a language and a way to write it.

    Args:
        count: Integer.
        days: Array of the days to draw from, as `datetime.date.toordinal` counts them.
        languages: Sequence of languages.
        random: NumPy's generator.
        only_in_words: Whether to leave out what has the month in digits.

    Returns:
        List of `Written`.
    """
    composed = []
    for day in random.choice(days, count):
        language = languages[random.integers(len(languages))]
        patterns = formats(language)
        if only_in_words:
            patterns = [pattern for pattern in patterns if in_words(pattern)]
        pattern = patterns[random.integers(len(patterns))]
        date = datetime.date.fromordinal(int(day))
        composed.append(
            Written(write(date, language, pattern), date.isoformat(), language)
        )
    return composed
