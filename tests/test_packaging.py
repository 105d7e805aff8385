"""The package as a stranger gets it: metadata, and archives that install and run."""
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"     # of an environment


# ---- metadata ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def pyproject():
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"    # pytest brings tomli to 3.10
    toml = pytest.importorskip(name)
    return toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_metadata_say_what_a_registry_shows(pyproject):
    project = pyproject["project"]
    classifiers = project["classifiers"]
    assert len(set(project["keywords"])) == len(project["keywords"]) >= 5
    assert {"open-vocabulary segmentation", "diffusion models"} <= set(project["keywords"])
    expected = {"Intended Audience :: Education", "Intended Audience :: Science/Research",
                "Operating System :: OS Independent", "Typing :: Typed",
                "Topic :: Scientific/Engineering :: Image Recognition"}
    assert expected <= set(classifiers)
    assert project["license"] == "MIT" and not [c for c in classifiers if c.startswith("License")]
    oldest = project["requires-python"].removeprefix(">=")
    versions = [c.rpartition(" ")[2] for c in classifiers if re.search(r":: 3\.\d+$", c)]
    assert versions[0] == oldest and versions == [f"3.{n}" for n in range(10, 10 + len(versions))]
    assert (ROOT / "minifaseg/py.typed").exists()


def test_classifiers_are_known(pyproject):
    known = pytest.importorskip("trove_classifiers").classifiers
    assert set(pyproject["project"]["classifiers"]) <= known


def test_extras_hold_what_lessons_and_tests_import(pyproject):
    extras = {name: {re.split(r"[<>=]", r)[0] for r in lines}
              for name, lines in pyproject["project"]["optional-dependencies"].items()}
    assert "scikit-image" in extras["tutorial"] & extras["test"] and "build" in extras["test"]


def test_the_address_has_one_place(pyproject):
    assert isinstance(pyproject["tool"]["minifaseg"]["address"], str)
    assert "urls" not in pyproject["project"] or pyproject["tool"]["minifaseg"]["address"]


def test_every_package_is_listed(pyproject):
    """Packages are listed by hand: a new folder must not be left out of the wheel."""
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "minifaseg").rglob("__init__.py")}
    assert pyproject["tool"]["setuptools"]["packages"] == sorted(".".join(f.parts) for f in folders)


