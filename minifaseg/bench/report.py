"""The results as Markdown tables.

The ratio stands first, then medians, with the lowest and highest run in brackets.
"""
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ..evaluate.markdown import table_lines

STAGES = ("text", "vae", "inversion", "capture", "refinement", "labels", "total")


def spread(values: dict[str, float] | None, digits: int = 2) -> str:
    """ "1.50 (1.40 to 1.70)"; the median alone where all runs are equal."""
    if values is None:
        return ""
    middle, low, high = (f"{values[key]:.{digits}f}" for key in ("median", "low", "high"))
    if values["low"] == values["high"]:
        return middle
    return f"{middle} ({low} to {high})"


def ratio(values: dict[str, float], to: dict[str, float]) -> str:
    """One median over another."""
    return f"{values['median'] / to['median']:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence]) -> list[str]:
    """The lines of a Markdown table, and an empty one."""
    return [*table_lines(head, rows), ""]


def two_sides(results: dict, first: str, second: str) -> list[str]:
    """Two sides of a comparison, stage by stage; or why one of them failed."""
    a, b = results[first], results[second]
    failed = [f"{name}: {results[name]['failed']}" for name in (first, second)
              if "failed" in results[name]]
    if failed:
        return [*failed, ""]

    pairs = {stage: (a["seconds"].get(stage), b["seconds"].get(stage)) for stage in STAGES}
    pairs["peak memory, GiB"] = (a["peak_gib"], b["peak_gib"])
    rows = []
    for name, (ours, theirs) in pairs.items():
        if ours and theirs and ours["median"]:
            rows.append((name, ratio(theirs, ours), spread(ours), spread(theirs)))
    return table(("seconds", "ratio", first, second), rows)


def total_seconds(result: dict) -> dict[str, float]:
    """Of a whole side, or of one value of `by_value`."""
    return result["seconds"]["total"] if "seconds" in result else result


def side_row(name: str, result: dict, first: dict) -> tuple[str, ...]:
    """A side or value, in the columns of `over_first`. first: the one that ratios are over."""
    if "failed" in result:
        return name, "", result["failed"], "", ""
    memory, equal = "", ""
    if "peak_gib" in result:
        peak = result["peak_gib"]["median"]
        over = peak - result["weights_gib"]["median"]
        memory = f"{peak:.2f} ({over:.2f} over the weights)"
    if "equal_pixels" in result:
        equal = f"{result['equal_pixels']:.2%}"
    seconds = total_seconds(result)
    return name, ratio(seconds, total_seconds(first)), spread(seconds), memory, equal


def over_first(results: dict, what: str) -> list[str]:
    """A row for every side or value: its total over that of the first one."""
    if "failed" in results:
        return [results["failed"], ""]
    sides = {name: result for name, result in results.items() if isinstance(result, dict)}
    if not sides:
        return ["nothing measured", ""]

    # The first that did not fail: ratios are over it.
    first = next((side for side in sides.values() if "failed" not in side), {})
    rows = [side_row(name, result, first) for name, result in sides.items()]
    head = (what, "ratio", "seconds", "peak memory, GiB", "equal pixels")
    filled = [i for i in range(len(head)) if i < 3 or any(row[i] for row in rows)]
    shown_rows = [[row[i] for i in filled] for row in rows]
    return table([head[i] for i in filled], shown_rows)


def cold(results: dict) -> list[str]:
    return table(("", "seconds"), [(name, spread(values)) for name, values in results.items()])


def masks(results: dict) -> list[str]:
    rows = [(name, f"{share:.4%}") for name, share in results.items() if name != "scenes"]
    return table((f"{results['scenes']} held-out cartoon scenes", "equal pixels"), rows)


def load(results: dict) -> list[str]:
    read = results["read"]
    titles = {"read": "reading the bytes", "load": "loading",
              "load and touch": "loading, and touching every page",
              "convert": "loading in bfloat16"}
    rows = []
    for key, title in titles.items():
        rows.append((title, ratio(results[key], read), spread(results[key])))
    return table((f"{results['bytes'] / 1e9:.2f} GB", "ratio", "seconds"), rows)


def floor(results: dict) -> list[str]:
    rows = []
    for name, result in results.items():
        if name == "operations":
            continue
        if "failed" in result:
            rows.append((name, result["failed"], *[""] * 5))
            continue
        total = result["seconds"]["total"]
        share = result["seconds"]["refinement"]["median"] / total["median"]
        over = result["peak_gib"]["median"] - result["weights_gib"]["median"]
        rows.append((name, f"{total['median'] / result['floor']:.2f}", spread(total),
                     f"{result['floor']:.2f}", f"{result['rate'] / 1e9:.0f}",
                     f"{share:.1%}", f"{over:.2f}"))
    head = ("", "ratio to the floor", "seconds", "floor, seconds",
            "matrix products, GFLOP/s", "refinement's share", "memory over the weights, GiB")

    tera = {name: f"{count / 1e12:.2f}" for name, count in results["operations"].items()}
    counted = (f"{tera['total']} TFLOP a picture (UNet {tera['unet']} a call, "
               f"VAE {tera['vae']}).")
    return [counted, "", *table(head, rows)]


