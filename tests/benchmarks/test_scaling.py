"""How far data parallelism carries: the reckoning against numbers worked out by hand."""

import keras
import numpy as np
import pytest
import scaling


def test_a_ring_adds_up():
    # 4 hosts send 2 * 3 messages of 250 kB: 2 ms each at 125 MB/s, and 50 us.
    assert scaling.all_reduce(1_000_000, 4, 1, 50e-6) == pytest.approx(6 * 2.05e-3)
    # 2 hosts send 2 messages of 5 MB: 4 ms each at 1.25 GB/s.
    assert scaling.all_reduce(10_000_000, 2, 10, 0) == pytest.approx(8e-3)
    assert scaling.all_reduce(1_000_000, 1, 1, 50e-6) == 0


def test_a_step_of_any_batch():
    medians = {1: 2.0, 4: 5.0, 16: 11.0}
    found = [scaling.compute(medians, batch) for batch in (1, 2, 4, 10, 16, 20, 32)]
    np.testing.assert_allclose(found, [2, 3, 5, 8, 11, 13, 19])
    assert scaling.compute(medians, 0.5) == 2  # less is not measured


def test_communication_hides_behind_two_thirds_of_a_step():
    assert scaling.step(0.03, 0.01, overlap=False) == pytest.approx(0.04)
    assert scaling.step(0.03, 0.01, overlap=True) == pytest.approx(0.03)
    assert scaling.step(0.03, 0.05, overlap=True) == pytest.approx(0.06)


def test_all_wait_for_the_slowest():
    even = np.ones(7)
    assert scaling.simulate(0.02, even, 0.005, 9) == pytest.approx(0.025)
    # Every other step takes three times as long: the slower one of two takes
    # 1/4 * 1 + 3/4 * 3 = 2.5 in the mean, with a deviation of 0.87 / sqrt(40,000).
    uneven = np.array([1.0, 3.0])
    for hosts, mean in ((1, 2.0), (2, 2.5), (64, 3.0)):
        found = scaling.simulate(1.0, uneven, 0.0, hosts, steps=40_000)
        assert found == pytest.approx(mean, abs=0.03)


def test_the_batch_that_is_enough():
    medians = {1: 1.0, 2: 2.0}  # a second for each example
    assert scaling.enough(medians, reduce=0.9) == 9  # a tenth of 9.9 is 0.99
    assert scaling.enough(medians, reduce=0.0) == 1
    assert scaling.enough({1: 1.0, 2: 1.0}, reduce=1.0) is None


@pytest.fixture
def measured():
    """A network of 1 MB whose steps take 4 ms and 1 ms for each example."""
    times = {batch: [4e-3 + 1e-3 * batch] * 5 for batch in scaling.LOCAL}
    return {"characters, Elman 512": (1_000_000, times)}


def test_efficiencies(measured):
    (found,) = scaling.reckon(measured).values()
    at = scaling.HOSTS.index(8)
    # A step of 16 examples takes 20 ms; 8 hosts send 14 messages of 1 ms and 50 us.
    one = found[1]
    assert one["weak"][0] == one["strong"][0] == one["overlapped"][0] == 1
    assert one["weak"][at] == pytest.approx(20 / (20 + 14.7))
    assert one["overlapped"][at] == pytest.approx(20 / (20 / 3 + 14.7))
    assert one["straggling"][at] == pytest.approx(one["weak"][at])  # none straggles
    # All 256 examples take 260 ms; 32 of them 36.
    assert one["strong"][at] == pytest.approx(260 / 8 / (36 + 14.7))
    # 256 hosts send 510 messages of 31.25 us and 50 us: 41.4375 ms.
    assert one["reduce"] == pytest.approx(41.4375e-3)
    assert one["enough"] == 369  # 9 * 41.4375 = 372.9 = 4 + 368.9


def test_the_document_tells_them(measured, tmp_path):
    found = scaling.reckon(measured)
    scaling.draw(found, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 10_000
    text = scaling.document(found, {4096: 5e-4, 10_000_000: 20e-3}, "Here, today.")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if "|" in line]
    name = "characters, Elman 512"
    (sizes,) = [line for line in lines if line[0] == name and line[1] == "250,000"]
    assert sizes[2:7] == ["1.00 MB", "5", "8", "20", "68"]
    (slow,) = [line for line in lines if line[:2] == [name, "1"]]
    assert slow[2] == "41.4" and slow[3].startswith("58 % / ") and slow[-1] == "369"
    assert "0.5 ms for the least" in text and "4.0 Gbit/s for the largest" in text
    assert "Here, today." in text


def test_steps_are_measured(monkeypatch):
    monkeypatch.setattr(scaling, "LOCAL", [1, 2])
    seen = []

    def build():
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        network.compile("sgd", "mse")

        def batch(size, random):
            seen.append(size)
            return np.zeros((size, 3), "float32"), np.zeros((size, 2), "float32")

        return network, batch

    size, times = scaling.measure_steps(build, seconds=0)
    assert size == 4 * (3 * 2 + 2) and seen == [1, 2]
    assert sorted(times) == [1, 2]
    assert all(len(each) >= 5 and min(each) > 0 for each in times.values())
