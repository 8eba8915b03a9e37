"""The page docs/explore in a browser: its numbers are the library's, and it can be used."""

import functools
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_rnn

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed"
)
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

# isort: split
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.tensorflow,  # the gradients with respect to h_t are those of its tape
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no Chromium here"),
]

PAGE = Path(__file__).parents[2] / "docs" / "explore" / "index.html"
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --window-size=1280,900"""
CELLS = {
    "elman": keras_rnn.ElmanCell,
    "lstm": keras_rnn.LSTMCell,
    "gru": keras_rnn.GRUCell,
}
COUNTS = {1: 10, 6: 30}  # networks of each cell, by their steps
# Runs a list of problems on the page, both passes of each.
RUN = """
return arguments[0].map((problem) => {
  const network = Network.run(problem), steps = problem.steps;
  const over = (count, each) => Array.from({ length: count }, (_, t) => each(t));
  return {
    loss: network.value("L"),
    y: over(steps, (t) => network.value(`y.${t + 1}`)),
    h: over(steps + 1, (t) => [1, 2].map((j) => network.value(`h.${t}.${j}`))),
    dw: Network.weightIds(problem.cell).map(network.gradient),
    dh: over(steps + 1, (t) => [1, 2].map((j) => network.gradient(`h.${t}.${j}`))),
    dc: problem.cell === "lstm" &&
      over(steps + 1, (t) => [1, 2].map((j) => network.gradient(`c.${t}.${j}`))),
  };
});
"""
# Where a written sum and the number that it is said to give are furthest apart.
SUMS = """
const spread = (network, { kind, terms }) => {
  const of = terms.reduce((sum, { sign, factors, value }) => {
    const product = factors.reduce((all, { id, as }) => {
      const v = network.value(id), g = network.gradient(id);
      const [y, target] = ["y", "target"].map((n) => network.value(id.replace("L", n)));
      return all * { value: v, rest: 1 - v, gradient: g, tanh: 1 - v * v,
        sigmoid: v * (1 - v), "half square": y - target }[as];
    }, 1);
    if (Math.abs(sign * product - (kind === "sum" ? value : product)) > 1e-12) throw kind;
    return kind === "half square" ? (sum === null ? product : sum - product)
      : (sum ?? 0) + sign * product;
  }, kind === "half square" ? null : 0) ?? 0;
  return { tanh: Math.tanh, sigmoid: (a) => 1 / (1 + Math.exp(-a)), sum: (s) => s,
    "half square": (s) => s * s / 2 }[kind](of);
};
return arguments[0].map((problem) => {
  const network = Network.run(problem);
  return Math.max(...network.nodes.flatMap(({ id, kind }) => [
    kind === "given" ? 0
      : Math.abs(spread(network, Network.sumOfValue(network, id)) - network.value(id)),
    id === "L" ? 0
      : Math.abs(spread(network, Network.sumOfGradient(network, id)) - network.gradient(id)),
  ]));
});
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser):
    """Opens the page with an address; at the end nothing was logged, or asked for."""

    def opened(address="", width=1280):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1}
        metrics["mobile"] = False
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get("about:blank")
        browser.get(PAGE.as_uri() + address)
        return browser

    yield opened
    assert browser.get_log("browser") == []
    events = browser.get_log("performance")
    events = [json.loads(event["message"])["message"] for event in events]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
        and event["params"]["documentURL"].startswith(PAGE.as_uri())
    ]
    assert f"{PAGE.parent.as_uri()}/network.js" in asked
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def random_problems(cell, steps, count, random):
    """Networks as the page takes them, the weights in the order of `get_weights`."""
    size = {"elman": 15, "lstm": 47, "gru": 41}[cell]
    return [
        {
            "cell": cell,
            "steps": steps,
            "loss": ("all", "last")[n % 2],
            "w": random.normal(size=size).tolist(),
            "x": random.normal(size=(2, steps)).tolist(),
            "target": random.normal(size=steps).tolist(),
        }
        for n in range(count)
    ]


