"""The discriminator of `adversarial.py`: are these the true colors of a gray photograph?

A copy of the colorizing network, which sees noisy chroma of known strength, and the frozen
EfficientNet-Lite0, which sees the colored picture at half its size. Small heads read both.
"""
from copy import deepcopy
import torch, torch.nn.functional as F
from torch import nn
from colorized.model.encoder import encoder_input, load_pretrained
from colorized.model.layers import time_embedding
from colorized.model.unet import Condition
from colorized.photo.lab import lab_to_rgb
from colorized.photo.resampling import up_chroma

class Head(nn.Module):
    "True or not, at each place of a map of features"
    def __init__(self, n_in, width=64):
        super().__init__()
        self.width = width
        self.inp,self.emb = nn.Conv2d(n_in, width, 1),nn.Linear(width, width)
        self.mix,self.out = nn.Conv2d(width, width, 3, padding=1),nn.Conv2d(width, 1, 1)
    def forward(self, f, t):
        emb = self.emb(time_embedding(t, self.width))[:,:,None,None]
        h = self.inp(F.group_norm(f, 1)) + emb
        return self.out(F.silu(h + self.mix(F.silu(h)))).float()

def levels(unet, x_t, t, cond):
    "What each level of a U-Net passes on, down and up"
    found = []
    hooks = [o.register_forward_hook(lambda _, __, out: found.append(out))
             for o in (*unet.down, *unet.up)]
    unet(x_t, t, cond)
    for o in hooks: o.remove()
    return found

class Discriminator(nn.Module):
    "A copy of a network and Lite0, both read by heads"
    def __init__(self, net, scale):
        super().__init__()
        self.unet,self.scale = deepcopy(net.unet).requires_grad_(True),scale
        self.lite = load_pretrained().eval().requires_grad_(False)
        widths = net.cfg.widths
        self.heads = nn.ModuleList(map(Head, (*widths, *reversed(widths))))
        self.color_heads = nn.ModuleList(map(Head, (24, 40, 112, 320)))
    def maps(self, x0, x_t, t, L, features):
        "What its heads read of clean and of noisy chroma"
        cond = Condition(L/50-1, self.unet.project_features(features))
        small = F.avg_pool2d(L, 2)
        ab = up_chroma(x0*self.scale, small.shape[-2:])
        h = encoder_input(lab_to_rgb(torch.cat([small, ab], 1)).clamp(0, 1))
        h,colors = F.relu6(self.lite.stem(h)),[]
        for stage in self.lite.stages:
            h = stage(h)
            colors.append(h)
        return levels(self.unet, x_t, t, cond),[colors[i] for i in (1, 2, 4, 6)]
    def forward(self, maps, t):
        "Of each head, by network and colors"
        own,colors = maps
        clean = torch.zeros_like(t)
        return ([h(f, t) for h,f in zip(self.heads, own)],
                [h(f, clean) for h,f in zip(self.color_heads, colors)])
