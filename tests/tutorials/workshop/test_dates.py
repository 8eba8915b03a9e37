"""Dates as they are written: which day is meant can be told."""

import datetime

import numpy as np
from workshop import dates


def test_heaps_share_no_day():
    heaps = dates.cut(np.random.default_rng(0))
    days = np.concatenate(heaps)
    assert len(days) == len(set(days)) == 73_049
    first, last = (datetime.date.fromordinal(int(d)) for d in (days.min(), days.max()))
    assert (first, last) == (datetime.date(1900, 1, 1), datetime.date(2099, 12, 31))


def test_what_is_written_is_the_day():
    random = np.random.default_rng(0)
    days = np.arange(700_000, 730_000)
    for languages in (dates.LANGUAGES, [dates.UNSEEN]):
        for source, target, language in dates.compose(400, days, languages, random):
            year, month, day = target.split("-")
            digits = "".join(c if c.isdigit() else " " for c in source).split()
            assert year in digits and str(int(day)) in [d.lstrip("0") for d in digits]
            if len(digits) == 3:  # the month is one of them
                order = [int(digit) for digit in digits]
                numbers = [int(day), int(month), int(year)]
                assert order in (numbers, numbers[::-1])
            assert language in languages and "\u202f" not in source
    named = dates.compose(200, days, ["it"], random, only_in_words=True)
    assert all(any(c.isalpha() for c in each.source) for each in named)


def test_no_two_days_are_written_alike():
    """What a reader could not tell apart is not asked."""
    for language in (*dates.LANGUAGES, dates.UNSEEN):
        assert len(dates.formats(language)) >= 3
        for pattern in dates.formats(language):
            days = [
                datetime.date(1999, 1, 1) + datetime.timedelta(i) for i in range(800)
            ]
            written = {dates.write(day, language, pattern) for day in days}
            assert len(written) == len(days), pattern
