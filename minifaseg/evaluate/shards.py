"""Which pictures this process does: every world-th of them, from the rank-th on."""
import numpy as np
import torch

from ..ranks import place


class Part:
    """A part of the pictures by hand. Nothing is summed over other parts."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def total(self, array: np.ndarray) -> np.ndarray:
        """The sum of the array over all processes of the run."""
        return array

    def close(self) -> None:
        """Ends the communication with the other processes."""


class Shard(Part):
    """This process's place among those that torchrun started; the only one without torchrun.

    Where a Shard is open already, a further one uses its communication and leaves it open.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        super().__init__(*place())
        self.device: str | torch.device = "cpu"
        self.opened = False
        if self.world == 1:
            return
        if not torch.distributed.is_initialized():
            self.opened = True
            on_gpu = torch.device(device).type == "cuda"
            torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
        if torch.distributed.get_backend() == "nccl":
            self.device = device

    def total(self, array: np.ndarray) -> np.ndarray:
        if self.world == 1:
            return array
        sum = torch.from_numpy(array).to(self.device)
        torch.distributed.all_reduce(sum)
        return sum.cpu().numpy()

    def close(self) -> None:
        if self.opened:
            torch.distributed.destroy_process_group()
