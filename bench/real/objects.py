# SPDX-License-Identifier: MIT
"""A Python program of dictionaries, lists, strings and JSON: objects that come and go.

Run by the benchmarks as it is (small objects from Python's own pools) and with PYTHONMALLOC=malloc
(every object from the allocator under test). Prints one digest, the same in every run.
"""

import hashlib
import json
import random
import sys


def make_record(draw, number):
    return {
        "id": number,
        "name": "user-%d-%s" % (number, "x" * draw.randrange(40)),
        "tags": ["tag%d" % draw.randrange(1000) for _ in range(draw.randrange(8))],
        "scores": [draw.random() for _ in range(draw.randrange(12))],
        "nested": {"a": draw.randrange(10**12), "b": [None, True, str(number)]},
    }


class Node:
    def __init__(self, key, payload):
        self.key = key
        self.payload = payload
        self.children = []


def churn_json(draw, count, rounds, digest):
    records = [make_record(draw, number) for number in range(count)]
    for _ in range(rounds):
        text = json.dumps(records, sort_keys=True)
        digest.update(text.encode()[:65536])
        records = json.loads(text)
        for at in range(0, count, 3):
            records[at] = make_record(draw, at)


def churn_objects(draw, count, rounds, digest):
    table = {}
    for step in range(count * rounds):
        key = "key-%d" % draw.randrange(count)
        node = table.pop(key, None)
        if node is None:
            node = Node(key, bytes(draw.randrange(16, 600)))
            if table and step % 7 == 0:
                node.children.append((key, step))
            table[key] = node
    digest.update(str(sorted(table)[:100]).encode())
    digest.update(str(sum(len(node.payload) for node in table.values())).encode())


def churn_text(draw, lines, digest):
    text = "\n".join(
        " ".join("w%d" % draw.randrange(5000) for _ in range(12)) for _ in range(lines)
    )
    words = {}
    for line in text.split("\n"):
        for word in line.split():
            words.setdefault(word, []).append(len(line))
    digest.update(str(sorted((word, len(where)) for word, where in words.items())).encode())


def main():
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    draw = random.Random(20)
    digest = hashlib.sha256()
    churn_json(draw, int(4000 * scale), 6, digest)
    churn_objects(draw, int(30000 * scale), 6, digest)
    churn_text(draw, int(10000 * scale), digest)
    print(digest.hexdigest())


main()
