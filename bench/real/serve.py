# SPDX-License-Identifier: MIT
"""A Python server without its network: requests of JSON are read, answered from a cache or anew,
and rendered. Each is timed. Prints how many it did in a second, and the time of the slowest
hundredth.
"""

import json
import random
import time

REQUESTS = 30000
KEYS = 6000
CACHED = 1500


def make_request(draw, number):
    return json.dumps({
        "id": number, "key": draw.randrange(KEYS), "user": "user-%d" % draw.randrange(500),
        "items": [{"n": draw.randrange(1000), "text": "x" * draw.randrange(200)}
                  for _ in range(draw.randrange(1, 20))]})


def answer(request, cache):
    key = request["key"]
    page = cache.pop(key, None)
    if page is None:
        rows = ["<tr><td>%d</td><td>%s</td></tr>" % (item["n"], item["text"])
                for item in request["items"] for _ in range(6)]
        page = "<h1>%s</h1><table>%s</table>" % (request["user"], "".join(rows))
    cache[key] = page
    if len(cache) > CACHED:
        del cache[next(iter(cache))]
    return json.dumps({"id": request["id"], "page": page, "bytes": len(page)})


def main():
    draw = random.Random(3)
    waiting = [make_request(draw, number) for number in range(KEYS)]
    cache, times, checksum = {}, [], 0
    for number in range(REQUESTS):
        text = waiting[number % KEYS]
        started = time.perf_counter_ns()
        checksum += len(answer(json.loads(text), cache))
        times.append(time.perf_counter_ns() - started)
    times.sort()
    print("checksum=%d" % checksum)
    print("requests_per_s=%d" % (REQUESTS * 10**9 // sum(times)))
    print("requests_p99_ns=%d" % times[REQUESTS * 99 // 100])


main()
