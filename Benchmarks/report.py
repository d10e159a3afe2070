"""Tables of results: for the terminal, and docs/benchmarks.md."""

import pathlib

NOTES = pathlib.Path(__file__).resolve().parent / "notes.md"


def best_peer(figures: dict):
    """The least CPU per request of nginx and HAProxy: whoever is better is the bar."""
    found = [v["cpu_us"] for n, v in figures.items() if n in ("nginx", "haproxy") and "cpu_us" in v]
    return min(found) if found else None


def ratio(value) -> str:
    return f"{value:.2f}" if value else "–"


def rows_of(result: dict):
    """(header, rows) of one case."""
    figures = result["proxies"]
    best = best_peer(figures)
    if any("bytes_each" in v for v in figures.values()):
        header = ["proxy", "bytes each", "MB before", "MB with them"]
        return header, [[n, f"{v['bytes_each']:,.0f}", f"{v['idle_rss_mb']:.1f}", f"{v['rss_mb']:.1f}"] for n, v in figures.items()]
    header = ["proxy", "CPU µs/request", "ratio", "requests/s", "p50 µs", "p99 µs", "MB idle", "MB after"]
    loads = any(v.get("load_seconds", 0) > 0.5 for v in figures.values())
    if loads:
        header.append("s to load")
    rows = []
    for name, v in figures.items():
        row = [name, f"{v['cpu_us']:.2f}", ratio(v["cpu_us"] / best if best else None), f"{v['per_second']:,.0f}",
               f"{v['p50_us']:,.0f}", f"{v['p99_us']:,.0f}", f"{v['idle_rss_mb']:.1f}", f"{v['rss_mb']:.1f}"]
        rows.append(row + ([f"{v['load_seconds']:.2f}"] if loads else []))
    return header, rows


def table(result: dict) -> str:
    header, rows = rows_of(result)
    widths = [max(len(r[i]) for r in [header] + rows) for i in range(len(header))]
    lines = []
    for row in [header] + rows:
        lines.append("  " + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
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
        "*Ratio* is the CPU per request against the better of nginx and HAProxy in the same run: below 1 is cheaper.",
        "",
    ]
    disturbed = [n for n, r in stored["cases"].items() if any(v.get("disturbed", 0) > 0.05 for v in r["proxies"].values())]
    if disturbed:
        text += [f"**Other programs took part of the proxy's core during {', '.join(disturbed)}**: read those as ratios, and",
                 "repeat them on an idle machine.", ""]
    for name, result in stored["cases"].items():
        if name.startswith("plugin-") or name in ("bare", "no-log"):
            continue
        header, rows = rows_of(result)
        text += [f"## {result['title'][0].upper()}{result['title'][1:]}", "", markdown_table(header, rows)]
    rows = plugin_rows(stored["cases"])
    if rows:
        text += ["## What each plugin adds", "", "Small responses over 64 connections, access log and metrics on, against "
                 "the same without the plugin in turns. *bare* has neither log nor metrics, *no-log* no log.", "",
                 markdown_table(["plugin", "µs without", "µs with", "added µs", "requests/s"], rows)]
    text += ["", NOTES.read_text().rstrip(), ""]
    return "\n".join(text)
