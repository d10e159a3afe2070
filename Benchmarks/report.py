"""Tables of results: for the terminal, and docs/benchmarks.md."""

import pathlib

NOTES = pathlib.Path(__file__).resolve().parent / "notes.md"
# Cases of which only the difference to another is told, in one table at the end.
ADDED = ("bare", "no-log")


def add_ratios(figures: dict) -> dict:
    """Holds each proxy's CPU against the least of any peer: whoever is best is the bar."""
    peers = [v["cpu_us"] for n, v in figures.items() if n not in ("seaway", "without") and "cpu_us" in v]
    for v in figures.values():
        v["ratio"] = v["cpu_us"] / min(peers) if peers and "cpu_us" in v else None
    return figures


def number(value, digits: int = 0) -> str:
    return f"{value:,.{digits}f}" if value else "–"


def idle_rows(figures: dict, unit: str):
    header = ["proxy", f"bytes for each {unit}", "MB before", "MB with them"]
    return header, [[n, f"{v['bytes_each']:,.0f}", f"{v['idle_rss_mb']:.1f}", f"{v['rss_mb']:.1f}"] for n, v in figures.items()]


def slow_rows(figures: dict):
    header = ["proxy", "p50 µs", "with slow", "p99 µs", "with slow", "requests/s", "with slow", "CPU µs/request", "with slow",
              "stuck", "with slow", "KB each slow stream"]
    rows = []
    for name, v in figures.items():
        pairs = [[number(v[label][key], digits) for label in ("without", "with")]
                 for key, digits in (("p50_us", 0), ("p99_us", 0), ("per_second", 0), ("cpu_us", 2))]
        stuck = [f"{v[label]['stuck']:,}" for label in ("without", "with")]
        rows.append([name, *sum(pairs, []), *stuck, f"{v['slow_bytes_each'] / 1000:,.0f}"])
    return header, rows


def round_rows(figures: dict, unit: str, loads: bool):
    # Bulk data has no latency of an exchange; how much one second of CPU moves is what is asked there.
    bulk = unit == "MB"
    times = [f"{unit}/CPU s"] if bulk else ["p50 µs", "p99 µs"]
    header = ["proxy", f"CPU µs/{unit}", "ratio", f"{unit}/s" if bulk else f"{unit}s/s", *times, "MB idle", "MB after"]
    if loads:
        header.append("s to load")
    rows = []
    for name, v in figures.items():
        times = [number(1e6 / v["cpu_us"])] if bulk else [number(v["p50_us"]), number(v["p99_us"])]
        row = [name, f"{v['cpu_us']:.2f}", number(v.get("ratio"), 2), number(v["per_second"]), *times,
               f"{v['idle_rss_mb']:.1f}", f"{v['rss_mb']:.1f}"]
        rows.append(row + ([f"{v['load_seconds']:.2f}"] if loads else []))
    return header, rows


def rows_of(result: dict):
    """(header, rows) of one case."""
    figures, unit = result["proxies"], result.get("unit", "request")
    if any("bytes_each" in v for v in figures.values()):
        return idle_rows(figures, unit if unit != "request" else "connection")
    if result.get("how") == "slow":
        return slow_rows(figures)
    # Where a table of routes takes time to load, how long that is.
    loads = result.get("routes", 1) > 0 and any(v.get("load_seconds", 0) > 0.5 for v in figures.values())
    return round_rows(figures, unit, loads)


def left_out(result: dict) -> str:
    return "; ".join(f"{name} {reason}" for name, reason in result.get("left_out", {}).items())


def table(result: dict) -> str:
    header, rows = rows_of(result)
    widths = [max(len(r[i]) for r in [header] + rows) for i in range(len(header))]
    lines = []
    for row in [header] + rows:
        lines.append("  " + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
    if left_out(result):
        lines.append(f"  not here: {left_out(result)}")
    return "\n".join(lines)


def markdown_table(header: list, rows: list) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("---" if i == 0 else "---:" for i in range(len(header))) + "|"]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


def plugin_rows(cases: dict) -> list:
    rows = []
    for name, result in cases.items():
        v, base = result["proxies"].get("seaway"), result["proxies"].get("without")
        if v and base and name != "routes-growth":
            rows.append([name.removeprefix("plugin-"), f"{base['cpu_us']:.2f}", f"{v['cpu_us']:.2f}",
                         f"{v['cpu_us'] - base['cpu_us']:+.2f}", f"{v['per_second']:,.0f}"])
    return rows


def disturbed(result: dict) -> bool:
    samples = [s for v in result["proxies"].values() for s in (v, v.get("without", {}), v.get("with", {}))]
    return any(s.get("disturbed", 0) > 0.05 for s in samples)


def markdown(stored: dict) -> str:
    m = stored["machine"]
    versions = ", ".join(f"{n} {v}" for n, v in sorted(m["versions"].items()))
    text = [
        "# Benchmarks",
        "",
        "Written by `make bench` from Benchmarks/results.json; do not edit. What it measures, how, and how to repeat it is",
        "below the tables.",
        "",
        f"Measured {stored['date']} on {m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}, Linux {m['kernel']}: {versions}.",
        "*Ratio* is the CPU for each request (connection, message, MB) against the best of the other proxies in the same run:",
        "below 1 is cheaper.",
        "",
    ]
    names = [n for n, r in stored["cases"].items() if disturbed(r)]
    if names:
        text += [f"**Other programs took part of the proxy's core during {', '.join(names)}**: read those as ratios, and",
                 "repeat them on an idle machine.", ""]
    for name, result in stored["cases"].items():
        if name.startswith("plugin-") or name in ADDED:
            continue
        header, rows = rows_of(result)
        text += [f"## {result['title'][0].upper()}{result['title'][1:]}", "", markdown_table(header, rows)]
        if left_out(result):
            text += [f"Not in this table: {left_out(result)}.", ""]
    rows = plugin_rows(stored["cases"])
    if rows:
        text += ["## What each plugin adds", "", "Small responses over 64 connections, access log and metrics on, against "
                 "the same without the plugin in turns. *bare* has neither log nor metrics, *no-log* no log.", "",
                 markdown_table(["plugin", "µs without", "µs with", "added µs", "requests/s"], rows)]
    text += ["", NOTES.read_text().rstrip(), ""]
    return "\n".join(text)
