"How fast should a colour photograph dissolve?"
# draft: becomes the export of nbs/01_schedule.ipynb
import math, torch
from torch import Tensor

__all__ = ['extract', 'linear_betas', 'cosine_betas', 'shift_betas', 'zero_terminal_snr', 'make_schedule', 'NoiseSchedule']

def extract(table, t, like):
    "Look up `table` at `t` and shape it to broadcast over `like`"
    return table.to(like.device)[t.to(like.device)].to(like.dtype).view(-1, *[1]*(like.ndim-1))

def linear_betas(n_steps=1000, start=1e-4, end=0.02): return torch.linspace(start, end, n_steps, dtype=torch.float64)

def cosine_betas(n_steps=1000, s=0.008, max_beta=0.999):
    u = torch.linspace(0, 1, n_steps+1, dtype=torch.float64)
    f = ((u+s)/(1+s)*math.pi/2).cos()**2
    return (1 - f[1:]/f[:-1]).clamp(max=max_beta)

def _betas_of(alphas_cumprod):
    prev = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])
    return 1 - alphas_cumprod/prev

def shift_betas(betas, shift=1.):
    "Divide the SNR by `shift`**2 at every step"
    ac = (1-betas.double()).cumprod(0)
    snr = ac/(1-ac)/shift**2
    return _betas_of(snr/(1+snr))

def zero_terminal_snr(betas):
    s = (1-betas.double()).cumprod(0).sqrt()
    s = (s-s[-1])*s[0]/(s[0]-s[-1])
    return _betas_of(s**2)

def make_schedule(kind='cosine', n_steps=1000, shift=1., zero_terminal=False):
    betas = {'linear': linear_betas, 'cosine': cosine_betas}[kind](n_steps)
    if shift!=1: betas = shift_betas(betas, shift)
    if zero_terminal: betas = zero_terminal_snr(betas)
    return NoiseSchedule(betas)

class NoiseSchedule:
    def __init__(self, betas, timesteps=None):
        self.betas = betas.double()
        self.timesteps = torch.arange(len(betas)) if timesteps is None else timesteps
        self.alphas = 1-self.betas
        self.alphas_cumprod = self.alphas.cumprod(0)
        self.sqrt_alphas_cumprod = self.alphas_cumprod.sqrt()
        self.sqrt_one_minus_alphas_cumprod = (1-self.alphas_cumprod).sqrt()
        self.snr = self.alphas_cumprod/(1-self.alphas_cumprod)
    def __len__(self): return len(self.betas)
    def q_sample(self, x0, t, eps):
        return extract(self.sqrt_alphas_cumprod, t, x0)*x0 + extract(self.sqrt_one_minus_alphas_cumprod, t, x0)*eps
    def respace(self, n_steps):
        "The same chain visited at `n_steps` evenly spaced steps, the last always included"
        idx = torch.linspace(len(self)-1, 0, n_steps+1, dtype=torch.float64)[:-1].round().long().flip(0)
        return NoiseSchedule(_betas_of(self.alphas_cumprod[idx]), self.timesteps[idx])
