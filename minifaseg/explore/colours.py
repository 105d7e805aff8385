"""The page's colours, which the notebooks have, too (tutorial/plots.py).

Classes: Okabe and Ito's seven and a grey, which stay apart for colour-blind readers. Heat maps:
matplotlib's inferno, whose lightness grows with the value.
"""
CLASSES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#5b5b66")
BACKGROUND, IGNORED = "#2b2b30", "#e4e4e8"                  # labels 0 and 255
INFERNO = ("#000004", "#0b0724", "#210c4a", "#3d0965", "#57106e", "#71196e", "#8a226a", "#a32c61",
           "#bc3754", "#d24644", "#e45a31", "#f1731d", "#f98e09", "#fcac11", "#f9cb35", "#f2ea69",
           "#fcffa4")


def mix(first: str, second: str, share: float) -> str:
    """A colour between two."""
    parts = []
    for at in (1, 3, 5):
        a, b = int(first[at:at + 2], 16), int(second[at:at + 2], 16)
        parts.append(f"{round(a + share * (b - a)):02x}")
    return "#" + "".join(parts)


def palette() -> list[str]:
    """The colour of each of 256 labels. After seven classes they come lighter, then darker."""
    colours = [BACKGROUND]
    for label in range(1, 255):
        turn, place = divmod(label - 1, len(CLASSES))
        colour = CLASSES[place]
        others = (colour, mix(colour, "#ffffff", 0.5), mix(colour, "#000000", 0.45))
        colours.append(others[turn % 3])
    return [*colours, IGNORED]


def heat() -> list[str]:
    """Inferno in 256 steps, low to high."""
    colours = []
    for i in range(256):
        first, share = divmod(i / 16, 1)
        colours.append(mix(INFERNO[int(first)], INFERNO[int(first) + 1], share))
    return colours
