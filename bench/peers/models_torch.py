"""The models of harness.py as PyTorch modules."""

import torch
import torch.nn.functional as F
from torch import nn

import harness


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 128), nn.ReLU(), nn.Linear(128, harness.CLASSES))


def convolve(inputs, outputs, window, stride=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, window, stride, window // 2, bias=False),
                         nn.BatchNorm2d(outputs, eps=1e-5, track_running_stats=False))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.first = convolve(inputs, outputs, 3, stride)
        self.second = convolve(outputs, outputs, 3)
        self.shortcut = nn.Identity() if inputs == outputs else convolve(inputs, outputs, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def resnet():
    blocks = [ResidualBlock(inputs, outputs) for inputs, outputs in harness.RESNET_BLOCKS]
    return nn.Sequential(convolve(3, 16, 3), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(64, harness.CLASSES))


class Block(nn.Module):
    """A layer of gpt."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attention(self, x):
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.projection(out.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary, length, width, heads, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        return self.head(self.norm(self.blocks(x))).flatten(0, 1)


class LSTM(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.cells, self.head = nn.LSTM(features, hidden, batch_first=True), nn.Linear(hidden, harness.CLASSES)

    def forward(self, x):
        states, _ = self.cells(x)
        return self.head(states[:, -1])
