"""Runs the notebooks from a clean kernel and keeps their outputs.

    python tutorial/execute.py [05 07 ...]

Metadata that changes with every run (times, versions, widgets) is dropped, so that a change of a
notebook is a change of what it says. The output of a cell tagged "thumbnail" becomes
figures/05.png, for README.md.
"""
import base64
import io
import sys
import time
from pathlib import Path

import made_from
import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", coalesce_streams=True,
                            resources=resources)
    start = time.time()
    client.execute()
    seconds = time.time() - start

    clean(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    for cell in notebook.cells:
        if "thumbnail" in cell.metadata.get("tags", []):
            save_thumbnail(cell, HERE / "figures" / f"{path.name[:2]}.png")
    made_from.note({path.name: made_from.now(())})
    print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB", flush=True)


def save_thumbnail(cell, path: Path) -> None:
    """The first picture among the outputs of a cell, at most 720 x 300 pixels large."""
    pictures = [output["data"]["image/png"] for output in cell.outputs
                if "image/png" in output.get("data", {})]
    data = base64.b64decode(pictures[0])
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    picture.thumbnail((720, 300), Image.LANCZOS)
    picture.save(path, optimize=True)


def clean(notebook) -> None:
    """Drops metadata and the views of widgets, in place: without a kernel they are dead."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        kept = ("tags", "nbgrader")
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in kept}
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
        for output in cell.get("outputs", []):
            output.pop("metadata", None)
            if output.output_type in ("display_data", "execute_result"):
                output["metadata"] = {}
                # beside a picture also stands the text "<Figure size 640x480 with 4 Axes>"
                if "image/png" in output.data:
                    output.data.pop("text/plain", None)
                    output.data["image/png"] = smaller(output.data["image/png"])


def smaller(png: str) -> str:
    """A PNG in base64, with a palette of 256 colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    asked = sys.argv[1:]
    for path in sorted(HERE.glob("*.ipynb")):
        if not asked or path.name[:2] in asked:
            execute(path)
