"""A series, what is forecast of it, and how far off that is."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.dates import DateFormatter

from workshop.plots import BLUE, GREY, ORANGE

DAY = 24  # hours


def draw_question(people, now):
    """Ten days of a series, and in grey the day that is to be forecast.

    Args:
        people: Series of pandas, by the hour.
        now: The last hour that is known, as the index of the series has it.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(13, 4.5))
    at = people.index.get_loc(now)
    axes.plot(people.iloc[at - 10 * DAY : at + 1])
    axes.plot(people.iloc[at : at + DAY + 1], ":")
    axes.axvspan(people.index[at], people.index[at + DAY], color="0.9")
    title = f"Ten days in {people.index[at]:%B %Y}, and one to forecast"
    axes.set(ylabel="people in an hour", title=title)
    axes.xaxis.set_major_formatter(DateFormatter("%a %d"))
    return figure


def draw_by_hour(errors, title):
    """The MAE by the hour of the day.

    Args:
        errors: Dict from the label of each line to 24 numbers.
        title: String.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(12, 4.5))
    for label, mae in errors.items():
        axes.plot(mae, label=label)
    axes.set(xlabel="hour", ylabel="MAE, people", title=title)
    axes.legend()
    return figure


def draw_by_horizon(errors, leave_out):
    """The MAE by how many hours ahead: a colour for each kind of model.

    Args:
        errors: Dict from the name of each model to its MAE, an array: 1 h ahead first.
            Two at most of a kind: its name up to the comma.
        leave_out: String, the name of a model whose curve would leave the picture.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = plt.subplots(figsize=(12, 6))
    colours = {"ridge": "black", "Elman": BLUE, "GRU": ORANGE}
    drawn = []
    for name, mae in errors.items():
        if name != leave_out:
            colour = colours.get(name.split(",")[0], GREY)
            style = (":", "-") if colour == GREY else ("-", "--")
            hours = np.arange(1, len(mae) + 1)
            look = {"color": colour, "linestyle": style[drawn.count(colour)]}
            axes.plot(hours, mae, **look, label=name)
            drawn.append(colour)
    axes.set(xlabel="hours ahead", ylabel="MAE, people", title="The error by horizon")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_forecasts(counted, forecasts):
    """Forecasts before what was counted: a panel for each model.

    Args:
        counted: Series of pandas, by the hour.
        forecasts: Dict from the name of each model to as many numbers.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, panels = plt.subplots(
        len(forecasts), 1, figsize=(13, 7.5), sharex=True, sharey=True
    )
    for axes, (name, forecast) in zip(panels, forecasts.items()):
        axes.fill_between(counted.index, counted, color="0.8", label="counted")
        axes.plot(counted.index, forecast, color=ORANGE, label=name)
        axes.set_ylabel("people in an hour")
        axes.legend(loc="upper center")
    panels[0].xaxis.set_major_formatter(DateFormatter("%a %d"))
    return figure
