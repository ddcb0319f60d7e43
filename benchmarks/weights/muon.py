"Another optimizer for the convolutions of the U-Net: `guesses --muon`"
import torch
from torch import nn

def kernels_of(unet):
    "Those of its convolutions, but for the first and the last, which touch chroma and lightness"
    return [o.weight for name,o in unet.named_modules()
            if isinstance(o, nn.Conv2d) and not name.startswith(('inp', 'out'))]

class KernelMuon:
    """Muon (Jordan et al. 2024) for kernels, as matrices of a row for each output

    A step is about as long as AdamW's at the same rate (Liu et al. 2025, arXiv 2502.16982)."""
    def __init__(self, kernels, lr):
        self.kernels = kernels
        self.matrices = [nn.Parameter(o.detach().flatten(1).clone()) for o in kernels]
        self.optimizer = torch.optim.Muon(self.matrices, lr, weight_decay=0.,
                                          adjust_lr_fn='match_rms_adamw')
    @torch.no_grad()
    def step(self, lr):
        self.optimizer.param_groups[0]['lr'] = lr
        for k,m in zip(self.kernels, self.matrices): m.grad = k.grad.flatten(1)
        self.optimizer.step()
        for k,m in zip(self.kernels, self.matrices): k.copy_(m.view_as(k))
