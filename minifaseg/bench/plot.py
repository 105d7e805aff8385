"""The results as one picture: the stages of one picture, the number of classes, the methods."""
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .report import STAGES

STAGE_COLOURS = ("#9aa0a6", "#4c78a8", "#f2b36f", "#e07b39", "#b5406b", "#54a24b")


def plot(found: dict, file) -> None:
    """Writes a PNG. found: {experiment: {"machine": ..., "result": ...}}; any may be missing."""
    results = {name: experiment["result"] for name, experiment in found.items()}
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_stages(left, results)
    draw_classes(middle, results.get("classes", {}))
    draw_methods(right, results.get("methods", {}))
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)


def draw_stages(axes: Axes, results: dict) -> None:
    """Stacked bars of this package and of the plain formulation, with the floor."""
    bars = {}
    for name in ("naive-half", "naive"):
        result = results.get(name, {})
        for side in ("faseg", "faseg, bfloat16", "naive"):
            seconds = result.get(side, {}).get("seconds")
            if seconds:
                name = side.replace(", bfloat16", "\nbf16")
                bars[f"{name}\n{result['side']} px"] = seconds

    bottom = [0.0] * len(bars)
    for stage, colour in zip(STAGES, STAGE_COLOURS):                        # all but the total
        heights = [seconds.get(stage, {"median": 0})["median"] for seconds in bars.values()]
        axes.bar(list(bars), heights, bottom=bottom, color=colour, label=stage)
        bottom = [below + height for below, height in zip(bottom, heights)]

    floors = [result["floor"] for result in results.get("floor", {}).values() if "floor" in result]
    if floors and "naive" in results:
        full_size = sum(name.endswith(f"\n{results['naive']['side']} px") for name in bars)
        axes.hlines(floors[0], len(bars) - full_size - 0.5, len(bars) - 0.5, color="black",
                    linestyle="dashed", linewidth=1, label="floor in float32")
    axes.set(title="one picture, stage by stage", ylabel="seconds")
    axes.tick_params(axis="x", labelsize=7)
    if bars:
        axes.legend(frameon=False, fontsize=8)


def draw_classes(axes: Axes, seconds: dict) -> None:
    """Total seconds by number of classes."""
    if seconds and "failed" not in seconds:
        medians = [values["median"] for values in seconds.values()]
        highest = max(values["high"] for values in seconds.values())
        axes.plot(list(map(int, seconds)), medians, "o-", color=STAGE_COLOURS[1])
        axes.set(xscale="log", ylim=(0, 1.2 * highest))
    axes.set(title="number of classes", xlabel="classes", ylabel="seconds")


def draw_methods(axes: Axes, results: dict) -> None:
    """Total seconds of each method, the first one at the top."""
    totals = {}
    for name, result in results.items():
        if isinstance(result, dict) and "seconds" in result:
            totals[name] = result["seconds"]["total"]["median"]
    axes.barh(list(totals)[::-1], list(totals.values())[::-1], color=STAGE_COLOURS[1])
    axes.set(title="methods, three classes", xlabel="seconds")
