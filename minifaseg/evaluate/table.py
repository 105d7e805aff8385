"""The table of results: Markdown to read, CSV and JSON to compute with, a bar plot or the curve of a sweep to look at.

Published numbers stand in rows of their own and are marked; they were measured by others, on other weights, by other rules.
"""
import csv
import io
import json
import math

# mIoU in percent. Sources: FA-Seg, abstract of arXiv 2506.23323 (mean over VOC, Context, Object only); DiffSegmenter and iSeg, slides of the
# authors' talk; InvSeg, table figure of its project page; DiffSeg, DiffSegmenter's table (open vocabulary) and its own slides (unsupervised).
PUBLISHED = {
    "voc": {"diffsegmenter": 60.1, "iseg": 68.2, "invseg": 63.4, "diffseg": 39.4},
    "context60": {"diffsegmenter": 27.5, "iseg": 30.9, "invseg": 27.8, "diffseg": 16.7},
    "coco-object": {"diffsegmenter": 37.9, "iseg": 38.4, "invseg": 36.0, "diffseg": 19.1},
    "cityscapes27": {"diffseg": 21.2, "iseg": 25.0},
    "cocostuff27": {"diffseg": 43.6, "iseg": 45.2}}
# On how many pictures: those of val; of COCO-Stuff the curated list.
PUBLISHED_ON = {"voc": (1449,), "context60": (5104, 5105), "coco-object": (5000,),
                "cityscapes27": (500,), "cocostuff27": (2175,)}
# Figures by another protocol, which is said beside them. GoCA with SD 1.5: a secondary source,
# which also has 22.0 on ADE20K; another report has 54.5 on VOC.
BEST = "the true classes of each picture were told, and the best of nine offsets taken"
UNKNOWN = "how many classes were counted is not known here"
PUBLISHED_TOLD = {
    "voc": {"goca": (60.7, f"{BEST}, on the train list")},
    "context60": {"goca": (40.4, f"{BEST}, on the train list; {UNKNOWN}")},
    "coco-object": {"goca": (39.2, BEST)},
    "cityscapes27": {"goca": (16.1, f"{BEST}; {UNKNOWN}")}}
TOLD_ON = {"voc": (1464,), "context60": (4996, 4998)}        # pictures of train
COLUMNS = (("miou", "mIoU"), ("miou_absent_zero", "mIoU, absent = 0"), ("things", "things"), ("pixel_accuracy", "pixel accuracy"))
OURS = {"invseg": "invseg (our reconstruction)"}


def percent(x):
    return "-" if x is None or math.isnan(x) else f"{100 * x:.1f}"


def with_interval(x, ci, show=percent):
    """"85.1 [84.2, 86.0]"; the value alone where there is no interval."""
    return show(x) + (f" [{show(ci[0])}, {show(ci[1])}]" if ci else "")


def signed(x):
    return percent(x) if x is None or math.isnan(x) else f"{100 * x:+.1f}"


def against(m, show=signed):
    """The difference of a row to the first one, with its interval; empty for the first."""
    found = m.get("difference")
    return with_interval(found["miou"], found["ci"], show) if found else ""


def markdown(report):
    """The methods, then every class, as two Markdown tables; 95 % intervals in brackets."""
    methods = report["methods"]
    others = published(report)
    lines = [f"{report['dataset']}, {pictures(report)}, weights: {report['weights']}, "
             f"candidates: {report['candidates']}"
             + (f", {report['failed']} left out" if report["failed"] else ""), "",
             *main_table(methods)]
    width = lines[-1].count("|") - 2
    for name, value, protocol in others:
        who = f"{name}, published, other protocol" if protocol else f"{name}, published"
        lines.append(f"| *{who}* | *{value}* |" + " |" * (width - 1))
    for name, _, protocol in others:
        if protocol:
            lines += ["", f"The published figure of {name} is not to be compared: {protocol}."]
    lines += ["", "| class | " + " | ".join(methods) + " |", "|---" * (1 + len(methods)) + "|"]
    for c in next(iter(methods.values()))["per_class"]:
        lines.append(f"| {c} | " + " | ".join(percent(m["per_class"][c]) for m in methods.values()) + " |")
    if not others and report["dataset"] in PUBLISHED and not truth_is_told(report):
        theirs = " or ".join(map(str, PUBLISHED_ON[report["dataset"]]))
        lines += ["", f"No published numbers: those are of {theirs} pictures."]
    return "\n".join(lines) + "\n"


