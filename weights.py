"""Weights of Stable Diffusion 1.5: fetch, look into, verify, change their layout.

    python weights.py download --half
        into the Hugging Face cache, where `--weights auto` finds it
    python weights.py inspect model.safetensors
        layout, sizes, what is missing; exit code 0 if it would load
    python weights.py verify
        are these the right weights? by checksums, and --activations by what they compute
    python weights.py convert model.safetensors folder
        single file <-> diffusers folder, in another number type if asked for

The code is in minifaseg/checkpoints/command.py. Where the package is installed without this file:
python -m minifaseg.checkpoints.
"""
import sys

from minifaseg.checkpoints.command import main

if __name__ == "__main__":
    sys.exit(main())
