"""The network of ``model="cnn"``: a small convolutional network for images."""

from __future__ import annotations

from torch import nn

#: Channels of the convolutions; further ones have as many as the last.
CHANNELS = (16, 32, 64)
#: Units of the hidden layer.
HIDDEN = 128
#: Convolutions halve an image until it is no longer than this.
LAST_SIZE = 8


def cnn(n_outputs: int, input_shape: tuple[int, ...]) -> nn.Sequential:
    """Return an untrained convolutional network.

    Convolutions with batch norm and rectifier, then a hidden layer of 128 units. Images longer than 8 pixels
    are halved by strides until they are not; the first convolution is 5×5 there, others are 3×3. Dropout, in
    front of both linear layers, is 0 until a candidate sets it. Strides instead of pooling make a step nearly
    twice as fast on a CPU, and the network no worse.

    `input_shape`: ``(channels, height, width)``.

    >>> import torch
    >>> cnn(10, (1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    n_in, height, width = input_shape
    layers: list[nn.Module] = []
    for number, stride in enumerate(_strides(max(height, width))):
        n_out = CHANNELS[min(number, len(CHANNELS) - 1)]
        size = 5 if number == 0 and stride > 1 else 3
        layers += [
            nn.Conv2d(n_in, n_out, size, stride=stride, padding=size // 2, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        ]
        n_in, height, width = n_out, -(-height // stride), -(-width // stride)
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(0.0),
        nn.Linear(n_in * height * width, HIDDEN),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(HIDDEN, n_outputs),
    ).float()  # whatever torch makes by default


def _strides(size: int) -> list[int]:
    """Return the strides of the convolutions, two at least, the last of them above 1.

    >>> _strides(8), _strides(16), _strides(28), _strides(64)
    ([1, 2], [1, 2], [2, 2], [2, 2, 2])
    """
    n_halved = 0
    while size > LAST_SIZE:
        size, n_halved = -(-size // 2), n_halved + 1
    return [1] * (2 - max(1, n_halved)) + [2] * max(1, n_halved)
