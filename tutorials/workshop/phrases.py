"""Phrases in English and in French: where, and when.

The names of countries, the lists and the times come from CLDR, the Unicode Consortium's
collection of what is usual where, by the package Babel. Or pairs of one's own, in a file.
"""

import collections
import datetime
import itertools

import babel.dates
import babel.lists
import numpy as np

from workshop import files
from workshop.errors import UsageError

LOCALES = babel.Locale("en"), babel.Locale("fr")
FIRST, DAYS = datetime.date(1900, 1, 1), 73_049
LONGEST = 60  # characters of a phrase
FEWEST = 30  # different sources that one can learn anything from


def places():
    """The names of countries and regions, each in both languages."""
    english, french = (locale.territories for locale in LOCALES)
    codes = [code for code in english if len(code) == 2 and code.isalpha()]
    return [(english[code], french[code]) for code in codes if code in french]


def _when(random):
    """A time in both languages: "3 weeks ago", "il y a 3 semaines"; or a date."""
    if random.random() < 0.5:
        day = FIRST + datetime.timedelta(int(random.integers(DAYS)))
        return [babel.dates.format_date(day, "full", locale) for locale in LOCALES]
    days = np.exp(random.uniform(np.log(2), np.log(6_000)))  # days to years
    delta = datetime.timedelta(days if random.random() < 0.5 else -days)
    return [
        babel.dates.format_timedelta(delta, add_direction=True, locale=locale)
        for locale in LOCALES
    ]


def compose(count, random):
    """So many different pairs: up to three places, and a time, if it is not too long."""
    names, pairs = places(), {}
    while len(pairs) < count:
        chosen = [
            names[i]
            for i in random.choice(len(names), random.integers(1, 4), replace=False)
        ]
        where = [
            babel.lists.format_list(listed, locale=locale)
            for listed, locale in zip(zip(*chosen), LOCALES)
        ]
        english, french = map(", ".join, zip(where, _when(random)))
        if len(english) <= LONGEST:
            pairs[english] = french
    return list(pairs.items())


def read(path):
    """The pairs of a file, (source, target): on each line source, tab, target."""
    pairs = []
    with files.reading(path) as file:
        for number, line in enumerate(file, 1):
            parts = [part.strip() for part in line.rstrip("\n").split("\t")]
            if len(parts) < 2:
                raise UsageError(
                    f"{path}, line {number}: no tab between source and target"
                )
            for part, what in zip(parts, ("source", "target")):
                if not part:
                    raise UsageError(f"{path}, line {number}: the {what} is empty")
            pairs.append((parts[0], parts[1]))
    return pairs


def cut(pairs, random, part=1 / 10, most=2_000):
    """Pairs to train on, to validate and to test. A source is in one of them only.

    Args:
        pairs: List of (source, target). A source may be there with several targets.
        random: NumPy's generator.
        part: Share of the sources to validate, and as many to test.
        most: Integer, the most sources to validate, and to test.

    Returns:
        Three lists of pairs.
    """
    by_source = collections.defaultdict(list)
    for source, target in pairs:
        by_source[source].append((source, target))
    sources = sorted(by_source)  # no array of strings: NumPy drops a NUL at their end
    size = max(1, min(most, int(part * len(sources))))
    parts = np.split(random.permutation(len(sources)), [size, 2 * size])
    test, validation, train = (
        [pair for i in part for pair in by_source[sources[i]]] for part in parts
    )
    return train, validation, test


def references(pairs):
    """Each source once, and all that it may become: a list of them, as sacrebleu has it.

    Returns:
        The sources, and lists of as many targets: the first of each source, the second
        (`None` where there is none), and so on.
    """
    by_source = collections.defaultdict(dict)  # a dict is a set that keeps the order
    for source, target in pairs:
        by_source[source][target] = None
    columns = itertools.zip_longest(*by_source.values())
    return list(by_source), [list(column) for column in columns]
