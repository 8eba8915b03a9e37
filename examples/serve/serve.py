"""Two recurrent networks behind HTTP: one judges reviews, one writes.

    python examples/serve/serve.py --sentiment DIR --generator DIR --port 8000

and then open http://127.0.0.1:8000. README.md says what the service answers.
"""

import argparse
import asyncio
import collections
import contextlib
import ipaddress
import logging
import math
import os
import reprlib
import secrets
import sys
from pathlib import Path
from typing import Annotated

# Before TensorFlow is imported. oneDNN keeps what it prepared for each shape that it
# meets, and reviews come in all shapes: without it the memory stays where it is, and
# these small products take no longer.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import fastapi
import h11
import pydantic
import uvicorn
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from models import Generator, Mistake, Sentiment
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

REVIEW = 6_000  # characters; the network of the tutorial reads the first 640 words
WORDS = 600  # of a review: each is a text for the network, the review up to there
PROMPT = 500  # characters
LENGTH = 2_000  # characters to write
BODY = (
    12 * REVIEW + 1_000
)  # bytes: a character takes up to 12 of them in JSON, \ud83c\udfac
SHARE = 256  # words of the reviews that share a call: more, and the first waits long
TO_ARRIVE = 10  # seconds that the head of a request may take, and again its body
CONNECTIONS = 8  # of a client, for each request that it may have in work

PAGE = Path(__file__).with_name("index.html")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


# ------------------------------------------------------- many requests, one TensorFlow


class Judging:
    """Reviews that come while the network is at work share its next call."""

    def __init__(self, sentiment):
        self.sentiment = sentiment
        self.waiting = asyncio.Queue()

    async def course(self, words):
        """The probability of "positive" after each word, an array `(words,)`."""
        answer = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((words, answer))
        return await answer

    async def run(self):
        while True:
            batch = [await self.waiting.get()]
            while not self.waiting.empty() and sum(len(w) for w, _ in batch) < SHARE:
                batch.append(self.waiting.get_nowait())
            # Who no longer waits needs no answer.
            batch = [(words, answer) for words, answer in batch if not answer.done()]
            if not batch:
                continue
            reviews = [words for words, _ in batch]
            try:
                found = await asyncio.to_thread(self.sentiment.courses, reviews)
            except Exception as error:
                logging.exception("the sentiment model failed")
                found = [error] * len(batch)
            for (_, answer), course in zip(batch, found):
                if answer.done():
                    continue
                if isinstance(course, Exception):
                    answer.set_exception(course)
                else:
                    answer.set_result(course)


class Writing:
    """All texts that are being written, which take each step together."""

    def __init__(self, generator):
        self.generator = generator
        self.readers = {}  # from each text to the queue of its new characters
        self.work = asyncio.Event()

    async def stream(self, text):
        """Yields what is written as it is written. Who stops listening stops it."""
        characters = self.readers[text] = asyncio.Queue()
        self.work.set()
        try:
            while True:
                piece = await characters.get()
                while not characters.empty() and piece is not None:
                    following = characters.get_nowait()
                    if following is None:
                        yield piece
                    piece = following and piece + following
                if piece is None:
                    return
                yield piece
        finally:
            self.readers.pop(text, None)

    async def run(self):
        while True:
            await self.work.wait()
            texts = list(self.readers)
            if not texts:
                self.work.clear()
                continue
            try:
                new = await asyncio.to_thread(self.generator.step, texts)
            except Exception:
                logging.exception("the generator failed")
                new = [None] * len(texts)  # the texts end where they are
            for text, character in zip(texts, new):
                reader = self.readers.get(text)
                if reader and character != "":
                    reader.put_nowait(character)
                if reader and (character is None or not text.left):
                    reader.put_nowait(None)
                    del self.readers[text]


# ------------------------------------------------------------- no client has it all


