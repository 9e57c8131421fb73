"""Weights and inputs from a hash, so that large networks need no stored weights.

Element `i` (C order) of the tensor `name` comes from one 64-bit word, all arithmetic modulo 2^64:

    h = FNV-1a 64 of the UTF-8 name
    z = splitmix64 finaliser of h + (i + 1) * 0x9E3779B97F4A7C15
        (z ^= z >> 30; z *= 0xBF58476D1CE4E5B9; z ^= z >> 27; z *= 0x94D049BB133111EB; z ^= z >> 31)
    n = z >> 40                                       24 bits

    weight = float32(s * (2 n / 2^24 - 1) + m)        computed in float64
    input  = n / 2^24                                 in [0, 1), exact in float32
    label  = n mod classes

    tensor                                                  m   s
    name contains "position_embeddings" or "pos_embed"      0   0.1
    2 or more dimensions                                    0   sqrt(3 / (elements / shape[0]))
    1 dimension, name ends in "weight" or "running_var"     1   0.25
    1 dimension, otherwise                                  0   0.1

Integer buffers keep what the constructor gave them.
"""

import math

import numpy as np
import torch

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def fnv1a(name):
    """FNV-1a 64 of the UTF-8 bytes of `name`."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def words(name, count):
    """The 24-bit words of the first `count` elements of the tensor `name`."""
    z = np.uint64(fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * GAMMA
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40)


def mean_and_scale(name, shape):
    """`(m, s)` of the table above."""
    if "position_embeddings" in name or "pos_embed" in name:
        return 0.0, 0.1
    if len(shape) >= 2:
        return 0.0, math.sqrt(3 / (math.prod(shape) / shape[0]))
    if name.endswith(("weight", "running_var")):
        return 1.0, 0.25
    return 0.0, 0.1


def weight(name, shape):
    """The float32 weight `name`."""
    m, s = mean_and_scale(name, shape)
    u = 2 * words(name, math.prod(shape)).astype(np.float64) / 2**24 - 1
    return torch.from_numpy((s * u + m).astype(np.float32)).reshape(shape)


def uniform(name, shape):
    """The float32 input `name`, uniform in [0, 1)."""
    values = words(name, math.prod(shape)).astype(np.float64) / 2**24
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def label(name, shape, classes):
    """The label map `name` with values 0 .. classes - 1, int64."""
    values = (words(name, math.prod(shape)) % np.uint64(classes)).astype(np.int64)
    return torch.from_numpy(values).reshape(shape)


@torch.no_grad()
def fill(network):
    """Sets every parameter and float buffer of `network`, each under its first name."""
    for named in (network.named_parameters(), network.named_buffers()):
        for name, tensor in named:
            if tensor.is_floating_point():
                tensor.copy_(weight(name, tuple(tensor.shape)))
    return network