def one_shot(results: dict) -> list[str]:
    rows = []
    for dtype, found in results.items():
        warm = found["warm"]
        if "failed" in warm:
            rows.append((dtype, "", spread(found["shell"]), warm["failed"], "", ""))
            continue
        picture, load = warm["seconds"]["total"], warm["load"]
        expected = picture["median"] + load["median"]
        rows.append((dtype, f"{found['shell']['median'] / expected:.2f}", spread(found["shell"]),
                     spread(load), spread(picture), spread(warm["peak_gib"])))
    return table(("number type", "ratio", "from the shell, seconds", "loading", "a picture, loaded",
                  "peak memory, GiB"), rows)


def networks(results: dict) -> list[str]:
    if "failed" in results:
        return [results["failed"], ""]
    rows = []
    for name, found in results.items():
        ours, theirs = found["ours"], found.get("OpenVINO")
        if theirs:
            rows.append((name, ratio(theirs, ours), spread(ours), spread(theirs),
                         f"{found['apart']:.1e}"))
        else:
            rows.append((name, "", spread(ours), "not installed", ""))
    return table(("one call", "ratio", "faseg, seconds", "OpenVINO, seconds", "results apart"),
                 rows)


def naive(results: dict) -> list[str]:
    lines = []
    for ours in ("faseg", "faseg, bfloat16"):
        if ours in results:
            lines += [*against(results, ours), *two_sides(results, ours, "naive")]
    return lines


def against(results: dict, ours: str) -> list[str]:
    """How large the picture is and how many labels are the same; and an empty line."""
    line = f"{results['side']} pixels"
    other = "naive" if ours == "faseg" else ours
    if "equal_pixels" in results[other]:
        line += f"; {results[other]['equal_pixels']:.3%} of the pixels have the same label"
        if ours != "faseg":
            line += " as in float32"
    return [f"{line}.", ""]


def variants(results: dict) -> list[str]:
    if "failed" in results:
        return [results["failed"], ""]
    return [f"{results['side']} pixels.", "", *over_first(results, "")]


def methods(results: dict) -> list[str]:
    return [f"{results['side']} pixels, three classes.", "", *over_first(results, "method")]


def batch(results: dict) -> list[str]:
    if "failed" in results:
        return [results["failed"], ""]
    rates = {}
    for name, seconds in results.items():
        if name != "side":                   # the slowest run has the lowest rate
            size = int(name)
            rates[name] = {"median": size / seconds["median"], "low": size / seconds["high"],
                           "high": size / seconds["low"]}
    first = next(iter(rates.values()))
    rows = [(name, ratio(found, first), spread(found, 3)) for name, found in rates.items()]
    head = ("pictures together", "ratio", "pictures per second")
    return [f"{results['side']} pixels.", "", *table(head, rows)]


def folder(results: dict) -> list[str]:
    one, ahead = results["one by one"], results["ahead"]
    return table(("a folder", "ratio", "pictures per second"), [
        ("one by one", ratio(one, one), spread(one)),
        (f"opened ahead, {results['batch']} together", ratio(ahead, one), spread(ahead)),
    ])


def processes(results: dict) -> list[str]:
    one = results["seconds"]["1"]
    rows = []
    for count, seconds in results["seconds"].items():
        rows.append((count, f"{one / seconds:.2f}", f"{seconds:.1f}"))
    return table(("processes", "ratio", "seconds"), rows)


def profile(results: dict) -> list[str]:
    if not results:
        return ["nothing measured", ""]
    rows = [(f"`{name}`", f"{share:.1%}") for name, share in results.items()]
    return table(("operation", "share"), rows)


# {experiment: (title, lines of its result)}
SECTIONS: dict[str, tuple[str, Callable[[dict], list[str]]]] = {
    "cold": ("From a cold process", cold),
    "masks": ("The same masks", masks),
    "load": ("Loading", load),
    "one-shot": ("One picture from the shell", one_shot),
    "networks": ("The networks alone, against OpenVINO", networks),
    "floor": ("Against the floor", floor),
    "naive-half": ("Against the plain formulation, half size", naive),
    "naive": ("Against the plain formulation", naive),
    "classes": ("Number of classes", partial(over_first, what="classes")),
    "variants": ("Variants", variants),
    "methods": ("Methods", methods),
    "batch": ("Pictures together", batch),
    "sides": ("Resolution", partial(over_first, what="pixels a side")),
    "folder": ("A folder of 12-megapixel JPEGs", folder),
    "processes": ("One evaluation on several processes, one core each", processes),
    "profile": ("Largest costs", profile),
}


def markdown(found: dict) -> str:
    """A section for each experiment, below the machines.

    found: {experiment: {"machine": ..., "result": ...}}.
    """
    lines = []
    for machine in dict.fromkeys(experiment["machine"] for experiment in found.values()):
        lines += [f"*{machine}.*", ""]
    for name, experiment in found.items():
        title, section = SECTIONS[name]
        lines += [f"### {title}", "", *section(experiment["result"])]
    return "\n".join(lines)