class Guard:
    """Stands before the application: bounds the requests, their size and their time.

    A request that calls for work must say that it is JSON, be of at most `BODY` bytes and
    arrive within `TO_ARRIVE` seconds. Of one client there are at most `each` at a time,
    those that still arrive included, and of all clients at most `most` in work: a body
    that is slow to come takes nobody's place. An answer must be complete within `seconds`.

    `proxies` are networks of `ipaddress`: who connects from there speaks for others.
    """

    def __init__(self, app, most, each, seconds, proxies=()):
        self.app, self.most, self.each, self.seconds = app, most, each, seconds
        self.proxies = proxies
        self.in_work = 0
        self.requests = collections.Counter()  # of each client

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # uvicorn leaves the body out
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        client = client_at(scope["client"])
        if self.requests[client] >= self.each:
            given, allowed = f"{self.each} in work", f"{self.each} of one client"
            answer = refusal(429, "requests", given, allowed)
            return await answer(scope, receive, send)
        self.requests[client] += 1
        try:
            answer = body = await read_body(scope, receive)
            if isinstance(body, bytes):
                if self.in_work < self.most:
                    return await self.work(scope, replay(body, receive), send)
                given, allowed = f"{self.in_work} in work", f"{self.most}"
                answer = refusal(503, "requests", given, allowed)
            await answer(scope, receive, send)
        finally:
            self.requests[client] -= 1
            if not self.requests[client]:
                del self.requests[client]

    async def work(self, scope, receive, send):
        began = False

        async def sending(message):
            nonlocal began
            began = True
            await send(message)

        self.in_work += 1
        try:
            async with asyncio.timeout(self.seconds):
                await self.app(scope, receive, sending)
        except TimeoutError:
            if not began:
                took, allowed = f"more than {self.seconds} s", f"{self.seconds} s"
                await refusal(503, "time", took, allowed)(scope, receive, send)
            # Else uvicorn closes the connection: the answer is seen to be cut off.
        finally:
            self.in_work -= 1

    def is_proxy(self, address):
        """Whether a peer, a pair of host and port or `None`, is one of the proxies."""
        if address is None:  # it has gone already
            return False
        ip = ipaddress.ip_address(address[0])
        return any(ip in network for network in self.proxies)


def client_at(address):
    """Who counts as one client: an address, of IPv6 its first half, which one owner has.

    Args:
        address: Pair of host and port, or `None`.
    """
    host = address[0] if address else ""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host
    if ip.version == 4:
        return ip
    return ip.ipv4_mapped or int(ip) >> 64


class Connection(H11Protocol):
    """A connection of uvicorn, which by itself waits for the rest of a head for ever.

    Here a client that owes something, the head of a request or what is left of a body
    that is answered already, has `TO_ARRIVE` seconds. (Of a body that is not answered yet
    `Guard` takes care.) And no client but a proxy has more than so many connections.
    """

    last_moment = None  # a timer while the client owes something

    def connection_made(self, transport):
        super().connection_made(transport)
        self.owes(True)
        guard, self.who = self.config.app, client_at(self.client)
        held = sum(other.who == self.who for other in self.connections)
        if held > CONNECTIONS * guard.each and not guard.is_proxy(self.client):
            transport.write(
                b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n"
                b"Connection: close\r\nContent-Length: 0\r\n\r\n"
            )
            transport.close()

    def data_received(self, data):
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # no HTTP, in a body that is answered already
            self.transport.abort()
        else:
            self.owes(self.cycle is None or self.cycle.response_complete)

    def connection_lost(self, error):
        self.owes(False)
        super().connection_lost(error)

    def owes(self, true):
        if true and not self.last_moment:
            self.last_moment = self.loop.call_later(TO_ARRIVE, self.transport.abort)
        elif self.last_moment and not true:
            self.last_moment.cancel()
            self.last_moment = None


def settings(proxies=()):
    """How uvicorn is to serve a `Guard` behind these proxies."""
    return {
        "http": Connection,
        "ws": "none",
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": list(map(str, proxies)),
        "access_log": False,
        "server_header": False,
    }


async def read_body(scope, receive):
    """The body of a request, or the answer that refuses it."""
    headers = Headers(scope=scope)
    kind = headers.get("content-type", "")
    if kind.split(";")[0].strip().lower() != "application/json":
        given = shorten.repr(kind) if kind else "nothing"
        return refusal(415, "Content-Type", given, "application/json")
    body = b""
    try:
        async with asyncio.timeout(TO_ARRIVE):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return fastapi.Response(status_code=400)  # which nobody reads
                body += message.get("body", b"")
                if len(body) > BODY:
                    given = headers.get("content-length", "more")
                    return refusal(413, "body", f"{given} bytes", f"{BODY} bytes")
                if not message.get("more_body"):
                    break
    except TimeoutError:
        return refusal(408, "body", "a part", f"all of it within {TO_ARRIVE} s")
    try:
        body.decode("utf-8")
        place = body.find(b"\0")  # by which UTF-16 and UTF-32 would be told
    except UnicodeDecodeError as error:
        place = error.start
    if place >= 0:
        given = f"{body[place : place + 8]!r} at byte {place}"
        return refusal(400, "body", given, "JSON in UTF-8")
    return body