def published(report):
    """[(name, mIoU, protocol or None)]: others' figures that may stand beside this report's. They
    are of the same pictures; where the truth tells what to look for, only those of the told."""
    data, count = report["dataset"], report["pictures"]
    found, whole = [], count in PUBLISHED_ON.get(data, ())
    if whole and not truth_is_told(report):
        found = [(name, value, None) for name, value in PUBLISHED[data].items()]
    if whole or count in TOLD_ON.get(data, ()):
        told = PUBLISHED_TOLD.get(data, {})
        found += [(name, value, protocol) for name, (value, protocol) in told.items()]
    return found


def truth_is_told(report):
    return report.get("candidates", "").startswith("gt")


def main_table(methods):
    """Its lines: one row a method; where there are several, also the difference to the first."""
    titles = ["method", *(title for _, title in COLUMNS)]
    compared = any("difference" in m for m in methods.values())
    if compared:
        titles.insert(2, f"against {next(iter(methods))}")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, m in methods.items():
        cells = [OURS.get(name, name), *(percent(m[key]) for key, _ in COLUMNS)]
        cells[1] = with_interval(m["miou"], m.get("ci"))
        if compared:
            cells.insert(2, against(m))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def pictures(report):
    """How many were counted, of how many, and who says which."""
    count, whole = report["pictures"], report.get("of") or report["pictures"]
    said = f"a part: {count} of {whole} pictures" if count < whole else f"{count} pictures"
    said += f" instead of {whole}" if count > whole else ""
    split = f"{report['split']}, " if report.get("split") else ""
    return f"{split}{said}" + (f" ({report['list']})" if report.get("list") else "")


def as_csv(report):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    classes = list(next(iter(report["methods"].values()))["per_class"])
    writer.writerow(["method", *(key for key, _ in COLUMNS), "miou_low", "miou_high", *classes])
    for name, m in report["methods"].items():
        ends = m.get("ci") or ("", "")
        writer.writerow([name, *(m[key] for key, _ in COLUMNS), *ends, *m["per_class"].values()])
    return out.getvalue()


def as_json(report):
    """NaN, which JSON does not know, becomes null."""
    return json.dumps(without_nan(report))


def without_nan(x):
    if isinstance(x, dict):
        return {k: without_nan(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [without_nan(v) for v in x]
    return None if isinstance(x, float) and math.isnan(x) else x


def plot(report, file, sweep=None):
    """Bars of mIoU per method, or one curve per method over the swept number -> PNG. Needs matplotlib."""
    from matplotlib.figure import Figure
    methods = report["methods"]
    figure = Figure(figsize=(6, 0.8 + 0.35 * len(methods)) if not sweep else (6, 4), layout="constrained")
    axes = figure.subplots()
    if sweep:
        curves = {}
        for name, m in methods.items():
            spec, _, value = name.rpartition("=")
            curves.setdefault(spec.rpartition(sweep)[0].rstrip(":;"), []).append((float(value), 100 * m["miou"]))
        for name, points in curves.items():
            axes.plot(*zip(*points), marker="o", label=OURS.get(name, name))
        axes.set(xlabel=sweep, ylabel="mIoU (%)", title=report["dataset"])
        axes.legend()
    else:
        bars = axes.barh([OURS.get(name, name) for name in methods], [100 * m["miou"] for m in methods.values()], color="#5b8bd0")
        axes.bar_label(bars, [percent(m["miou"]) for m in methods.values()], padding=3)
        axes.invert_yaxis()
        axes.set(xlabel="mIoU (%)", title=report["dataset"])
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, format="png", dpi=120)
