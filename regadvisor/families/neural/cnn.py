"""The network of ``model="cnn"``: a small convolutional network for images."""

from __future__ import annotations

from torch import nn

#: Channels of the two convolutions.
CHANNELS = (16, 32)


def cnn(n_outputs: int, input_shape: tuple[int, ...]) -> nn.Sequential:
    """Return an untrained convolutional network.

    Twice a 3×3 convolution (16, then 32 channels), rectifier and 2×2 maximum; then dropout and one linear
    layer. The dropout rate is 0 until a candidate sets it.

    Parameters
    ----------
    n_outputs : int
    input_shape : tuple of int
        ``(channels, height, width)``.

    Examples
    --------
    >>> import torch
    >>> cnn(10, (1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    n_channels, height, width = input_shape
    layers: list[nn.Module] = []
    for n_in, n_out in zip((n_channels, *CHANNELS), CHANNELS, strict=False):
        layers += [
            nn.Conv2d(n_in, n_out, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
        height, width = -(-height // 2), -(-width // 2)
    n_last = CHANNELS[-1] * height * width
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.0), nn.Linear(n_last, n_outputs))
