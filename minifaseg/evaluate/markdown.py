"""Tables as Markdown."""
from collections.abc import Iterable, Sequence


def table_lines(titles: Sequence[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """The lines of a Markdown table: titles, a line below them, and one line a row."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (titles, *rows)]
    lines.insert(1, "|---" * len(titles) + "|")
    return lines