# ---- wheel and source archive ------------------------------------------------------------------
def run(*command, cwd, **changes):
    """Runs a command that must end well; PYTHONPATH, weights in a cache and GPUs play no part."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env |= {"PYTHONNOUSERSITE": "1", "CUDA_VISIBLE_DEVICES": "", **changes}
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def tracked_files():
    git = ["git", "-C", str(ROOT), "ls-files", "-z"]
    if not shutil.which("git") or subprocess.run(git, capture_output=True).returncode:
        pytest.skip("needs a git checkout: only there is known which files belong to the source")
    names = subprocess.run(git, capture_output=True, check=True).stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def place():
    """A folder that is gone afterwards: an environment with torch takes more than a gigabyte."""
    with tempfile.TemporaryDirectory(prefix="minifaseg-packaging-") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="module")
def archives(place):
    """(wheel, source archive), built by python -m build from a clean copy of the tracked files."""
    pytest.importorskip("build")
    source = place / "source"
    for name in tracked_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    # The wheel is built from the source archive, as every packager will do it.
    run(sys.executable, "-m", "build", "--outdir", place / "dist", source, cwd=place)
    (wheel,) = (place / "dist").glob("*.whl")
    (archive,) = (place / "dist").glob("*.tar.gz")
    return wheel, archive


@pytest.mark.slow
def test_wheel_and_archive_hold_all_that_a_user_needs_and_no_more(archives):
    wheel, archive = archives
    belongs = {name for name in tracked_files() if name.startswith("minifaseg/")}
    for name in ("py.typed", "cartoon/cartoon.safetensors", "cartoon/cartoon.json",
                 "cartoon/README.md", "evaluate/published.csv", "checkpoints/checksums.csv",
                 "checkpoints/activations.json"):
        assert f"minifaseg/{name}" in belongs

    with zipfile.ZipFile(wheel) as file:
        inside = {name for name in file.namelist() if ".dist-info/" not in name}
        info = next(name for name in file.namelist() if ".dist-info/" in name).partition("/")[0]
        metadata = message_from_bytes(file.read(f"{info}/METADATA"))
        licence = file.read(f"{info}/licenses/LICENSE")
        commands = file.read(f"{info}/entry_points.txt").decode()
        weights = file.read("minifaseg/cartoon/cartoon.safetensors")
    assert inside == belongs
    assert "minifaseg = minifaseg.__main__:main" in commands
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert weights == (ROOT / "minifaseg/cartoon/cartoon.safetensors").read_bytes()
    assert metadata["License-Expression"] == "MIT" and metadata["Keywords"]
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")

    with tarfile.open(archive) as file:
        names = {member.name.partition("/")[2] for member in file.getmembers() if member.isfile()}
    assert belongs <= names
    # setuptools takes tests/test*.py along, which only a file MANIFEST.in could forbid.
    from_setuptools = re.compile(r"minifaseg\.egg-info/.*|tests/test\w*\.py")
    others = {name for name in names - belongs if not from_setuptools.fullmatch(name)}
    assert others == {"LICENSE", "README.md", "pyproject.toml", "setup.cfg", "PKG-INFO"}


def first_command():
    """The arguments of the README's first python -m minifaseg, with the picture's whole path."""
    block = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- ci -->")[2]
    command = re.search(r"python -m minifaseg (\S+) (.+?) -o \S+", block)
    return [ROOT / command[1], *command[2].split()]


def segment(python, out, cwd, **env):
    """The mask that the first command makes, by this Python's minifaseg."""
    env["HF_HOME"] = str(cwd / "no-cache")                       # else Stable Diffusion, if there
    run(python, "-m", "minifaseg", *first_command(), "-o", out, cwd=cwd, **env)
    (mask,) = out.glob("*_mask.png")
    return np.array(Image.open(mask))


def where(python, cwd):
    """The file of the minifaseg that this Python imports."""
    return Path(run(python, "-c", "import minifaseg; print(minifaseg.__file__)", cwd=cwd).strip())


@pytest.mark.slow
def test_wheel_and_archive_install_into_an_empty_environment_and_run(archives, place):
    """The README's first command, from another folder: the mask that this checkout makes.

    pip fetches all dependencies, torch among them: a minute where they lie near.
    """
    import torch

    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    ours = segment(sys.executable, elsewhere / "checkout", elsewhere, PYTHONPATH=str(ROOT))
    assert len(np.unique(ours)) == 4                             # background and three classes

    run(sys.executable, "-m", "venv", place / "venv", cwd=place)
    python = place / "venv" / PYTHON
    pip = [python, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"]
    wheel, archive = archives
    # The same torch as here: others may differ in the last bit, and so at the rim of a mask.
    run(*pip, wheel, f"torch=={torch.__version__.partition('+')[0]}", cwd=elsewhere)
    assert where(python, elsewhere).is_relative_to(place / "venv")
    assert (segment(python, elsewhere / "wheel", elsewhere) == ours).all()

    # weights.py is not in the wheel: its commands are, and messages name them.
    said = run(python, "-m", "minifaseg.checkpoints", "verify", "cartoon", cwd=elsewhere)
    assert "all tensors are there and fit: loads" in said
    absent = subprocess.run([python, "-m", "minifaseg", *first_command(), "--weights", "sd15"], cwd=elsewhere, capture_output=True, text=True,
                            env=os.environ | {"HF_HOME": str(elsewhere / "no-cache"), "PYTHONPATH": ""})
    assert "python -m minifaseg.checkpoints download" in absent.stderr, absent.stderr

    run(*pip, "--no-deps", "--force-reinstall", archive, cwd=elsewhere)
    assert where(python, elsewhere).is_relative_to(place / "venv")
    assert (segment(python, elsewhere / "archive", elsewhere) == ours).all()