@functools.cache
def library(cell, steps):
    """A function from a problem to what the library makes of it, in float64."""
    import tensorflow as tf

    layer = keras_rnn.RNN(
        CELLS[cell](2, output_units=1, dtype="float64"),
        return_sequences=True,
        dtype="float64",
    )
    layer.build((1, steps, 2))

    def loss_of(y, target, last):
        errors = 0.5 * (y - target) ** 2
        return tf.where(last, errors[-1], tf.reduce_sum(errors))

    @tf.function
    def both_passes(x, target, last):
        with tf.GradientTape() as tape:
            y = layer(x)[0, :, 0]
            loss = loss_of(y, target, last)
        of_weights = tape.gradient(loss, [v.value for v in layer.trainable_weights])
        # The cell step by step, so that the tape sees each state.
        states, seen, outputs = layer.cell.get_initial_state(1), [], []
        with tf.GradientTape() as tape:
            tape.watch(states)
            for t in range(steps + 1):
                seen.append(states)
                if t < steps:
                    output, states = layer.cell(x[:, t], states)
                    outputs.append(output[0, 0])
            loss_again = loss_of(tf.stack(outputs), target, last)
        of_states = tape.gradient(loss_again, seen, unconnected_gradients="zero")
        return loss, y, seen, of_weights, of_states

    def run(problem):
        shapes = [weight.shape for weight in layer.get_weights()]
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1].astype(int)
        parts = np.split(np.array(problem["w"]), ends)
        layer.set_weights([part.reshape(shape) for part, shape in zip(parts, shapes)])
        x, target = np.array(problem["x"]).T[None], np.array(problem["target"])
        found = both_passes(x, target, problem["loss"] == "last")
        loss, y, seen, of_weights, of_states = keras.tree.map_structure(np.array, found)
        return {
            "loss": loss,
            "y": y,
            "h": np.array([states[0][0] for states in seen]),
            "dw": np.concatenate([gradient.ravel() for gradient in of_weights]),
            "dh": np.array([gradients[0][0] for gradients in of_states]),
            "dc": cell == "lstm" and np.array([both[1][0] for both in of_states]),
        }

    return run


@pytest.mark.parametrize("cell", CELLS)
def test_values_and_gradients_are_those_of_the_library(page, cell):
    random = np.random.default_rng(0)
    for steps, count in COUNTS.items():
        problems = random_problems(cell, steps, count, random)
        run = library(cell, steps)
        for problem, found in zip(problems, page().execute_script(RUN, problems)):
            for name, expected in run(problem).items():
                size = max(1, np.abs(expected).max())
                np.testing.assert_allclose(found[name], expected, 1e-9, 1e-9 * size)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_finite_differences_and_sums_what_they_are_said_to_be(page, cell):
    problems = random_problems(cell, 4, 6, np.random.default_rng(1))
    driver, moved = page(), []
    for problem in problems:
        for n in range(len(problem["w"])):
            for move in (1e-6, -1e-6):
                w = list(problem["w"])
                w[n] += move
                moved.append(problem | {"w": w})
    losses = [found["loss"] for found in driver.execute_script(RUN, moved)]
    differences = (np.array(losses[::2]) - losses[1::2]) / 2e-6
    gradients = [found["dw"] for found in driver.execute_script(RUN, problems)]
    np.testing.assert_allclose(np.concatenate(gradients), differences, 1e-6, 1e-7)
    assert max(driver.execute_script(SUMS, problems)) < 1e-12


def test_training_is_gradient_descent(page):
    (problem,) = random_problems("gru", 6, 1, np.random.default_rng(2))
    train = "return Network.train(arguments[0], 0.01, 3)"
    found = page().execute_script(train, problem)
    w, run, losses = np.array(problem["w"]), library("gru", 6), []
    for _ in range(3):
        passes = run(problem | {"w": w.tolist()})
        losses.append(passes["loss"])
        w = w - 0.01 * passes["dw"]
    np.testing.assert_allclose(found["losses"], losses, 1e-9)
    np.testing.assert_allclose(found["w"], w, 1e-9)


def test_spectral_radius(page):
    matrices = np.random.default_rng(3).normal(size=(50, 4))
    found = page().execute_script(
        "return arguments[0].map(Network.spectralRadius)", matrices.tolist()
    )
    radii = [np.abs(np.linalg.eigvals(m.reshape(2, 2))).max() for m in matrices]
    np.testing.assert_allclose(found, radii, 1e-9)


