"""Muon, the optimiser that the cartoon model is trained with: momentum, made orthogonal.

    M <- mu M + (1 - mu) G                    G: the gradient of one weight matrix
    W <- W - lr 0.2 sqrt(max(rows, columns)) orthogonal(mu M + (1 - mu) G)

An update by AdamW goes mostly into a few large directions. An orthogonal update moves all
directions equally, so that what is rare, such as a thing's name, is learnt as fast as what is
common.

Source: Jordan et al. 2024 (kellerjordan.github.io/posts/muon). The factor, which makes the steps as
long as AdamW's, is from Liu et al. 2025 (arXiv 2502.16982). torch.optim.Muon, from torch 2.9 on, is
the same for plain matrices; this one also takes convolutions, as matrices (out, rest), and computes
all matrices of one shape in one batch.
"""
from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(G: Tensor, steps: int = 5) -> Tensor:
    """About the nearest orthogonal matrix to each G (n, rows, columns), by Newton-Schulz steps."""
    a, b, c = COEFFICIENTS
    X = G.bfloat16()
    tall = X.shape[1] > X.shape[2]
    if tall:
        X = X.mT
    X = X / X.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(steps):
        A = X @ X.mT
        X = torch.baddbmm(X, torch.baddbmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return (X.mT if tall else X).to(G)


class Muon:
    """Muon for matrices and convolutions, AdamW at half the rate for the rest.

    named: pairs (name, parameter). plain: names, or parts of names, of matrices that AdamW takes,
    too: embeddings, and the first and last layer.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], plain: tuple[str, ...] = (),
                 momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.shapes: dict[tuple[int, int], list[Tensor]] = {}
        rest: list[Tensor] = []
        for name, p in named:
            if p.ndim < 2 or any(part in name for part in plain):
                rest.append(p)
            else:
                self.shapes.setdefault((len(p), p[0].numel()), []).append(p)
        self.matrices = [p for group in self.shapes.values() for p in group]
        self.buffers = {p: torch.zeros_like(p) for p in self.matrices}
        self.adam = torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, lr: float) -> None:
        gradients = [p.grad for p in self.matrices if p.grad is not None]
        buffers = [self.buffers[p] for p in self.matrices]
        torch._foreach_lerp_(buffers, gradients, 1 - self.momentum)
        ahead = torch._foreach_lerp(gradients, buffers, self.momentum)
        torch._foreach_mul_(self.matrices, 1 - lr * self.weight_decay)
        first = 0
        for (rows, columns), group in self.shapes.items():
            last = first + len(group)
            G = torch.stack([g.reshape(rows, columns) for g in ahead[first:last]])
            first = last
            updates = orthogonal(G) * (-lr * 0.2 * max(rows, columns) ** 0.5)
            torch._foreach_add_(group, [u.view_as(p) for u, p in zip(updates, group)])
        for part in self.adam.param_groups:
            part["lr"] = lr / 2
        self.adam.step()

    def zero_grad(self) -> None:
        for p in self.matrices:
            p.grad = None
        self.adam.zero_grad()

    def state_dict(self) -> dict:
        return {"buffers": list(self.buffers.values()), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        for buffer, saved in zip(self.buffers.values(), state["buffers"]):
            buffer.copy_(saved)
        self.adam.load_state_dict(state["adam"])
