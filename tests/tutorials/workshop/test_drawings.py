"""What drawings are made of, and where it lies."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from workshop import drawings


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_a_circle_and_a_box_lie_around_their_text(axes):
    drawings.circle(axes, 2, 3, 0.5, "c", "red", ink="black")
    drawings.box(axes, 5, 3, 2, 1, "b", "blue")
    drawings.box(axes, 5, 3, 2, 1, "r", "blue", filled=False, rounding=0.1)
    circle, box, rounded = axes.patches
    assert (circle.center, circle.radius) == ((2, 3), 0.5)
    np.testing.assert_allclose(box.get_path().get_extents().extents, [4, 2.5, 6, 3.5])
    around = [3.98, 2.48, 6.02, 3.52]
    np.testing.assert_allclose(rounded.get_path().get_extents().extents, around)
    assert [text.get_color() for text in axes.texts] == ["black", "white", "blue"]
    assert box.get_facecolor() == to_rgba("blue")
    assert rounded.get_facecolor() == to_rgba("white")
    for text, patch in zip(axes.texts, axes.patches, strict=True):
        assert text.get_position() == ((2, 3) if patch is circle else (5, 3))
        assert text.get_zorder() > patch.get_zorder()


def test_an_arrow_goes_from_one_point_to_the_other_or_stays_apart(axes):
    axes.set(xlim=(0, 10), ylim=(0, 10))
    ends = []
    for apart in (0, 10):
        drawings.arrow(axes, (1, 5), (9, 5), apart=apart)
        axes.figure.canvas.draw()
        ends.append(axes.patches[-1].get_path().get_extents().extents[[0, 2]])
    (start, end), (inside, inside_end) = ends
    assert start == pytest.approx(1, abs=0.05) and end == pytest.approx(9, abs=0.2)
    assert inside > start and inside_end < end