@pytest.mark.parametrize(
    "preset, low, high",
    [
        ("vanishes", 0, 1e-4),
        ("explodes", 1e2, np.inf),
        ("saturated", 0, 1e-12),
        ("keeps", 0.3, 3),
    ],
)
def test_presets_do_what_they_are_called(page, preset, low, high):
    driver = page()
    driver.find_element("css selector", f"[data-preset={preset}]").click()
    state, radius, norms, states = driver.execute_script(
        """
        const state = State.PRESETS[arguments[0]](), network = Network.run(state);
        return [
          state,
          Network.spectralRadius(Network.recurrentPlaces(state.cell).map((n) => state.w[n])),
          Array.from({ length: state.steps }, (_, t) => network.norm("h", t + 1)),
          Array.from({ length: state.steps }, (_, t) => network.value(`h.${t + 1}.1`)),
        ];
        """,
        preset,
    )
    assert low < norms[0] / norms[-1] < high
    assert state["loss"] == "last"
    # What is blamed is to blame: the matrix, or the slope of tanh, or neither.
    assert radius > 1 if preset in ("explodes", "saturated") else radius < 1
    assert (min(np.abs(states)) > 0.95) == (preset == "saturated")
    assert (state["cell"] == "gru") == (preset == "keeps")
    assert driver.find_element("id", "ratio").text.strip()
    assert len(driver.find_elements("css selector", ".bar")) == state["steps"]


def number(driver, key, place="main"):
    element = driver.find_element("css selector", f'{place} [data-key="{key}"]')
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def shown(driver, key):
    element = number(driver, key)
    text = element.get_property("value") or element.text
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", "."))


def address(driver):
    """The address once the last change has come to rest in it."""
    before = None
    for _ in range(20):
        now = (
            driver.execute_async_script("setTimeout(arguments[0], 400)")
            or (driver.current_url.partition("#")[2])
        )
        if now == before:
            return now
        before = now
    raise AssertionError("the address does not come to rest")


def test_the_page_opens_with_the_numbers_of_lesson_03(page):
    driver = page()
    # As the lesson prints them.
    assert shown(driver, "h.1.1") == pytest.approx(0.8692, abs=1e-4)
    assert shown(driver, "d:h.2.1") == pytest.approx(0.4018, abs=1e-4)
    assert shown(driver, "d:W_hh.1.2") == pytest.approx(0.5515, abs=1e-4)


def test_a_click_writes_the_sum_out(page):
    driver = page()
    number(driver, "d:h.2.1").click()
    text = driver.find_element("id", "sum").text.replace("\N{MINUS SIGN}", "-")
    written = [
        number.text for number in driver.find_elements("css selector", "#sum button")
    ]
    numbers = [float(n.strip("()").replace("\N{MINUS SIGN}", "-")) for n in written]
    dy, w_hy, da_1, w_1, da_2, w_2, total = numbers
    assert (w_hy, w_1, w_2) == (0.9, 0.1, 0.4)
    assert dy * w_hy + da_1 * w_1 + da_2 * w_2 == pytest.approx(total, abs=2e-4)
    assert "dL/dh" in text
    # A number in the sum leads on to its own.
    driver.find_elements("css selector", "#sum button")[2].click()
    assert "d:a.3.1" in address(driver)


def test_the_address_restores_the_state(page):
    driver = page()
    number(driver, "W_hh.1.2").click()
    number(driver, "W_hh.1.2").send_keys("-0.75")
    driver.find_element("css selector", "[data-cell=lstm]").click()
    driver.find_element("css selector", "[data-train='100']").click()
    driver.find_element("css selector", "[data-train='1']").click()
    number(driver, "d:W_f.1.2").click()
    driver.find_element("css selector", "[data-language=fr]").click()
    told = address(driver)
    body = "return document.querySelector('main').innerText + document.querySelector('#sum').innerText + [...document.querySelectorAll('input')].map((i) => i.value)"
    before = driver.execute_script(body)
    assert "101 itérations" in before and "-0.75" in told
    again = page("#" + told)
    assert again.execute_script(body) == before
    assert again.execute_script("return document.documentElement.lang") == "fr"
    assert address(again) == told


