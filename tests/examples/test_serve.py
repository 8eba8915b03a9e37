"""The service as a process of its own with tiny models, and its parts by themselves."""

import asyncio
import contextlib
import http.client
import ipaddress
import json
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_rnn
from keras_rnn.generation.sampling import sample
from tests.tutorials.scripts import ROOT

# isort: split
pytest.importorskip("fastapi", reason="the extra [serve] is not installed")
import models
import serve
import train_sentiment
import uvicorn

pytestmark = pytest.mark.tensorflow  # a SavedModel is TensorFlow's

SERVE = ROOT / "examples" / "serve"
REVIEW = "Not good, bad \U0001f3ac caf\u00e9 but  great"
CHARACTERS = "\n abcdefghé"
# The service has neither Keras nor this package.
WITHOUT_KERAS = """
import runpy, sys
sys.modules["keras"] = sys.modules["keras_rnn"] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_until(true, seconds=60):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture(scope="module")
def sentiment():
    """A model as the program makes it, with weights by which the order counts."""
    keras.utils.set_random_seed(1)
    settings = train_sentiment.Settings(
        cell="elman",
        units=3,
        layers=1,
        bidirectional=True,
        epochs=1,
        batch_size=2,
        seed=1,
        vector=4,
        words=20,
        length=30,
    )
    texts = ["good bad great but not", "not good , bad but great café"]
    network = train_sentiment.build_network(settings, 1)
    random = np.random.default_rng(0)
    network.set_weights([random.normal(size=w.shape) for w in network.get_weights()])
    reader = train_sentiment.build_reader(texts, settings.words, settings.length)
    return train_sentiment.with_reader(reader, network)


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(2)
    return keras_rnn.Generator(
        CHARACTERS,
        [keras_rnn.LSTMCell(5), keras_rnn.ElmanCell(4)],
        conditions=["bad", "good"],
        start="\n",
    )


@pytest.fixture(scope="module")
def folders(sentiment, generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    train_sentiment.export(sentiment, folder / "sentiment")
    generator.export(folder / "generator")
    nothing = tf.constant(0)
    old = {
        "initial_state": lambda: {"state": nothing},
        "step": lambda: {"character": nothing, "probabilities": nothing},
        "vocabulary": lambda: {"characters": nothing},
    }
    old = {name: tf.function(told, input_signature=[]) for name, told in old.items()}
    tf.saved_model.save(tf.Module(), folder / "old", old)
    return folder


@pytest.fixture(scope="module")
def service(folders):
    """The port of the service."""
    port = free_port()
    arguments = ["--sentiment", folders / "sentiment"]
    arguments += ["--generator", folders / "generator"]
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_KERAS, SERVE / "serve.py", *arguments]
        + ["--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with contextlib.suppress(OSError):
            for line in process.stderr:
                if "Uvicorn running" in line:
                    break
        yield port
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGTERM)
        assert "Traceback" not in said and "ERROR" not in said
    finally:
        process.kill()


def ask(port, path, body=None, method="POST", kind="application/json", **headers):
    """The status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers |= {} if kind is None else {"Content-Type": kind}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return answer.status, answer.headers, answer.read()


def written(port, **order):
    status, headers, body = ask(port, "/generate", {"condition": "good", **order})
    assert status == 200, body
    return body.decode(), headers


