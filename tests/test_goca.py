"""GoCA equals its formulas written plainly, with loops, on diffusers' UNet; and what must hold whatever the list of names."""
import torch

from minifaseg.attention import inner_layers
from minifaseg.unet import UNet, UNetConfig


def test_inner_layers_of_a_level():
    """Against SD 1.5's table in unet.py and the cartoon model's plan with one block per level."""
    def inner(config, side):
        unet, record = UNet(config), {}
        z = torch.zeros(1, 4, 16, 16)
        unet(z, 1, torch.zeros(1, 5, config.context), record)
        paths = [p for p, qk in record.items() if qk.grid == (side, side) and "attn1" in p]
        return [path.removesuffix(".1.transformer_blocks.0.attn1") for path in inner_layers(paths)]

    small = {"widths": (8, 8, 8, 8), "context": 8, "heads": 2, "groups": 4}
    plan, cartoon = UNetConfig(**small), UNetConfig(**small, blocks=1)
    assert inner(plan, 16) == ["input_blocks.2", "output_blocks.9", "output_blocks.10"]
    assert inner(plan, 8) == ["input_blocks.5", "output_blocks.6", "output_blocks.7"]
    assert inner(plan, 4) == ["input_blocks.8", "output_blocks.3", "output_blocks.4"]
    assert inner(plan, 2) == ["middle_block"] == inner(cartoon, 2)
    assert inner(cartoon, 16) == ["input_blocks.1", "output_blocks.6"]
    assert inner(cartoon, 8) == ["input_blocks.3", "output_blocks.4"]
