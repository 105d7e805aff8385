"""Controls under a picture: move a number of the method, or change the list of names.

    sliders(method, captured, image, names)
        tau and the threshold; the attention stays as captured and is scored anew
    names(method, model, image, names)
        the list of names; the picture is seen once, new names are looked up in a new P'

Without a running notebook (on a web page, in print) what stays is the still picture: the picture,
its mask and the score maps. The controls come from ipywidgets. The mask is labelling.labels_of, as
in minifaseg.segment.
"""
import html
from dataclasses import replace

import matplotlib.pyplot as plt
import plots
from IPython import get_ipython
from IPython.display import display

from minifaseg import InputError, clean_classes, prompts
from minifaseg.labelling import labels_of

try:
    import ipywidgets
except ImportError:
    ipywidgets = None

COLUMNS = 6                        # panels side by side
MAPS = 10                          # score maps that are drawn, of a longer list the first ones
NO_SLIDERS = 'For sliders: python -m pip install "ipywidgets>=8", then restart the kernel.'


def sliders(method, captured, image, names) -> None:
    """The picture, and sliders for tau and the threshold of an FASeg method."""
    def redraw(tau, threshold):
        changed = replace(method, tau=tau, threshold=threshold)
        return answer(changed, captured, captured.lookup, image, names)

    picture = display(redraw(method.tau, method.threshold), display_id=True)
    if has_controls():
        late = {"continuous_update": False}              # redraw when the slider is let go
        tau = ipywidgets.IntSlider(method.tau, 0, 8, description="tau", **late)
        threshold = ipywidgets.FloatSlider(value=method.threshold, min=0, max=1, step=0.01,
                                           description="threshold", **late)
        show_controls(picture, redraw, {"tau": tau, "threshold": threshold})


def names(method, model, image, names) -> None:
    """The picture, and a text box for the list of names, with commas between them.

    method: an FASeg method that looks names up in P' (dual).
    """
    first = clean_classes(names)
    captured = method.capture(model, image, first)       # once: this is the only UNet pass

    def redraw(text):
        classes = clean_classes(text)
        lookup = prompts.class_prompts(model.text, classes, method.alone)  # P'
        return answer(method, captured, lookup, image, classes)

    start = ", ".join(first)
    picture = display(redraw(start), display_id=True)
    if has_controls():
        box = ipywidgets.Text(start, description="names", continuous_update=False,
                              layout={"width": "95%"})
        show_controls(picture, redraw, {"text": box})


def has_controls() -> bool:
    """Whether a notebook runs here and has ipywidgets; says how to get them if it has not."""
    running = hasattr(get_ipython(), "kernel")
    if running and not ipywidgets:
        print(NO_SLIDERS)
    return running and bool(ipywidgets)


def show_controls(picture, redraw, controls) -> None:
    """The controls, and below them a line for what redraw refuses.

    picture: the handle of what is displayed; redraw: the controls' values -> a new figure.
    """
    told = ipywidgets.HTML()

    def moved(change):
        try:
            figure = redraw(**{key: control.value for key, control in controls.items()})
        except InputError as error:                      # an unknown word, a name given twice
            told.value = html.escape(str(error))
        else:
            told.value = ""
            picture.update(figure)

    for control in controls.values():
        control.observe(moved, "value")
    display(ipywidgets.VBox([*controls.values(), told]))


def answer(method, captured, lookup, image, names):
    """A figure of the picture, its mask and its score maps, of the names in this lookup."""
    scores = method.scores(captured, lookup)             # (K, h, w)
    labels = labels_of(method, captured, scores)         # (H, W)

    panels = [image, labels, *scores[:MAPS]]
    titles = ["the picture", f"mask, {(labels == 0).mean():.0%} background"]
    for k, name in enumerate(names[:MAPS], start=1):
        titles.append(f'"{name}", {(labels == k).mean():.0%}')

    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)                    # rounded up
    figure, axes = plt.subplots(rows, columns, figsize=(2.2 * columns, 2.6 * rows), squeeze=False)
    plt.close(figure)                                    # or it would be shown a second time
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, panel, title in zip(axes.flat, panels, titles):
        plots.draw(axis, plots.array(panel), names, span=(0, 1))
        axis.set_title(title)
    return figure