def health(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
        return json.load(answer)


# ------------------------------------------------------------------- what it answers


def test_the_opinion_after_each_word_is_that_of_keras(service, sentiment):
    status, _, body = ask(service, "/sentiment", {"text": REVIEW})
    assert status == 200
    found = json.loads(body)
    words = REVIEW.split()
    assert [each["word"] for each in found["words"]] == words
    beginnings = [" ".join(words[: n + 1]) for n in range(len(words))]
    expected = sentiment.predict(tf.constant(beginnings), verbose=0)
    assert np.ptp(expected) > 0.01
    course = [each["probability"] for each in found["words"]]
    np.testing.assert_allclose(course, expected, atol=1e-6)
    assert found["probability"] == course[-1]


def test_reviews_of_many_clients_are_not_mixed_up(service):
    texts = [" ".join(REVIEW.split()[: 1 + n % 7]) for n in range(40)]
    alone = [json.loads(ask(service, "/sentiment", {"text": t})[2]) for t in texts[:7]]
    together = [None] * len(texts)

    def client(n):
        together[n] = json.loads(ask(service, "/sentiment", {"text": texts[n]})[2])

    threads = [threading.Thread(target=client, args=[n]) for n in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, found in enumerate(together):
        expected = alone[n % 7]
        assert found["words"][-1]["word"] == expected["words"][-1]["word"]
        assert found["probability"] == pytest.approx(expected["probability"], abs=1e-6)


@pytest.mark.parametrize("prompt", ["", "abé c"])
def test_the_likeliest_text_is_that_of_the_generator(service, generator, prompt):
    for condition in generator.conditions:
        order = {"length": 40, "temperature": 0, "condition": condition}
        text, _ = written(service, prompt=prompt, **order)
        assert text == generator.generate(prompt, **order)


def test_the_seed_decides_the_text(service):
    order = {"length": 60, "temperature": 1.5, "top_k": 5, "top_p": 0.95}
    text, headers = written(service, **order)
    assert len(text) == 60 and set(text) <= set(CHARACTERS)
    again, _ = written(service, seed=int(headers["X-Seed"]), **order)
    assert again == text
    assert written(service, seed=7, **order) != written(service, seed=8, **order)


def test_characters_are_drawn_as_the_package_draws_them():
    random = np.random.default_rng(0)
    logits = random.normal(size=(200, 9)).astype("float32")
    p = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    dice = random.random(200, dtype="float32")
    for temperature, top_k, top_p in [
        (1.0, None, None),
        (0.3, 4, 1.0),
        (5.0, 1, None),
        (2.0, None, 0.5),
        (1.0, 3, 0.7),
        (0, None, None),
    ]:
        texts = [
            SimpleNamespace(
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                random=SimpleNamespace(random=lambda dtype, u=u: u),
            )
            for u in dice
        ]
        expected = sample(logits, dice, temperature, top_k, top_p)
        expected = keras.ops.convert_to_numpy(expected)
        # In another precision, so a die between two characters may fall to either.
        assert np.mean(models.draw(p, texts) == expected) > 0.99


def test_a_generator_without_conditions_or_start(tmp_path):
    writer = keras_rnn.Generator("ab?", keras_rnn.ElmanCell(3), unknown="?")
    writer.export(tmp_path / "writer")
    found = models.Generator(tmp_path / "writer")
    assert (found.characters, found.conditions) == ("?ab", [])
    assert (found.start, found.unknown) == ("", "?")
    text = found.begin("aXb", 9, 0, None, None, None, 0)
    written = "".join(found.step([text])[0] for _ in range(2 + 9))
    assert written == writer.generate("aXb", 9, temperature=0)
    serve.check(serve.Order(prompt="aXb"), found)
    for refused in (serve.Order(), serve.Order(prompt="a", condition="good")):
        with pytest.raises(serve.Refused):
            serve.check(refused, found)


def test_health_says_what_there_is(service):
    found = health(service)
    assert found["status"] == "ok" and found["sentiment"]["words"] == serve.WORDS
    assert found["generate"]["conditions"] == ["bad", "good"]
    assert not found["generate"]["prompt_needed"]


@pytest.mark.parametrize("path", ["/", "/health", "/openapi.json"])
def test_head_is_get_without_the_body(service, path):
    status, headers, body = ask(service, path, method="GET")
    without = ask(service, path, method="HEAD")
    assert without[0] == status == 200 and without[2] == b"" != body
    names = ["Content-Type", "Content-Length", "Content-Security-Policy"]
    assert [without[1][name] for name in names] == [headers[name] for name in names]
    assert int(headers["Content-Length"]) == len(body)


def test_the_description_for_programs_is_that_of_the_answers(service):
    told = json.loads(ask(service, "/openapi.json", method="GET")[2])
    assert set(told["paths"]) == {"/", "/health", "/sentiment", "/generate"}
    assert "HTTPValidationError" not in told["components"]["schemas"]
    error = told["components"]["schemas"]["Error"]
    answer = json.loads(ask(service, "/sentiment", {})[2])
    assert all(set(each) == set(error["required"]) for each in answer["errors"])
    for path in ("/docs", "/redoc"):  # pages whose scripts come from elsewhere
        assert ask(service, path, method="GET")[0] == 404


# ------------------------------------------------------------------- what it refuses

REFUSED = {
    "no JSON": ("/sentiment", b"good", 400, "body"),
    "half of a JSON": ("/sentiment", b'{"text": "good', 400, "body"),
    "nothing": ("/sentiment", b"", 422, "body"),
    "a list": ("/sentiment", ["good"], 422, "body"),
    "deep": ("/sentiment", b'{"text": ' + b"[" * 900 + b"]" * 900 + b"}", 422, "text"),
    "too deep": ("/sentiment", b"[" * 30_000, 400, "body"),
    "bad UTF-8": ("/sentiment", b'{"text": "caf\xe9"}', 400, "body"),
    "UTF-16": ("/sentiment", '{"text": "good"}'.encode("utf-16"), 400, "body"),
    "UTF-16, no mark": ("/sentiment", b'\0{\0"\0a\0"\0:\x001\0}', 400, "body"),
    "surrogate field": ("/sentiment", b'{"text": "a", "\\ud800": 1}', 422, "body"),
    "long field": ("/sentiment", {"text": "a", "b" * 9000: 1}, 422, "b" * 80),
    "many fields": ("/sentiment", {str(n): n for n in range(4000)}, 422, "text"),
    "lone surrogate": ("/sentiment", b'{"text": "\\ud83c good"}', 422, "text"),
    "NUL": ("/sentiment", {"text": "go\0od"}, 422, "text"),
    "no text": ("/sentiment", {}, 422, "text"),
    "null": ("/sentiment", {"text": None}, 422, "text"),
    "number for text": ("/sentiment", {"text": 7}, 422, "text"),
    "list for text": ("/sentiment", {"text": ["good"]}, 422, "text"),
    "empty": ("/sentiment", {"text": ""}, 422, "text"),
    "no word": ("/sentiment", {"text": " \n\t"}, 422, "text"),
    "too long": ("/sentiment", {"text": "a" * (serve.REVIEW + 1)}, 422, "text"),
    "too many words": ("/sentiment", {"text": "a " * (serve.WORDS + 1)}, 422, "text"),
    "too large": ("/sentiment", b" " * (serve.BODY + 1), 413, "body"),
    "unknown field": ("/sentiment", {"text": "a", "colour": 1}, 422, "colour"),
    "negative temperature": ("/generate", {"temperature": -0.1}, 422, "temperature"),
    "NaN": ("/generate", b'{"temperature": NaN}', 422, "temperature"),
    "minus infinity": ("/generate", b'{"temperature": -Infinity}', 422, "temperature"),
    "huge temperature": ("/generate", {"temperature": 10**400}, 422, "temperature"),
    "infinite": ("/generate", b'{"temperature": 1e999}', 422, "temperature"),
    "text for number": ("/generate", {"temperature": "1"}, 422, "temperature"),
    "no length": ("/generate", {"length": 0}, 422, "length"),
    "half a length": ("/generate", {"length": 1.5}, 422, "length"),
    "true for length": ("/generate", {"length": True}, 422, "length"),
    "too much": ("/generate", {"length": serve.LENGTH + 1}, 422, "length"),
    "huge": ("/generate", b'{"length": ' + b"9" * 6000 + b"}", 400, "body"),
    "top_k": ("/generate", {"top_k": 0}, 422, "top_k"),
    "top_p": ("/generate", {"top_p": 0.0}, 422, "top_p"),
    "seed": ("/generate", {"seed": 2**32}, 422, "seed"),
    "negative seed": ("/generate", {"seed": -1}, 422, "seed"),
    "unknown condition": ("/generate", {"condition": "ugly"}, 422, "condition"),
    "no condition": ("/generate", {"condition": None}, 422, "condition"),
    "unknown characters": ("/generate", {"prompt": "axy"}, 422, "prompt"),
    "long prompt": ("/generate", {"prompt": "a" * 501}, 422, "prompt"),
    "unknown path": ("/nowhere", {}, 404, "path"),
    "path with NUL": ("/sentiment%00", {}, 404, "path"),
    "path in no UTF-8": ("/%ed%a0%80", {}, 404, "path"),
    "long path": ("/" + 9000 * "a", {}, 404, "path"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(service, name):
    path, body, status, field = REFUSED[name]
    if path == "/generate" and isinstance(body, dict):
        body = {"condition": "good", **body}
    got, headers, answer = ask(service, path, body)
    assert got == status, answer
    assert headers["Content-Type"] == "application/json" and len(answer) < 2000
    errors = json.loads(answer)["errors"]
    assert field in [error["field"] for error in errors]
    assert all(error["given"] and error["allowed"] for error in errors)
    assert health(service)["status"] == "ok"


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "multipart/form-data; boundary=x", "a" * 9000]
)
def test_refused_content_type(service, kind):
    status, _, answer = ask(service, "/sentiment", {"text": "good"}, kind=kind)
    assert status == 415 and b"application/json" in answer and len(answer) < 500
    assert ask(service, "/sentiment", {"text": "good"})[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "A" * 9000])
def test_refused_method(service, method):
    status, headers, answer = ask(service, "/sentiment", method=method)
    assert status == 405 and headers["Allow"] == "POST" and b"method" in answer
    assert len(answer) < 500
    assert ask(service, "/sentiment", {"text": "good"})[0] == 200
    assert ask(service, "/health", method="PUT")[1]["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("host", ["evil.example", "a/b", "[", "a#b?c", "caf\u00e9"])
def test_what_the_client_says_that_the_host_is_decides_nothing(service, host):
    expected = ask(service, "/sentiment", {"text": ""})
    status, _, body = ask(service, "/sentiment", {"text": ""}, Host=host)
    assert (status, body) == (422, expected[2])
    status, headers, body = ask(service, "/sentiment/", {"text": "good"}, Host=host)
    assert status == 404 and "Location" not in headers
    assert b"evil" not in body


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"POST /sentiment HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
)
def test_refused_as_no_http(service, sent):
    with socket.create_connection(("127.0.0.1", service)) as connection:
        connection.sendall(sent)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert health(service)["status"] == "ok"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "at least one"),
        (["--sentiment", "nowhere"], "--sentiment: there is no folder nowhere"),
        (["--sentiment", "."], "not a SavedModel"),
        (["--sentiment", "broken"], "--sentiment: broken cannot be loaded"),
        (["--sentiment", "generator"], "no signature `serving_default`"),
        (["--generator", "sentiment"], "no signature `initial_state`"),
        (["--generator", "old"], "has no conditions and no start and no unknown"),
        (["--sentiment", "sentiment", "--port", "0"], "from 1 to 65535, not '0'"),
        (["--sentiment", "sentiment", "--proxy", "*"], "or a network, as 10.0.0.0/8"),
    ],
)
def test_mistakes_on_the_command_line(folders, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(folders)
    (folders / "broken").mkdir(exist_ok=True)
    (folders / "broken" / "saved_model.pb").write_bytes(b"half")
    monkeypatch.setattr(uvicorn, "run", lambda *a, **k: pytest.fail("it serves"))
    assert serve.main(arguments) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and says in error and error.count("\n") == 1


# -------------------------------------------------------- many clients, slow or gone


class Endless:
    """Stands for a generator: its texts end when the test says so."""

    characters, start, unknown, conditions = "ab", "\n", "", ()

    def __init__(self):
        self.steps, self.end = 0, False

    def begin(self, **order):
        return models.Text("", {}, 1, 0, None, None, 0)

    def step(self, texts):
        time.sleep(0.01)
        self.steps += 1
        for text in texts:
            text.left = int(not self.end)
        return ["a"] * len(texts)


@contextlib.contextmanager
def running(generator, most=10, each=10, seconds=60, grace=60, proxies=()):
    """The application with the generator, in a thread: its port and the server."""
    proxies = [ipaddress.ip_network(proxy) for proxy in proxies]
    app = serve.Guard(serve.make_app(None, generator), most, each, seconds, proxies)
    config = uvicorn.Config(
        app,
        log_level="critical",
        timeout_graceful_shutdown=grace,
        **serve.settings(proxies),
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield listening.getsockname()[1], server
    finally:
        generator.end = server.should_exit = True
        thread.join(timeout=60)
        assert not thread.is_alive()


def begin(port):
    """An answer of `/generate` of which the first character has come."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    kind = {"Content-Type": "application/json"}
    connection.request("POST", "/generate", b"{}", kind)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read(1) == b"a"
    return connection, answer


def test_characters_come_as_they_are_drawn_until_the_client_goes():
    with running(Endless()) as (port, _):
        connection, answer = begin(port)  # though the text has no end
        assert answer.read(5) == b"aaaaa"
        assert health(port)["generate"]["writing"] == 1
        answer.close()
        connection.close()
        wait_until(lambda: health(port)["generate"]["writing"] == 0)


def test_too_many_and_too_long():
    with running(Endless(), most=2, seconds=2) as (port, _):
        answers = [begin(port) for _ in range(2)]
        status, headers, body = ask(port, "/generate", {})
        assert status == 503 and int(headers["Retry-After"]) > 0
        assert json.loads(body)["errors"][0]["field"] == "requests"
        assert health(port)["status"] == "ok"
        for connection, answer in answers:  # cut off when the time is up
            with pytest.raises(http.client.IncompleteRead):
                answer.read()
            connection.close()
        assert health(port)["generate"]["writing"] == 0
        begin(port)[0].close()  # there is room again


def test_shutdown_lets_texts_end_and_takes_no_new_ones():
    generator = Endless()
    with running(generator) as (port, server):
        connection, answer = begin(port)
        server.should_exit = True  # what SIGTERM does

        def closed():
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                return True

        wait_until(closed)
        assert answer.read(3) == b"aaa"
        generator.end = True
        assert set(answer.read()) <= set(b"a")  # whole: no IncompleteRead
        connection.close()


def test_shutdown_ends_what_takes_too_long():
    with running(Endless(), grace=1) as (port, server):
        connection, answer = begin(port)
        server.should_exit = True
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
        connection.close()


def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr(serve, "TO_ARRIVE", 0.2)
    with running(Endless()) as (port, _):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(
                b"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                b"Content-Type: application/json\r\n\r\n{"
            )
            assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


HEAD = b"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def slow_bodies(port, count, clients=1):
    """Connections of which each has sent half of a request, as a proxy hands them on."""
    with contextlib.ExitStack() as stack:
        connections = []
        for n in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            connections.append(stack.enter_context(connection))
            # Who sends the header pretends; what the proxy adds stands last.
            forwarded = b"X-Forwarded-For: 10.0.0.%d, 10.9.9.%d\r\n"
            connection.sendall(HEAD + forwarded % (n % 250, n % clients))
            connection.sendall(b"Content-Length: 2\r\n\r\n{")
        yield connections


def statuses(connections):
    """The statuses that those have got who are answered already."""
    found, _, _ = select.select(connections, [], [], 0)
    return [connection.recv(12, socket.MSG_PEEK)[-3:] for connection in found]


def test_others_are_served_while_one_client_sends_256_slow_bodies(monkeypatch):
    monkeypatch.setattr(serve, "TO_ARRIVE", 60)
    generator = Endless()
    generator.end = True
    with running(generator, most=3, each=4, proxies=["127.0.0.1"]) as (port, _):
        with slow_bodies(port, 256) as connections:
            wait_until(lambda: len(statuses(connections)) >= 252)
            other = {"X-Forwarded-For": "10.0.0.1"}
            for _ in range(3):
                assert ask(port, "/generate", {}, **other)[::2] == (200, b"a")
            assert statuses(connections) == [b"429"] * 252
            same = {"X-Forwarded-For": "10.9.9.0"}
            status, headers, body = ask(port, "/generate", {}, **same)
            assert status == 429 and int(headers["Retry-After"]) > 0
            assert json.loads(body)["errors"][0]["allowed"] == "4 of one client"
        wait_until(lambda: ask(port, "/generate", {}, **same)[0] == 200)


def test_slow_bodies_of_many_clients_take_no_place(monkeypatch):
    monkeypatch.setattr(serve, "TO_ARRIVE", 60)
    generator = Endless()
    generator.end = True
    with running(generator, most=3, each=4, proxies=["127.0.0.1"]) as (port, server):
        with slow_bodies(port, 40, clients=20) as connections:
            wait_until(lambda: len(server.server_state.tasks) == 40)
            assert ask(port, "/generate", {})[0] == 200
            assert statuses(connections) == []


def test_who_is_no_proxy_is_not_believed():
    generator = Endless()
    generator.end = True
    with running(generator, each=2) as (port, _):
        with slow_bodies(port, 2, clients=2) as connections:
            wait_until(lambda: ask(port, "/generate", {})[0] == 429)
            assert statuses(connections) == []


def test_connections_of_one_client():
    most = 2 * serve.CONNECTIONS
    with running(Endless(), each=2) as (port, _), contextlib.ExitStack() as stack:
        for _ in range(most + 1):
            last = socket.create_connection(("127.0.0.1", port), timeout=60)
            stack.enter_context(last)
        assert last.recv(1000).startswith(b"HTTP/1.1 429 ") and last.recv(1) == b""
        stack.close()
        wait_until(lambda: health(port))
    with running(Endless(), each=2, proxies=["127.0.0.0/8"]) as (port, _):
        with contextlib.ExitStack() as stack:
            for _ in range(most + 1):
                last = socket.create_connection(("127.0.0.1", port), timeout=60)
                stack.enter_context(last)
            assert health(port)["status"] == "ok"


def test_who_counts_as_one_client():
    def same(one, other):
        return serve.client_at((one, 1)) == serve.client_at((other, 2))

    assert same("10.0.0.1", "10.0.0.1") and not same("10.0.0.1", "10.0.0.2")
    assert same("::ffff:10.0.0.1", "10.0.0.1") and same("2001:db8::1", "2001:db8::f:2")
    assert not same("2001:db8::1", "2001:db8:0:1::1") and not same("unknown", "::")
    assert serve.client_at(None) == serve.client_at(("", 0))


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW = {  # what is sent at first, and then again and again
    "silence": (b"", b""),
    "a head": (b"GET /health HTTP/1.1\r\nHost: a", b"a"),
    "a second head": (b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET", b"a"),
    "a body": (CHUNKED, b"1\r\n \r\n"),
    "a body that nobody reads": (CHUNKED.replace(b"POST", b"PUT"), b"1\r\n \r\n"),
    "a body that is too large": (
        CHUNKED + b"%x\r\n" % (serve.BODY + 1) + b" " * (serve.BODY + 1) + b"\r\n",
        b"1\r\n \r\n",
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_who_does_not_get_to_the_end_is_cut_off(monkeypatch, name):
    monkeypatch.setattr(serve, "TO_ARRIVE", 0.3)
    sent, more = SLOW[name]
    with running(Endless()) as (port, server):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(sent)

            def gone():
                with contextlib.suppress(OSError):
                    connection.sendall(more)
                return not server.server_state.connections

            wait_until(lambda: server.server_state.connections)
            wait_until(gone)
        assert health(port)["status"] == "ok"


def test_no_http_in_a_body_that_is_answered(caplog):
    with running(Endless()) as (port, _):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(CHUNKED.replace(b"POST", b"PUT"))
            answer = b""
            while not answer.endswith(b"}]}"):
                answer += connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 405 ")
            connection.sendall(b"no number\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        assert health(port)["status"] == "ok"
    assert "Traceback" not in caplog.text


def test_reviews_that_wait_share_a_call():
    calls, go = [], threading.Event()

    def courses(reviews):
        calls.append(len(reviews))
        go.wait(timeout=60)
        if ["bad"] in reviews:
            raise RuntimeError("broken")
        return [np.full(len(words), len(words) / 10) for words in reviews]

    async def main():
        judging = serve.Judging(SimpleNamespace(courses=courses))
        run = asyncio.create_task(judging.run())
        first = asyncio.create_task(judging.course(["a"]))
        while not calls:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(judging.course(["a"] * n)) for n in range(1, 6)]
        await asyncio.sleep(0)
        others[2].cancel()  # this one goes: no one answers it
        go.set()
        assert (await first).tolist() == [0.1]
        found = await asyncio.gather(*others, return_exceptions=True)
        assert [f.tolist()[0] for i, f in enumerate(found) if i != 2] == [
            0.1,
            0.2,
            0.4,
            0.5,
        ]
        with pytest.raises(RuntimeError, match="broken"):
            await judging.course(["bad"])
        assert len(await judging.course(["a"] * 3)) == 3  # it goes on
        run.cancel()

    asyncio.run(main())
    assert calls == [1, 4, 1, 1]


# --------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, driven by way of WebDriver."""
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        pytest.skip("needs chromium and chromedriver (Debian: chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument("--" + argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(found[1]))
    yield driver
    driver.quit()


def test_page(service, browser, sentiment):
    def texts(selector):
        script = "return Array.from(document.querySelectorAll(arguments[0]), (e) => "
        return browser.execute_script(script + "e.textContent)", selector)

    def at(name):
        return browser.find_element("id", name)

    browser.set_window_size(500, 900)  # a phone: nothing sticks out
    browser.get(f"http://127.0.0.1:{service}/")
    wait_until(lambda: at("review").is_displayed() and at("write").is_displayed())
    wide = "return document.documentElement.scrollWidth > window.innerWidth"

    # Someone types a review: the network's opinion stands by each word. It is read in one
    # go, since the page puts new words in place of the old ones as they are typed.
    look = """
        return Array.from(document.querySelectorAll("#words li"), (item) =>
            [item.children[1].textContent, item.className])"""
    for count in (2, 5):
        words = ["not", "good,", "but", "great", "caf\u00e9"][:count]
        beginnings = [" ".join(words[: n + 1]) for n in range(count)]
        opinions = sentiment.predict(tf.constant(beginnings), verbose=0)
        sides = ["negative" if p < 0.5 else "positive" for p in opinions]
        at("review").clear()
        at("review").send_keys(" ".join(words))
        expected = [[word, side] for word, side in zip(words, sides)]
        wait_until(lambda e=expected: browser.execute_script(look) == e)
        wait_until(lambda s=sides: texts("#verdict")[0].lower().startswith(s[-1]))
    assert not browser.execute_script(wide)

    # And presses the button: the text appears bit by bit.
    assert texts("#condition option") == ["bad", "good"]
    at("prompt").send_keys("abc")
    at("write").click()
    seen = set()

    def finished():
        seen.add(len(texts("#written")[0]))
        return at("write").is_enabled()

    wait_until(finished)
    assert len(seen) > 3
    written = texts("#written")[0]
    assert len(written) == 3 + 300  # the page's default
    assert written.startswith("abc") and set(written) <= set(CHARACTERS)
    assert "seed" in texts("#progress")[0]

    # What the service refuses the page tells, and it goes on.
    at("prompt").send_keys("XYZ")
    at("write").click()
    wait_until(lambda: "prompt: 'XYZ'" in texts("#trouble")[0])
    at("prompt").clear()
    at("write").click()
    wait_until(lambda: len(texts("#written")[0]) > 3)
    at("stop").click()
    wait_until(lambda: at("write").is_enabled())
    assert "Stopped" in texts("#progress")[0] and texts("#trouble") == [""]
    assert len(texts("#written")[0]) < 300

    errors = [e for e in browser.get_log("browser") if "422" not in e["message"]]
    assert errors == [] and not browser.execute_script(wide)
