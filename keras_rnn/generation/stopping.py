"""Where a text ends: before the first of the strings that stop it."""

from collections.abc import Iterable, Iterator

from keras_rnn.arguments import as_strings


def checked_stops(stop: str | list[str] | None) -> list[str]:
    """The strings that stop a text, as a list."""
    stops = [] if stop is None else as_strings("stop", stop, alone=True)
    if "" in stops:
        raise ValueError(
            "`stop` must be a string of at least one character, or a list of such. "
            f"Received: stop={stop!r}"
        )
    return stops


def first_stop(text: str, stops: list[str]) -> int | None:
    """Where the first of the stops begins in the text, or `None`."""
    return min((text.find(stop) for stop in stops if stop in text), default=None)


def characters_until(pieces: Iterable[str], stops: list[str]) -> Iterator[str]:
    """The characters of the pieces of one text, up to the first of the stops."""
    text, told = "", 0
    held = max(map(len, stops), default=1) - 1  # it may be the start of a stop
    for piece in pieces:
        text += piece
        end = first_stop(text, stops)
        yield from text[told : len(text) - held if end is None else end]
        if end is not None:
            return
        told = max(told, len(text) - held)
    yield from text[told:]
