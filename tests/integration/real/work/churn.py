# SPDX-License-Identifier: MIT
"""Trees of objects, JSON, hashing, compression, threads and a fork."""
import gc
import hashlib
import json
import os
import random
import re
import sys
import threading
import zlib

rng = random.Random(7)


def leaf():
    return rng.choice([rng.random(), rng.randrange(10**9), "text %d" % rng.randrange(1000), None])


def tree(depth):
    if depth == 0:
        return leaf()
    if depth % 2:
        return {"key%d" % i: tree(depth - 1) for i in range(6)}
    return [tree(depth - 1) for _ in range(6)]


def work(n):
    s = ""
    for i in range(20000):
        s += chr(97 + i % 26)
        if i % 1000 == 0:
            s = re.sub("[aeiou]", "", s)
    result[n] = len(s)


h = hashlib.sha256()
for _ in range(4):
    text = json.dumps(tree(6), sort_keys=True)
    h.update(text.encode())
    h.update(zlib.compress(json.dumps(json.loads(text)).encode()))
objects = [[j, str(j), {j: j}] for j in range(200000)]
del objects[::2]
gc.collect()
result = [0] * 4
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    del objects
    gc.collect()
    os._exit(len(bytearray(10**7)) % 7)
h.update(str(result).encode())
print(h.hexdigest(), result, os.waitpid(pid, 0)[1], len(objects))