def replay(body, receive):
    """A `receive` that gives the body, and then whatever comes after it."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving():
        return messages.pop() if messages else await receive()

    return receiving


# ------------------------------------------------------------------ what is refused

shorten = reprlib.Repr()
shorten.maxstring = shorten.maxother = 80
TOLD = 10  # errors of one request


def refusal(status, field, given, allowed, **headers):
    """An answer that says which field is wrong, what it was and what it may be."""
    if status in (429, 503):
        headers["Retry-After"] = "1"
    errors = [{"field": field, "given": given, "allowed": allowed}]
    return JSONResponse({"errors": errors}, status, headers=headers)


class Refused(Exception):
    """What only the model can tell about a field."""

    def __init__(self, field, given, allowed):
        super().__init__(field)
        self.told = (field, shorten.repr(given), allowed)


def tell_invalid(allowed):
    """A handler of what pydantic found wrong, with what each field may be."""

    def tell(request, error):
        errors = []
        for each in error.errors()[:TOLD]:
            field = str((each["loc"][1:] or ("body",))[0])[:80]
            if each["type"] == "json_invalid":
                return refusal(400, "body", each["ctx"]["error"], "JSON in UTF-8")
            missing = each["type"] == "missing"
            given = "nothing" if missing else shorten.repr(each["input"])
            fields = allowed[request.scope["path"]]
            may_be = fields.get(field, "an object with " + ", ".join(fields))
            errors.append({"field": field, "given": given, "allowed": may_be})
        return JSONResponse({"errors": errors}, 422)

    return tell


def tell_http(request, error):
    """A handler of what the framework itself refuses."""
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        if allowed == "GET":
            allowed = "GET, HEAD"
        return refusal(405, "method", request.method[:80], allowed, Allow=allowed)
    if error.status_code == 404:
        # Not of `request.url`, which holds what the client says that the host is.
        path = request.scope["path"][:80]
        there = ", ".join(route.path for route in request.app.routes)
        return refusal(404, "path", path, there)
    return refusal(error.status_code, "body", "what cannot be read", "JSON in UTF-8")


# ----------------------------------------------------------------------- the service


def without_nul(text):
    if "\0" in text:
        raise ValueError("NUL")
    return text


def limited(most, least=1):
    """The type of a text of so many characters."""
    return Annotated[
        str,
        pydantic.Field(min_length=least, max_length=most),
        pydantic.AfterValidator(without_nul),
    ]


class Request(pydantic.BaseModel):
    model_config = {"strict": True, "extra": "forbid"}

    @classmethod
    def allowed(cls):
        """What each field may be, in words."""
        return {name: field.description for name, field in cls.model_fields.items()}


class Review(Request):
    text: limited(REVIEW) = pydantic.Field(
        description=f"a string of 1 to {REVIEW} characters without NUL, in 1 to {WORDS} "
        "words between white space"
    )


class Order(Request):
    prompt: limited(PROMPT, least=0) = pydantic.Field(
        "",
        description=f"a string of at most {PROMPT} characters that the generator knows",
    )
    length: int = pydantic.Field(
        200, ge=1, le=LENGTH, description=f"an integer from 1 to {LENGTH}"
    )
    temperature: float = pydantic.Field(
        0.7, ge=0, le=10, allow_inf_nan=False, description="a number from 0 to 10"
    )
    top_k: int | None = pydantic.Field(
        None, ge=1, le=1_000_000, description="an integer from 1 to 1000000, or null"
    )
    top_p: float | None = pydantic.Field(
        None, gt=0, le=1, description="a number above 0, at most 1, or null"
    )
    condition: str | None = pydantic.Field(
        None, description="one of the generator's conditions, null if it has none"
    )
    seed: int | None = pydantic.Field(
        None, ge=0, lt=2**32, description=f"an integer from 0 to {2**32 - 1}, or null"
    )


class Error(pydantic.BaseModel):
    field: str
    given: str
    allowed: str


class Errors(pydantic.BaseModel):
    """What an answer of 4xx tells."""

    errors: list[Error]


def make_app(sentiment=None, generator=None):
    """The application: what it answers, for the models that are there."""
    judging = sentiment and Judging(sentiment)
    writing = generator and Writing(generator)

    @contextlib.asynccontextmanager
    async def at_work(app):
        tasks = [asyncio.create_task(each.run()) for each in (judging, writing) if each]
        yield
        for task in tasks:
            task.cancel()

    allowed = {"/sentiment": Review.allowed(), "/generate": Order.allowed()}
    app = fastapi.FastAPI(
        title="Two recurrent networks",
        lifespan=at_work,
        docs_url=None,  # they would be fetched from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect goes to the host that the client names
        responses={"4XX": {"model": Errors, "description": "What is wrong"}},
        exception_handlers={
            fastapi.exceptions.RequestValidationError: tell_invalid(allowed),
            HTTPException: tell_http,
            Refused: lambda request, error: refusal(422, *error.told),
        },
    )
    page = PAGE.read_text("utf-8")

    @app.get("/", response_class=HTMLResponse)
    async def index():
        return HTMLResponse(page, headers=HEADERS)

    @app.get("/health")
    async def health():
        """Whether the service is alive, what it offers, and how much it is writing."""
        found = {"status": "ok", "sentiment": None, "generate": None}
        if judging:
            found["sentiment"] = {"characters": REVIEW, "words": WORDS}
        if writing:
            found["generate"] = {
                "conditions": generator.conditions,
                "prompt_needed": not generator.start,
                "prompt": PROMPT,
                "length": LENGTH,
                "writing": len(writing.readers),
            }
        return found

    if judging:

        @app.post("/sentiment")
        async def judge(review: Review):
            """What the network thinks of a review, after each of its words."""
            words = review.text.split()
            if not 0 < len(words) <= WORDS:
                given = f"{len(words)} words"
                raise Refused("text", given, allowed["/sentiment"]["text"])
            course = (await judging.course(words)).tolist()
            return {
                "probability": course[-1],
                "words": [{"word": w, "probability": p} for w, p in zip(words, course)],
            }

    if writing:

        @app.post("/generate", response_class=StreamingResponse)
        async def write(order: Order):
            """A text, character by character, in UTF-8."""
            check(order, generator)
            if order.seed is None:
                order.seed = secrets.randbits(32)
            return StreamingResponse(
                writing.stream(generator.begin(**order.model_dump())),
                media_type="text/plain; charset=utf-8",
                headers={"X-Seed": str(order.seed), "Cache-Control": "no-store"},
            )

    return app


def check(order, generator):
    """Raises `Refused` for what this generator cannot write."""
    if not order.prompt and not generator.start:
        raise Refused("prompt", "", "at least one character")
    strange = "".join(sorted(set(order.prompt) - set(generator.characters)))
    if strange and not generator.unknown:
        raise Refused("prompt", strange, f"characters of {generator.characters!r}")
    if order.condition not in (generator.conditions or [None]):
        allowed = ", ".join(map(repr, generator.conditions)) or "null: there are none"
        raise Refused("condition", order.condition, allowed)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Mistake(message)


def read_options(argv):
    """The options of the command line."""
    parser = Parser(
        description="Serves a network that judges reviews and one that writes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )

    def positive(text, most=math.inf):
        if text.isdecimal() and 0 < int(text) <= most:
            return int(text)
        allowed = "a whole number from 1" + (f" to {most}" if most < math.inf else "")
        raise argparse.ArgumentTypeError(f"must be {allowed}, not {text!r}")

    def network(text):
        try:
            return ipaddress.ip_network(text)
        except ValueError as error:
            allowed = "an address or a network, as 10.0.0.0/8"
            message = f"must be {allowed}, not {text!r}"
            raise argparse.ArgumentTypeError(message) from error

    add = parser.add_argument
    add(
        "--sentiment", metavar="DIR", help="SavedModel of a network that judges reviews"
    )
    add("--generator", metavar="DIR", help="SavedModel of a network that writes")
    add("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in")
    add(
        "--port",
        type=lambda text: positive(text, 65535),
        default=8000,
        help="where to listen",
    )
    add("--most", type=positive, default=256, help="requests in work; more get a 503")
    add(
        "--each",
        type=positive,
        default=32,
        help="requests of one client, in work or arriving; more get a 429",
    )
    add(
        "--proxy",
        type=network,
        nargs="+",
        default=[],
        metavar="ADDRESS",
        help="addresses or networks of reverse proxies, which are trusted to tell the "
        "client's address as the last one in X-Forwarded-For",
    )
    add("--timeout", type=positive, default=30, help="seconds that an answer may take")
    add(
        "--grace",
        type=positive,
        default=10,
        help="seconds that running requests may take on after SIGTERM",
    )
    options = parser.parse_args(argv)
    if not options.sentiment and not options.generator:
        raise Mistake("--sentiment, --generator: at least one of them is needed")
    return options


def main(argv=None):
    try:
        options = read_options(argv)
        sentiment = options.sentiment and Sentiment(options.sentiment)
        generator = options.generator and Generator(options.generator)
    except Mistake as mistake:
        print("error:", " ".join(str(mistake).split()), file=sys.stderr)
        return 2
    uvicorn.run(
        Guard(
            make_app(sentiment, generator),
            options.most,
            options.each,
            options.timeout,
            options.proxy,
        ),
        host=options.host,
        port=options.port,
        timeout_graceful_shutdown=options.grace,
        **settings(options.proxy),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
