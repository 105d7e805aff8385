"""What some exercises are given, or watched by: networks, and tensors that look on.

The functions call_... hand it over: call_invert(f, ...) calls the student's function f of the
exercise with it, and returns what is compared.
"""
import torch


def unlike(z, t):
    """A noise that depends on the latent and on the timestep, and not linearly."""
    return torch.cos(z * (0.3 + t / 7)) - 0.2 * z


def call_invert(function, z, abars, ts):
    return function(unlike, z, abars, ts)


class Network(torch.nn.Module):
    """Predicts noise from the latent, the timestep and the text, each picture with its own."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.6))

    def forward(self, z, t, text, record=None):
        t = torch.as_tensor(t).reshape(-1, 1, 1, 1)
        order = torch.arange(1.0, text[0].numel() + 1).reshape(text[0].shape)
        said = (text * order).flatten(1).mean(1)[:, None, None, None]
        return self.weight * torch.sin(z + 0.002 * t) + 0.05 * said


def call_training_loss(function, z0, noise, t, text):
    """The loss, and its slope for the weight of the network."""
    network = Network()
    loss = function(network, z0, noise, t, text)
    loss.backward()
    return loss, network.weight.grad


def call_word_gain(function, pictures, captions, t, noise):
    return float(function(Network(), pictures, captions, t, noise))


def call_pointing(function, values, inside):
    return float(function(values, inside))


def call_inversion_loss(function, S, M, grid, anchor, repel, weight):
    """The loss, and its gradient for M: finite where M is 0, but there it may be any number."""
    M = M.clone().requires_grad_()
    with torch.enable_grad():
        loss = function(S, M, grid, anchor, repel, weight)
        loss.backward()
    return loss.item(), M.grad * (M > 0)


def call_merge_maps(function, *arguments):
    """The segments, numbered in the order in which they come: their own numbers may be any."""
    labels = function(*arguments)
    if not isinstance(labels, torch.Tensor) or labels.is_floating_point():
        return labels
    found = []
    for number in labels.flatten().tolist():
        if number not in found:
            found.append(number)
    return sum(i * (labels == number) for i, number in enumerate(found)) + 0 * labels.long()


# Tensors that look on


PRODUCTS = {"matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "einsum", "multi_dot",
            "chain_matmul", "matrix_power", "linalg_matrix_power", "matrix_exp",
            "linalg_eig", "linalg_eigh", "linalg_svd"}


class Watched(torch.Tensor):
    """A map A (N, N) of which no product or power may be made that is N x N again."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            made = function(*args, **(kwargs or {}))
            sizes = [a.shape for a in args if isinstance(a, Watched)]
            each = made if isinstance(made, tuple) else (made,)
            same = any(isinstance(m, torch.Tensor) and m.shape in sizes for m in each)
        if same and function.__name__ in PRODUCTS:
            raise AssertionError("a second N x N matrix is made, N^3 work; let A meet x instead")
        return made.as_subclass(Watched) if same and isinstance(made, torch.Tensor) else made


def watched(function):
    """The function, which gets its first argument, A, watched."""
    def call(A, *others):
        made = function(A.as_subclass(Watched), *others)
        return made.as_subclass(torch.Tensor) if isinstance(made, torch.Tensor) else made
    return call


class Counted(torch.Tensor):
    """A map that counts the operations with it, and ends a loop that does not end."""
    left = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        Counted.left -= 1
        if Counted.left < 0:
            raise AssertionError("after many thousand operations your loop has not ended")
        with torch._C.DisableTorchFunctionSubclass():
            made = function(*args, **(kwargs or {}))
            same = isinstance(made, torch.Tensor) and any(
                isinstance(a, Counted) and a.shape == made.shape for a in args)
        return made.as_subclass(Counted) if same else made


def counted(A, limit: int = 20000):
    Counted.left = limit
    return A.clone().as_subclass(Counted)
