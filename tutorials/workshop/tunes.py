"""Tunes in ABC notation, measured and played: are their bars as long as they should be?

`music21` parses a tune and adds up each bar. The first and the last bar are left out:
they may well be short. What is too long for a bar it makes two bars of, at least one of
them wrong.
"""

import re

import numpy as np

from workshop import files


def bars(abc):
    """The bars of a tune in ABC notation: how many, and how many of the right length."""
    import music21  # only who wants music has to have it

    tune = music21.converter.parse(f"X:1\n{abc.strip()}\n", format="abc")
    meter = re.search(r"M: *(\d+/\d+)", abc)[1]
    whole = music21.meter.TimeSignature(meter).barDuration.quarterLength
    found = list(tune.recurse().getElementsByClass("Measure"))[1:-1]
    return len(found), sum(bar.duration.quarterLength == whole for bar in found)


def count_bars(tunes):
    """The bars of each tune, as `bars` counts them, (tunes, 2); 0 if it is no music."""
    found = []
    for abc in tunes:
        try:
            found.append(bars(abc))
        except Exception:  # music21 raises whatever it meets in what is no music
            found.append((0, 0))
    return np.reshape(found, (-1, 2))


def measure(tunes):
    """The shares of tunes that are music, of bars of the right length, of tunes in 2/4."""
    found, right = count_bars(tunes).T
    return {
        "parsed": float(np.sum(found > 0) / max(1, len(tunes))),
        "right": float(right.sum() / max(1, found.sum())),
        "2/4": sum("M: 2/4" in tune for tune in tunes) / max(1, len(tunes)),
    }


def save_best(tunes, path, title):
    """Writes the best of some tunes as ABC, and as MIDI by way of `music21`.

    The best has eight bars or more, of which the most are right.

    Returns:
        The tune in ABC notation, or `None` where none can be played.
    """
    import music21

    found, right = count_bars(tunes).T
    merit = right / np.maximum(found, 1) + (found >= 8) + right / 1e3
    for best in np.argsort(-merit):
        abc = f"X:1\nT: {title}\n{tunes[best].strip()}\n"
        try:
            tune = music21.converter.parse(abc, format="abc")
            if not tune.recurse().notes:
                continue
            with files.replacing(path.with_suffix(".mid")) as new:
                tune.write("midi", new)
        except Exception:  # what cannot be played is not the best: the next one
            continue
        with files.replacing(path) as new:
            new.write_text(abc, "utf-8")
        return abc
    return None
