# SPDX-License-Identifier: MIT
"""The benchmarks: name, what is run, how it is timed. Data only; nothing here runs anything.

Kinds:
  micro    a program of bench/micro, timed from its start to its end by `measure`
  startup  a tiny program started many times; the median start-to-end time
  program  a whole real program, timed by hyperfine
  server   a server with a client; the driver in servers.py says what is timed

To add one: a line here, for a real program its input in inputs.py or bench/real.
`quick` marks the selection of --quick. `scored=False` is shown, but left out of the scores.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Benchmark:
    name: str
    kind: str
    command: tuple
    about: str
    quick: bool = False
    scored: bool = True
    busy: bool = False         # time is the program's own busy_ns (it sleeps on purpose)
    idle_gate: bool = False    # counts for "RSS 2 s after a burst"
    starts: int = 0            # kind startup: how often it is started
    variables: dict = field(default_factory=dict)
    over_linked: bool = False  # the program brings an allocator library of its own
    needs: tuple = ()          # programs and the packages they come from
    memory_mib: int = 64       # to begin with; later rounds use what was seen
    seconds: float = 0         # a run takes about so long; 0: as others of its kind


def micro(name, about, *command, **more):
    return Benchmark(name, "micro", command, about, **more)


MICRO = (
    micro("pairs-16", "malloc+free pairs, 16 B", "pairs", "size=16", "ops=40000000"),
    micro("pairs-64", "pairs, 64 B", "pairs", "size=64", "ops=40000000", quick=True),
    micro("pairs-512", "pairs, 512 B", "pairs", "size=512", "ops=40000000"),
    micro("pairs-2k", "pairs, 2 KiB", "pairs", "size=2048", "ops=30000000", quick=True),
    micro("pairs-8k", "pairs, 8 KiB", "pairs", "size=8192", "ops=25000000"),
    micro("pairs-64k", "pairs, 64 KiB", "pairs", "size=65536", "ops=5000000"),
    micro("pairs-64-t2", "pairs, 64 B, 2 threads", "pairs", "size=64", "threads=2",
          "ops=40000000"),
    micro("pairs-4k-t2", "pairs, 4 KiB, 2 threads", "pairs", "size=4096", "threads=2",
          "ops=20000000"),

    micro("batch-lifo-32", "10,000 blocks of 32 B, freed last-in first-out", "batch", "size=32",
          "order=lifo", "rounds=4000"),
    micro("batch-fifo-32", "the same, freed first-in first-out", "batch", "size=32",
          "order=fifo", "rounds=4000", quick=True),
    micro("batch-random-256", "256 B, freed in random order", "batch", "size=256",
          "order=random", "rounds=1200"),
    micro("batch-lifo-1k", "1 KiB, last-in first-out", "batch", "size=1024", "order=lifo",
          "rounds=800"),
    micro("batch-fifo-1k", "1 KiB, first-in first-out", "batch", "size=1024", "order=fifo",
          "rounds=600"),
    micro("batch-fifo-64-t2", "64 B, first-in first-out, 2 threads", "batch", "size=64",
          "order=fifo", "threads=2", "rounds=3000"),

    micro("live-small", "100,000 live blocks of 16–1,024 B, replaced at random", "liveset",
          "ops=8000000", quick=True),
    micro("live-wide", "20,000 live blocks of 16 B–32 KiB", "liveset", "slots=20000",
          "max=32768", "ops=5000000", quick=True, memory_mib=128),
    micro("live-small-t2", "50,000 small live blocks in each of 2 threads", "liveset",
          "threads=2", "slots=50000", "ops=8000000"),
    micro("live-wide-t2", "10,000 blocks up to 32 KiB in each of 2 threads", "liveset",
          "threads=2", "slots=10000", "max=32768", "ops=5000000", memory_mib=128),

    micro("handover-t2", "larson: threads hand their blocks to successors, 2 lanes", "handover",
          "threads=2", "gens=400", quick=True),
    micro("handover-t4", "larson, 4 lanes", "handover", "threads=4", "gens=150"),

    micro("messages-1to1", "1 producer to 1 consumer", "messages", "messages=8000000"),
    micro("messages-1to1-both", "1 producer, 1 consumer that answers", "messages", "way=both",
          "messages=6000000"),
    micro("messages-2to2", "2 producers to 2 consumers", "messages", "producers=2",
          "consumers=2", "messages=4000000", quick=True),
    micro("messages-2to2-both", "2 producers, 2 consumers that answer", "messages",
          "producers=2", "consumers=2", "way=both", "messages=3000000"),

    micro("exchange-t2", "xmalloc: batches freed by another thread, 2 threads", "exchange",
          "threads=2", "rounds=24000", quick=True),
    micro("exchange-t4", "xmalloc, 4 threads", "exchange", "threads=4", "rounds=12000"),

    micro("mixed-t2", "mstress: mixed sizes with transfers, 2 threads at a time", "mixed",
          "threads=2", "iters=30", quick=True),
    micro("mixed-t4", "mstress, 4 threads at a time", "mixed", "threads=4", "iters=15",
          memory_mib=128),

    micro("burst-idle", "256 MB of 512–2,048 B, 1 in 20 survives, then 2 s idle", "burst",
          busy=True, idle_gate=True, quick=True, memory_mib=280),
    micro("burst-idle-t2", "the same from 2 threads that stay alive", "burst", "threads=2",
          busy=True, idle_gate=True, memory_mib=280),
    micro("burst-idle-wide", "the same with 256 B–16 KiB", "burst", "min=256", "max=16384",
          "blocks=60000", busy=True, idle_gate=True, memory_mib=280),
    micro("burst-again", "burst, idle, and the burst again: what giving back costs", "burst",
          "again=1", busy=True, scored=False, memory_mib=280),

    micro("lifetimes", "sessions, cache and requests mixed; then 1 session in 10 is left, 2 s idle",
          "lifetimes", busy=True, scored=False, memory_mib=160),
    micro("lifetimes-t2", "the same from 2 threads", "lifetimes", "threads=2", busy=True,
          scored=False, memory_mib=160),

    micro("realloc-strings", "1,000 strings appended to by turns, exact realloc", "regrow",
          "ops=6000000", quick=True),
    micro("realloc-strings-t2", "the same in 2 threads", "regrow", "threads=2", "ops=6000000"),
    micro("realloc-vectors", "200 vectors that double up to 1 MiB", "regrow", "mode=vectors",
          "max=1048576", "items=200", "ops=60000000", memory_mib=140),
    micro("realloc-buffers", "4 buffers that grow by a quarter up to 64 MiB", "regrow",
          "mode=buffers", "max=67108864", "items=4", "ops=150", memory_mib=400),

    micro("large-churn", "64 live blocks of 64 KiB–1 MiB", "liveset", "slots=64", "min=65536",
          "max=1048576", "ops=120000", quick=True),
    micro("large-churn-t2", "32 such blocks in each of 2 threads", "liveset", "threads=2",
          "slots=32", "min=65536", "max=1048576", "ops=60000"),
    micro("huge-churn", "6 live blocks of 1–64 MiB", "liveset", "slots=6", "min=1048576",
          "max=67108864", "ops=100", memory_mib=300),

    micro("calloc-small", "10,000 live zeroed blocks of 16–1,024 B", "zeroed", "ops=8000000",
          quick=True),
    micro("calloc-large", "32 live zeroed blocks of 16 KiB–4 MiB", "zeroed", "min=16384",
          "max=4194304", "slots=32", "ops=5000"),

    micro("aligned", "aligned blocks, alignment 16–4,096", "aligned", "ops=3000000"),
    micro("aligned-t2", "the same in 2 threads", "aligned", "threads=2", "ops=2000000"),

    micro("thread-churn", "4,000 short-lived threads, 2 at a time", "churn", "waves=2000"),

    micro("scratch-t2", "cache-scratch: passive false sharing, 2 threads", "sharing",
          "style=scratch", "rounds=300000"),
    micro("thrash-t2", "cache-thrash: active false sharing, 2 threads", "sharing",
          "style=thrash", "rounds=300000"),

    micro("window", "sh6bench: a window of sizes 1–1,000 thinned at both ends", "window",
          "passes=1500"),
    micro("window-trade-t2", "sh8bench: 2 threads that swap blocks", "window", "trade=1",
          "threads=2", "passes=700"),
    micro("simple", "glibc-simple: 25–1,600 live blocks, 8 B–8 KiB", "simple", "ops=8000000"),
    micro("simple-t2", "glibc-thread: the same in 2 threads", "simple", "threads=2",
          "ops=6000000"),
    micro("crossfree", "rptest: loops of 5,000 blocks, 1 thread", "crossfree", "threads=1",
          "loops=1200"),
    micro("crossfree-t2", "rptest: 2 threads free each other's blocks", "crossfree",
          "threads=2", "loops=700", quick=True, memory_mib=128),
)

STARTUP = (
    Benchmark("startup-true", "startup", ("true",), "start and end of `true`", starts=300,
              quick=True, memory_mib=16),
    Benchmark("startup-ls", "startup", ("ls", "-l", "{inputs}/directory"),
              "`ls -l` of 200 files", starts=150, memory_mib=16),
)

REAL = (
    Benchmark("python", "program", ("/usr/bin/python3", "{real}/objects.py"),
              "JSON and object churn, Python's own pools",
              needs=(("/usr/bin/python3", "python3"),)),
    Benchmark("python-malloc", "program", ("/usr/bin/python3", "{real}/objects.py"),
              "the same with PYTHONMALLOC=malloc", quick=True,
              variables={"PYTHONMALLOC": "malloc"}, needs=(("/usr/bin/python3", "python3"),)),
    Benchmark("gcc", "program", ("gcc", "-O2", "-S", "-o", "{scratch}/large.s",
                                 "{inputs}/large.c"),
              "gcc -O2 on a generated file (peak is cc1's)", needs=(("gcc", "gcc"),),
              memory_mib=220),
    Benchmark("lua", "program", ("lua5.4", "{real}/objects.lua"), "trees, strings, closures",
              quick=True, needs=(("lua5.4", "lua5.4"),)),
    Benchmark("ruby", "program", ("ruby", "{real}/objects.rb"), "strings, hashes, objects",
              needs=(("ruby", "ruby"),), memory_mib=110),
    Benchmark("sqlite", "program", ("sqlite3", "-bail", "-init", "/dev/null", ":memory:",
                                    ".read {real}/tables.sql"),
              "in-memory inserts, sorts, joins", quick=True, needs=(("sqlite3", "sqlite3"),),
              memory_mib=100),
    Benchmark("z3", "program", ("z3", "{inputs}/jobshop.smt2"), "a scheduling problem",
              needs=(("z3", "z3"),)),
    Benchmark("ghostscript", "program",
              ("gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=bitrgb", "-r150",
               "-sOutputFile=/dev/null", "{real}/pages.ps"),
              "20 generated pages rendered to nowhere", needs=(("gs", "ghostscript"),)),
    Benchmark("rocksdb", "program",
              ("db_bench", "--db={scratch}/rocksdb", "--benchmarks=fillrandom,readrandom,overwrite",
               "--num=120000", "--value_size=400", "--threads=1", "--seed=1",
               "--compression_type=none", "--disable_wal=1", "--write_buffer_size=16777216"),
              "db_bench fillrandom, readrandom, overwrite",
              needs=(("db_bench", "rocksdb-tools"),), memory_mib=128),
    Benchmark("redis", "server", ("redis",),
              "SET, GET, LPUSH, LRANGE; then 9 of 10 keys deleted and 2 s idle", quick=False,
              over_linked=True, memory_mib=400,
              needs=(("redis-server", "redis-server"), ("redis-benchmark", "redis-tools"))),
    Benchmark("memcached", "server", ("memcached",), "pipelined sets, gets, deletes",
              needs=(("memcached", "memcached"),), memory_mib=128),
)

ALL = MICRO + STARTUP + REAL
