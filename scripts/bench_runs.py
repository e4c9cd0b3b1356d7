"""What scripts/bench runs, and which figures of it are compared."""

import os

import bench_load

LAST_CPU = max(os.sched_getaffinity(0))

# Name, as in bench/results/rate.json, and arguments of bench/rate.
RATE = {
    "ring, one core": [],
    "ring, one core, no timestamps": ["--no-timestamps"],
    "ring, one core, null": ["--null"],
    "ring, one core, plain memory": ["--no-huge"],
    "ring, one core, null, plain memory": ["--null", "--no-huge"],
    "ring, two cores": ["--cores", "2"],
    "ring, two cores, null": ["--cores", "2", "--null"],
    "memif": ["--memif", "--driver"],
    "memif, no options": ["--memif", "--no-timestamps", "--no-sack", "--no-window-scaling",
                          "--driver"],
    "memif, null": ["--memif", "--null", "--driver"],
    "memif, 85 and 99 octets": ["--memif", "--request", "85", "--response", "99"],
    "memif, null, 85 and 99 octets": ["--memif", "--null", "--request", "85", "--response", "99"],
    "transactions, ring, one core": ["--transactions"],
    "transactions, memif": ["--memif", "--transactions"],
    "bulk, ring, one core": ["--bulk"],
    "bulk, ring, one core, jumbo": ["--bulk", "--mtu", "9000"],
    "bulk, memif": ["--memif", "--bulk"],
    "bulk, memif, jumbo": ["--memif", "--bulk", "--mtu", "9000"],
}

# Program and which of its benchmarks; without those that only take long.
MICRO = {
    "flow-table": ".",
    "hand-over": ".",
    "hash": ".",
    "parse": ".",
    "build": ".",
    "protocol": ".",
    "source-port": ".",
    "time-wait": ".",
    "timer-wheel": ".",
}

QUICK = {
    "scale": ["--established", "1k,100k", "--time-wait-entries", "1k,1M"],
    "stages": ["--rounds", "2k"],
}


def small(pattern):
    """Of a filter: without the tables that take a gigabyte."""
    return "-0000000" if pattern == "." else pattern


def pinned(name):
    """A run on one core gets one of its own."""
    return ["taskset", "-c", str(LAST_CPU)] if "one core" in name else []


def headline(result):
    if "gbit_per_s" in result:
        return f"{result['gbit_per_s']:.1f} Gbit/s"
    text = f"{result['per_s']:,.0f} {result['unit']}s/s"
    for end in ("client", "server"):
        text += f", {end} {result[end]['busy_cycles']:.0f} cycles"
    return text


def rate_figures(results):
    figures = {}
    for name, result in results.items():
        if "gbit_per_s" in result:
            figures[f"{name}: Gbit/s"] = result["gbit_per_s"]
            continue
        figures[f"{name}: {result['unit']}s/s"] = result["per_s"]
        for end in ("client", "server"):
            figures[f"{name}: cycles, {end}"] = result[end]["busy_cycles"]
        if "round_trip_p99_ns" in result:
            figures[f"{name}: round trip p50, ns"] = result["round_trip_p50_ns"]
            figures[f"{name}: round trip p99, ns"] = result["round_trip_p99_ns"]
    return figures


def figures(part, result):
    """Name to number, of the figures that are worth comparing."""
    if part == "rate":
        return rate_figures(result)
    if part == "micro":
        return result["figures"]
    if part == "load":
        return bench_load.figures(result)
    if part == "stages":
        return {f"{step['text']}, ns": step["ns"] for step in result["steps"]}
    return {f"{point['size']} {kind}, ns": point["connection_cpu_ns"]
            for kind, points in result["points"].items() for point in points}
