"""The measured numbers as tables and as one picture: ratio first, then medians, with the lowest and highest run in brackets."""
import os
import platform

import torch

STAGES = ("text", "vae", "inversion", "capture", "refinement", "labels", "total")


def machine(device) -> str:
    """What the figures hold for."""
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    else:
        try:
            lines = open("/proc/cpuinfo").read().splitlines()
            name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        except (OSError, StopIteration):
            name = platform.processor() or platform.machine()
        best = torch.backends.cpu.get_cpu_capability()
        name = f"{name}, {os.cpu_count()} cores ({best}), {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    return f"{name}; torch {torch.__version__}, Python {platform.python_version()}"


def spread(m, digits=2, unit=""):
    if m is None:
        return ""
    ends = "" if m["low"] == m["high"] else f" ({m['low']:.{digits}f} to {m['high']:.{digits}f})"
    return f"{m['median']:.{digits}f}{unit}{ends}"


def table(head, rows):
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def beside(found, first, second):
    """Two sides of `found`, stage by stage."""
    a, b = found[first], found[second]
    if "failed" in a or "failed" in b:
        return [f"{name}: {side['failed']}" for name, side in ((first, a), (second, b)) if "failed" in side] + [""]
    rows = [(stage, f"{b['seconds'][stage]['median'] / a['seconds'][stage]['median']:.2f}", spread(a["seconds"][stage]), spread(b["seconds"][stage]))
            for stage in STAGES if stage in a["seconds"] and stage in b["seconds"] and a["seconds"][stage]["median"]]
    rows.append(("peak memory, GiB", f"{b['peak_gib']['median'] / a['peak_gib']['median']:.2f}", spread(a["peak_gib"]), spread(b["peak_gib"])))
    return table(("seconds", "ratio", first, second), rows)


def over_first(found, what):
    """A row for every side or value: its total over that of the first."""
    total = lambda m: m["seconds"]["total"] if "seconds" in m else m
    items = [(name, m) for name, m in found.items() if isinstance(m, dict)]
    if "failed" in found or not items:
        return [found.get("failed", "nothing measured"), ""]
    one = total(items[0][1])["median"]
    rows = []
    for name, m in items:
        if "failed" in m:
            rows.append((name, "", m["failed"], "", ""))
        else:
            peak, weights = (m.get(k, {}).get("median") for k in ("peak_gib", "weights_gib"))
            rows.append((name, f"{total(m)['median'] / one:.2f}", spread(total(m)), f"{peak:.2f} ({peak - weights:.2f} over the weights)" if peak else "",
                         f"{m['equal_pixels']:.2%}" if "equal_pixels" in m else ""))
    head = (what, "ratio", "seconds", "peak memory, GiB", "equal pixels")
    keep = [i for i in range(5) if i < 3 or any(row[i] for row in rows)]
    return table([head[i] for i in keep], [[row[i] for i in keep] for row in rows])


def floor(r):
    rows = [(name, f"{m['seconds']['total']['median'] / m['floor']:.2f}", spread(m["seconds"]["total"]), f"{m['floor']:.2f}", f"{m['rate'] / 1e9:.0f}",
             f"{m['seconds']['refinement']['median'] / m['seconds']['total']['median']:.1%}", f"{m['peak_gib']['median'] - m['weights_gib']['median']:.2f}")
            if "failed" not in m else (name, m["failed"], *[""] * 5) for name, m in r.items() if name != "operations"]
    return [f"{r['operations']['total'] / 1e12:.2f} TFLOP a picture (UNet {r['operations']['unet'] / 1e12:.2f} a call, VAE {r['operations']['vae'] / 1e12:.2f}).", "",
            *table(("", "ratio to the floor", "seconds", "floor, seconds", "matrix products, GFLOP/s", "refinement's share", "memory over the weights, GiB"), rows)]


def naive(r):
    return [f"{r['side']} pixels; {r['equal_pixels']:.3%} of the pixels have the same label." if "equal_pixels" in r else f"{r['side']} pixels.", "",
            *beside(r, "faseg", "naive")]


def batch(r):
    if "failed" in r:
        return [r["failed"], ""]
    rates = {name: {k: int(name) / m[k] for k in m} for name, m in r.items() if name != "side"}       # the slowest run has the lowest rate
    rates = {name: {"median": m["median"], "low": m["high"], "high": m["low"]} for name, m in rates.items()}
    one = next(iter(rates.values()))["median"]
    return [f"{r['side']} pixels.", "", *table(("pictures together", "ratio", "pictures per second"),
                                               [(name, f"{m['median'] / one:.2f}", spread(m, 3)) for name, m in rates.items()])]


