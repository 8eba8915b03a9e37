"""Many at once: how fast the service answers, and whether its memory grows.

    python examples/serve/load.py --sentiment DIR --generator DIR

It starts the service with the options given (those of serve.py), and then `CLIENTS`
clients ask it, each the next question as soon as the last one is answered, in some rounds
of 30 seconds: three in four have a review judged, the others have a text written. They
all have one address, so `--each` is as many, unless it is given.
"""

import argparse
import asyncio
import collections
import json
import random
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

CLIENTS = 200
LENGTH = 100  # characters of a text

SENTENCES = [
    "I thought it would be boring, but it was great fun from the first scene on.",
    "The story is thin and the jokes are old.",
    "Not bad at all!",
    "A waste of two hours, of good actors, and of my patience.",
    "She plays the part as if she had never played another one.",
    "The music was lovely, although the end came much too late.",
    "Awful.",
    "My children watched it twice, and I did not mind.",
]


async def ask(port, path, question):
    """One request on a connection of its own: seconds to its first byte, and in all."""
    body = json.dumps(question).encode()
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise OSError(head.splitlines()[0].decode())
        chunked = b"transfer-encoding: chunked" in head.lower()
        rest = await reader.read(1)
        first = time.perf_counter() - began
        rest += await reader.read()
        if chunked and not rest.endswith(b"0\r\n\r\n"):
            raise OSError("the answer is cut off")
        return first, time.perf_counter() - began
    finally:
        writer.close()


async def round_of(seconds, port, conditions, kinds):
    """The times of each kind of request, and the errors, of one round."""
    ends = time.perf_counter() + seconds
    times, errors = collections.defaultdict(list), collections.Counter()

    async def client(number):
        dice = random.Random(number)
        path = kinds[number % len(kinds)]
        while time.perf_counter() < ends:
            if path == "/sentiment":
                sentences = dice.choices(SENTENCES, k=dice.randint(1, 6))
                question = {"text": " ".join(sentences)}
            else:
                condition = dice.choice(conditions) if conditions else None
                question = {
                    "prompt": "The ",
                    "length": LENGTH,
                    "condition": condition,
                    "seed": dice.getrandbits(32),
                }
            try:
                times[path].append(await ask(port, path, question))
            except (OSError, asyncio.IncompleteReadError) as error:
                errors[f"{path}: {error!r}"] += 1

    await asyncio.gather(*map(client, range(CLIENTS)))
    return times, errors


def wait_for(port, process):
    """Waits until the service listens."""
    while process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("error: the service has ended")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=30, help="of a round")
    parser.add_argument("--port", type=int, default=8000)
    options, serving = parser.parse_known_args()
    script = Path(__file__).with_name("serve.py")
    process = subprocess.Popen(
        [sys.executable, script, "--each", str(CLIENTS), *serving]
        + ["--port", str(options.port)]
    )
    try:
        wait_for(options.port, process)
        measure(options, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def measure(options, service):
    health = urllib.request.urlopen(f"http://127.0.0.1:{options.port}/health")
    offered = json.load(health)
    kinds = ["/sentiment"] * 3 if offered["sentiment"] else []
    kinds += ["/generate"] if offered["generate"] else []
    conditions = (offered["generate"] or {}).get("conditions")

    def tell_memory(when):
        print(f"{when}: {service.memory_info().rss / 2**20:.0f} MiB", flush=True)

    tell_memory("memory at the start")
    for n in range(options.rounds + 1):
        seconds = options.seconds if n else 10
        began = time.perf_counter()
        times, errors = asyncio.run(round_of(seconds, options.port, conditions, kinds))
        took = time.perf_counter() - began
        if n:
            print(f"round {n}, {took:.1f} s, {sum(errors.values())} errors")
            for path, found in times.items():
                first, whole = (sorted(column) for column in zip(*found))
                at = [whole[int(q * (len(whole) - 1))] for q in (0.5, 0.95, 0.99)]
                p50, p95, p99 = (f"{1000 * s:.0f}" for s in at)
                print(
                    f"  {path:10} {len(found) / took:7.1f} a second; ms in all: p50 {p50}, "
                    f"p95 {p95}, p99 {p99}; to the first byte: p50 "
                    f"{1000 * first[len(first) // 2]:.0f}"
                )
        for error, count in errors.items():
            print(f"  {count} times {error}")
        tell_memory(f"memory after round {n}" if n else "memory after the warm-up")


if __name__ == "__main__":
    main()
