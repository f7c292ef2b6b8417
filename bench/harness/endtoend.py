# SPDX-License-Identifier: MIT
"""Row of --predict: whole programs with everything on. Throughput, and the time of the slowest
hundredth of requests, of redis, postgres, rocksdb and python3; over unix sockets, with clients on
the system's allocator.

Figures are <load>_per_s and <load>_p99_ns of a sample. A ratio is above 1 where forecasts are
worse, of throughput as of p99.
"""

import csv
import os
import re
import shutil

import postgres
import report
import servers
from catalog import Benchmark
from rows import OFF, ON, TWIN, Row
from runner import parse_values
from scores import entry_of, mean_within_noise, median, number, worst_within_noise
from servers import ServerError

# size of the values, keys (80 MB of values at most), requests
REDIS_VALUES = ((64, 100000, 120000), (1024, 50000, 120000), (16384, 5000, 60000))
REPORT_QUERY = ("select count(*) from (select aid % 1000 as part, string_agg(filler, ',') from "
                "pgbench_accounts where aid <= 100000 group by part order by part) as sums;\n")
# name, options of pgbench
POSTGRES_LOADS = (
    ("select", ("-S", "-M", "prepared", "-c", "4", "-t", "8000")),
    ("update", ("-c", "4", "-t", "1500")),
    ("report", ("-f", "{script}", "-c", "2", "-t", "50")),
)
THROUGHPUT, P99 = "_per_s", "_p99_ns"

SERVE = ("/usr/bin/python3", "{real}/serve.py")
PYTHON = (("/usr/bin/python3", "python3"),)
PROGRAMS = (
    Benchmark("whole-redis", "server", ("redis-values",), "SET and GET of 64 B, 1 KiB and 16 KiB",
              over_linked=True, memory_mib=200, seconds=9,
              needs=(("redis-server", "redis-server"), ("redis-benchmark", "redis-tools"))),
    Benchmark("whole-postgres", "server", ("postgres-loads",), "pgbench, and a query that sorts",
              memory_mib=400, seconds=9, needs=(("pgbench", "postgresql"),)),
    Benchmark("whole-rocksdb", "program",
              ("db_bench", "--db={scratch}/rocksdb", "--benchmarks=fillrandom,readrandom,overwrite",
               "--num=150000", "--value_size=400", "--threads=1", "--seed=1", "--histogram=1",
               "--compression_type=none", "--disable_wal=1", "--write_buffer_size=16777216"),
              "db_bench fillrandom, readrandom, overwrite",
              needs=(("db_bench", "rocksdb-tools"),), memory_mib=150, seconds=3),
    Benchmark("whole-python", "program", SERVE, "requests of JSON, Python's own pools",
              needs=PYTHON, memory_mib=80, seconds=3),
    Benchmark("whole-python-malloc", "program", SERVE, "the same with PYTHONMALLOC=malloc",
              variables={"PYTHONMALLOC": "malloc"}, needs=PYTHON, memory_mib=80, seconds=3),
)


def figures(load, per_second, p99_ns):
    return {load + THROUGHPUT: round(per_second), load + P99: round(p99_ns)}


def redis_figures(text):
    """Of redis-benchmark's CSV; its times are milliseconds."""
    *_, header, line = csv.reader(text.strip().splitlines())
    found = dict(zip(header, line))
    try:
        return float(found["rps"]), float(found["p99_latency_ms"]) * 1e6
    except (KeyError, ValueError) as error:
        raise ServerError(f"redis-benchmark printed {text.strip()[-200:]!r}") from error


def run_redis(environment, runner):
    sample = {}
    with servers.redis_server(environment, runner.scratch) as server:
        for size, keys, requests in REDIS_VALUES:
            for test in ("set", "get"):
                text = servers.run_client(
                    ["redis-benchmark", "-s", server.socket, "-c", "10", "-n", str(requests), "-r",
                     str(keys), "-d", str(size), "--csv", "-t", test])
                sample.update(figures(f"{test}_{size}", *redis_figures(text)))
        return {**sample, "cpu_us": server.cpu_us(), "hwm_kib": server.kib("VmHWM")}