def load(r):
    ratio = lambda k: f"{r[k]['median'] / r['read']['median']:.2f}"
    return table((f"{r['bytes'] / 1e9:.2f} GB", "ratio", "seconds"), [("reading the bytes", "1.00", spread(r["read"])), ("loading", ratio("load"), spread(r["load"])),
                 ("loading, and touching every page", ratio("load and touch"), spread(r["load and touch"]))])


def folder(r):
    return table(("a folder", "ratio", "pictures per second"), [("one by one", "1.00", spread(r["one by one"])), (f"opened ahead, {r['batch']} together",
                 f"{r['ahead']['median'] / r['one by one']['median']:.2f}", spread(r["ahead"]))])


def processes(r):
    one, two = r["seconds"]["1"], r["seconds"]["2"]
    return table(("processes", "ratio", "seconds"), [(1, "1.00", f"{one:.1f}"), (2, f"{one / two:.2f}", f"{two:.1f}")])


SECTIONS = {
    "cold": ("From a cold process", lambda r: table(("", "seconds"), [(name, spread(m)) for name, m in r.items()])),
    "masks": ("The same masks", lambda r: table((f"{r['scenes']} held-out cartoon scenes", "equal pixels"),
                                                [(name, f"{v:.4%}") for name, v in r.items() if name != "scenes"])),
    "load": ("Loading", load),
    "floor": ("Against the floor", floor),
    "naive-half": ("Against the plain formulation, half size", naive),
    "naive": ("Against the plain formulation", naive),
    "classes": ("Number of classes", lambda r: over_first(r, "classes")),
    "variants": ("Variants", lambda r: [f"{r['side']} pixels.", "", *over_first(r, "")]),
    "methods": ("Methods", lambda r: [f"{r['side']} pixels, three classes.", "", *over_first(r, "method")]),
    "batch": ("Pictures together", batch),
    "sides": ("Resolution", lambda r: over_first(r, "pixels a side")),
    "folder": ("A folder of 12-megapixel JPEGs", folder),
    "processes": ("One evaluation on several processes, one core each", processes),
    "profile": ("Largest costs", lambda r: table(("operation", "share"), [(f"`{name}`", f"{v:.1%}") for name, v in r.items()]) if r else ["nothing measured", ""]),
}


def markdown(found) -> str:
    lines = []
    for machine in dict.fromkeys(e["machine"] for e in found.values()):
        lines += [f"*{machine}.*", ""]
    for name, e in found.items():
        title, body = SECTIONS[name]
        lines += [f"### {title}", "", *body(e["result"])]
    return "\n".join(lines)


def plot(found, file):
    """Stages of a picture, stacked: this package, the plain formulation, the floor; totals by number of classes and by method."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    result = {name: e["result"] for name, e in found.items()}
    bars = {f"{side}\n{result[name]['side']} px": result[name][side]["seconds"] for name in ("naive-half", "naive") if name in result
            for side in ("faseg", "naive") if "seconds" in result[name].get(side, {})}
    below = [0.0] * len(bars)
    for stage, colour in zip(STAGES[:-1], ("#9aa0a6", "#4c78a8", "#f2b36f", "#e07b39", "#b5406b", "#54a24b")):
        heights = [seconds.get(stage, {"median": 0})["median"] for seconds in bars.values()]
        left.bar(list(bars), heights, bottom=below, color=colour, label=stage)
        below = [a + b for a, b in zip(below, heights)]
    least = [m["floor"] for name, m in result.get("floor", {}).items() if name != "operations" and "floor" in m]
    if least and "naive" in result:
        left.hlines(least[0], len(bars) - 2.5, len(bars) - 0.5, color="black", linestyle="dashed", linewidth=1, label="floor")
    left.set(title="one picture, stage by stage", ylabel="seconds")
    if bars:
        left.legend(frameon=False, fontsize=8)
    if "classes" in result and "failed" not in result["classes"]:
        middle.plot(list(map(int, result["classes"])), [m["median"] for m in result["classes"].values()], "o-", color="#4c78a8")
        middle.set(xscale="log", ylim=(0, 1.2 * max(m["high"] for m in result["classes"].values())))
    middle.set(title="number of classes", xlabel="classes", ylabel="seconds")
    totals = {name: m["seconds"]["total"]["median"] for name, m in result.get("methods", {}).items() if isinstance(m, dict) and "seconds" in m}
    right.barh(list(totals)[::-1], list(totals.values())[::-1], color="#4c78a8")
    right.set(title="methods, three classes", xlabel="seconds")
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