def test_an_address_that_cannot_be_read_is_told_and_harmless(page):
    text = "#cell=toString&T=1e9&L=x&w=1,2&x1=a&target=&rate=-1&show=<b>&lang=__proto__&q=%E0"
    driver = page(text)
    said = driver.find_element("id", "status").text
    for key in ("cell", "T", "L", "w", "x1", "target", "rate", "show", "lang", "q"):
        assert re.search(rf"\b{key}\b", said), key
    assert shown(driver, "h.1.1") == pytest.approx(0.8692, abs=1e-4)


def test_numbers_can_be_edited_by_keyboard_and_by_dragging(page):
    driver = page()
    press = lambda *keys: ActionChains(driver).send_keys(*keys).perform()  # noqa: E731
    key = "return document.activeElement.dataset.key"
    # By Tab alone to the first number in a frame of the table.
    driver.execute_script("document.querySelector('#unfolded').focus()")
    for _ in range(20):
        press(Keys.TAB)
        if driver.execute_script(key) == "target.1":
            break
    assert driver.execute_script(key) == "target.1"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert driver.execute_script(outline) == "solid"
    loss = shown(driver, "L.1")
    press("2", Keys.ENTER)
    assert shown(driver, "target.1") == 2 and shown(driver, "L.1") != loss
    assert "target 1 = 2" in driver.find_element("id", "status").text
    press(Keys.ARROW_UP)
    hold = ActionChains(driver).key_down(Keys.SHIFT)
    hold.send_keys(Keys.ARROW_DOWN).key_up(Keys.SHIFT).perform()
    assert shown(driver, "target.1") == 1.1
    press("x")
    assert number(driver, "target.1").get_attribute("aria-invalid") == "true"
    press(Keys.ESCAPE)
    assert shown(driver, "target.1") == 1.1
    # A sum is reached by arrows, and opened by Enter.
    driver.execute_script("arguments[0].focus()", number(driver, "h.1.1"))
    press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ENTER)
    assert driver.execute_script(key) == "d:h.1.2"
    assert number(driver, "d:h.1.2").get_attribute("aria-current") == "true"
    # What has the focus is not below the sum, which stays at the foot of the window.
    covered = """scrollTo(0, 0); arguments[0].focus();
        const { x, y } = arguments[0].getBoundingClientRect();
        return document.elementFromPoint(x + 3, y + 3) !== arguments[0]"""
    assert not driver.execute_script(covered, number(driver, "W_hh.2.2"))
    field = number(driver, "h.0.1")
    ActionChains(driver).drag_and_drop_by_offset(field, 30, 0).perform()
    assert shown(driver, "h.0.1") == pytest.approx(0.6)
    driver.execute_script("arguments[0].focus()", driver.find_element("id", "radius"))
    before = shown(driver, "W_hh.1.1")
    press(Keys.ARROW_RIGHT)
    assert shown(driver, "W_hh.1.1") != before


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_number_has_a_name_and_every_word_its_language(page, language):
    driver = page(f"?lang={language}#cell=lstm&T=2")
    assert driver.execute_script("return document.documentElement.lang") == language
    words = driver.execute_script("return WORDS")
    assert set(words["en"]) == set(words["fr"])
    assert all(text.strip() for each in words.values() for text in each.values())
    used = driver.execute_script(
        "return [...document.querySelectorAll('[data-word], [data-label]')]"
        ".map((e) => e.dataset.word ?? e.dataset.label)"
    )
    assert set(used) <= set(words["en"])
    names = driver.execute_script(
        "return [...document.querySelectorAll('main .number')].map((e) => e.ariaLabel)"
    )
    assert len(names) > 100 and all(names)
    text = driver.execute_script("return document.body.innerText + document.title")
    if language == "fr":
        assert not re.search(r" [:;!?»]|« |'", text)
        for term in ("état caché", "rétropropagation dans le temps", "porte d’oubli"):
            assert term in text
        assert "Taux d’apprentissage" in text and "0,1" in text


def test_a_phone_scrolls_the_network_only(page):
    for address in ("", "?lang=fr#cell=lstm&T=12&show=d:W_f.1.1"):
        driver = page(address, width=390)
        assert (
            driver.execute_script("return document.documentElement.scrollWidth") <= 390
        )
