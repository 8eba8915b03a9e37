"""The lesson of forecasting: its data, cell by cell, and its solutions."""

import numpy as np
import pandas as pd
import pytest
from workshop import footfall

from tests.tutorials.notebooks import quick_run
from tests.tutorials.scripts import TUTORIALS, metrics, small_run

LESSON = TUTORIALS / "12_forecasting.py"
SOLUTIONS = TUTORIALS / "solutions" / "12_forecasting.py"
FIGURES = {
    "series.png",
    "errors_by_hour.png",
    "error_by_horizon.png",
    "forecasts.png",
}


@pytest.fixture(scope="module")
def people():
    return footfall.load("261 Queen Street", years=[2023, 2024])


def test_each_hour_stands_there_once_and_in_order(people):
    assert len(people) == (365 + 366) * 24
    assert (people.index[1:] - people.index[:-1] == pd.Timedelta("1h")).all()
    assert people.index[0] == pd.Timestamp("2023-01-01 06:00")
    assert people.notna().all() and (people >= 0).all()


def test_the_night_belongs_to_the_day_that_begins(people):
    nights = people[people.index.hour == 0]
    new_year = pd.to_datetime(["2025-01-01", "2024-01-01"])
    assert nights.nlargest(2).index.equals(new_year)
    quietest = people.groupby(people.index.hour).mean().idxmin()
    assert quietest in (3, 4)


def test_the_hour_with_a_wrong_date_and_those_without_a_count(people):
    # The clocks went forward: no 2:00. And 6:00 has the date of the day before.
    hours = people["2024-09-28 05:00":"2024-09-28 07:00"].tolist()
    assert hours[1] == 58
    assert people["2024-09-29 06:00"] == 46
    for gap in ("2024-09-29 02:00", "2023-10-01 05:00"):
        at = people.index.get_loc(gap)
        assert people.iloc[at] == (people.iloc[at - 1] + people.iloc[at + 1]) / 2


def test_the_clock_tells_each_hour_of_the_week_apart_and_knows_its_neighbours():
    clock = footfall.clock(pd.date_range("2024-08-12", periods=2 * 168, freq="h"))
    np.testing.assert_allclose(clock[:168], clock[168:])
    apart = np.linalg.norm(clock[:168, None] - clock[None, :168], axis=-1)
    assert apart[~np.eye(168, dtype=bool)].min() > 0.03
    after = [apart[hour, (hour + 1) % 168] for hour in range(168)]
    np.testing.assert_allclose(after, after[0])


def test_an_error_by_the_hour_and_the_kind_of_day():
    hours = pd.date_range("2024-08-16", periods=4 * 24, freq="h")  # from a Friday on
    error = hours.hour + 100.0 * (hours.day_of_week >= 5) + 1000.0 * (hours.day == 18)
    found = footfall.by_hour(error.to_numpy(), hours)
    np.testing.assert_allclose(found["Monday to Friday"], np.arange(24))
    np.testing.assert_allclose(found["weekend"], np.arange(24) + 600)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The files of the lesson, run cell by cell, what it measured and what it printed."""
    folder, printed = quick_run(LESSON, tmp_path_factory)
    return {path.name for path in folder.iterdir()}, metrics(folder), printed


def test_quick_cell_by_cell_it_writes_its_figures_and_what_it_measured(run):
    files, found, _ = run
    assert files == FIGURES | {"metrics.json"}
    assert found["step_by_step_apart"] < 1e-5
    assert len(found["steps_a_second"]) == 3
    assert len(found["mae"]) == 8 and all(mae > 0 for mae in found["mae"].values())


def test_the_targets_are_the_hours_that_come_after_the_window(run):
    lines = [line.split() for line in run[2].splitlines()]
    told = {line[0]: line[1:] for line in lines if line}
    assert told["window"] + told["targets"][:6] == told["series"]
    assert len(told["series"]) == 12


def test_the_errors_of_the_naive_forecasts_are_those_that_pandas_finds(run, people):
    found = run[1]
    for name, period in (("a day before", 24), ("a week before", 168)):
        error = (people - people.shift(period)).abs()["2024-07-01":]
        one_ahead = error.iloc[1:-23].mean()  # with a whole day to come
        assert found["mae_one_hour_ahead"][name] == pytest.approx(one_ahead, rel=1e-4)


def test_the_solutions_say_what_they_find(tmp_path_factory):
    folder, _ = small_run(SOLUTIONS, tmp_path_factory)
    found = metrics(folder)
    leak, lockdown = found["leak"], found["lockdown"]
    assert leak["similar, shuffled"] < 0.95 * leak["similar, in time"]
    assert leak["ridge, shuffled"] > 0.95 * leak["ridge, in time"]
    april = lockdown[3]
    assert april["month"] == 4
    assert april["a day before"] < april["a week before"] < april["ridge"] / 2