def p99_of_logs(prefix):
    """Of pgbench's log of each transaction; the third word of a line is its microseconds."""
    times = []
    for name in os.listdir(os.path.dirname(prefix)):
        if name.startswith(os.path.basename(prefix) + "."):
            with open(os.path.join(os.path.dirname(prefix), name), encoding="utf-8") as log:
                times += [int(line.split()[2]) for line in log]
    if not times:
        raise ServerError("pgbench logged no transaction")
    times.sort()
    return times[len(times) * 99 // 100] * 1000


def pgbench(directory, load, options, script):
    prefix = os.path.join(directory, "log-" + load)
    words = [word.replace("{script}", script) for word in options]
    text = servers.run_client(postgres.client(
        directory, "pgbench", "-n", "-j", "1", "-l", "--log-prefix=" + prefix, *words, "postgres"))
    rate = re.search(r"^tps = ([0-9.]+)", text, re.MULTILINE)
    if rate is None:
        raise ServerError(f"pgbench printed no rate but {text.strip()[-200:]!r}")
    return figures(load, float(rate.group(1)), p99_of_logs(prefix))


def readable_library(environment, directory):
    """The library where the server's user may read it."""
    library = environment.get("LD_PRELOAD")
    if not library:
        return environment
    copy = shutil.copy(library, directory)
    os.chmod(copy, 0o755)
    return dict(environment, LD_PRELOAD=copy)


def run_postgres(environment, runner):
    directory = runner.scratch
    data, who = postgres.filled_data(runner.inputs, directory, runner.base)
    environment = readable_library(environment, directory)
    script = os.path.join(directory, "report.sql")
    with open(script, "w", encoding="utf-8") as file:
        file.write(REPORT_QUERY)
    sample = {}
    with postgres.server(environment, directory, data, who) as server:
        for load, options in POSTGRES_LOADS:
            sample.update(pgbench(directory, load, options, script))
        return {**sample, "hwm_kib": server.kib("VmHWM")}


def read_rocksdb(text):
    """Of db_bench: a line with the rate for each load, and some below it one with percentiles."""
    sample, load, rate = {}, None, 0.0
    for line in text.splitlines():
        begins = re.match(r"(\w+)\s*: .*?([0-9.]+) ops/sec", line)
        percentiles = re.match(r"Percentiles: .*\bP99: ([0-9.]+)", line)
        if begins:
            load, rate = begins.group(1), float(begins.group(2))
        elif percentiles and load:
            sample.update(figures(load, rate, float(percentiles.group(1)) * 1000))
    return sample


def checked(reader):
    """A reader of output that has to find something."""

    def read(text):
        sample = reader(text)
        if not any(key.endswith(THROUGHPUT) for key in sample):
            raise ServerError(f"no throughput in what it printed: {text.strip()[-200:]!r}")
        return sample

    return read


READERS = {"whole-rocksdb": checked(read_rocksdb), "whole-python": checked(parse_values),
           "whole-python-malloc": checked(parse_values)}
DRIVERS = {"redis-values": run_redis, "postgres-loads": run_postgres}


def install(runner):
    """Tells a runner of the programs here."""
    runner.drivers.update(DRIVERS)
    runner.readers.update(READERS)


def keys_of(document, benchmark):
    """The keys of its figures, as they were reported."""
    entry = entry_of(document, benchmark)
    results = entry["results"].values() if entry else ()
    samples = [sample for result in results for sample in result["samples"]]
    return list(dict.fromkeys(key for sample in samples for key in sample
                              if key.endswith((THROUGHPUT, P99))))


def worse_by(document, benchmark, key, peer):
    """How much worse than without forecasts: above 1 is worse."""
    value, off = (median(document, benchmark, name, key) for name in (peer, OFF))
    if not value or not off:
        return None
    return off / value if key.endswith(THROUGHPUT) else value / off


def ratios(document, ending, peer):
    return {f"{program.name} {key.removesuffix(ending)}": value for program in PROGRAMS
            for key in keys_of(document, program.name) if key.endswith(ending)
            if (value := worse_by(document, program.name, key, peer)) is not None}


def scores(document):
    found = []
    for ending, what in ((THROUGHPUT, "throughput without forecasts over with them"),
                         (P99, "p99 with forecasts over without")):
        on, twin = (ratios(document, ending, peer) for peer in (ON, TWIN))
        found += [mean_within_noise(f"whole programs: {what}, mean", on, twin),
                  worst_within_noise(f"whole programs: {what}, worst", on, twin)]
    return found


def table_of(document, ending, scale, digits):
    rows = []
    for program in PROGRAMS:
        for key in keys_of(document, program.name):
            if key.endswith(ending):
                cells = [median(document, program.name, peer, key) for peer in (OFF, TWIN, ON)]
                rows.append([f"{program.name} {key.removesuffix(ending)}",
                             *(number(value / scale, digits) if value is not None else "–"
                               for value in cells),
                             *(number(worse_by(document, program.name, key, peer))
                               for peer in (TWIN, ON))])
    return report.table(["load", OFF, TWIN, ON, "twin's ratio", "ratio"], rows) if rows else ""


def tables(document):
    return [f"### {title}\n\n{table}" for title, ending, scale, digits in
            (("Throughput, a second", THROUGHPUT, 1, 0), ("p99, us", P99, 1000, 1))
            if (table := table_of(document, ending, scale, digits))]


ROW = Row("Whole programs", PROGRAMS, (OFF, TWIN, ON), (OFF, ON), scores, tables)
