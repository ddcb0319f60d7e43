"Gaussian data, where the optimal denoiser, the probability flow and the likelihood are known."
import math
import numpy as np, torch
from colorized.theory.samplers import randn
from colorized.theory.schedule import NoiseSchedule

torch.set_num_threads(1)
F64 = torch.float64
SHAPE,D = (2,8,8),128
CHAINS = dict(
    cosine=dict(),
    linear=dict(kind='linear'),
    design=dict(shift=2.5, zero_terminal=True),
    linear_zt=dict(kind='linear', zero_terminal=True))

def gen(seed=0): return torch.Generator().manual_seed(seed)

def data(side=8):
    "Mean (d,) and covariance (d,d) of smooth chroma images (2,side,side)"
    pos = torch.cartesian_prod(torch.arange(side), torch.arange(side)).to(F64)
    channels = torch.tensor([[1, 0.4], [0.4, 0.7]], dtype=F64)
    mean = torch.tensor([0.1, 0.3], dtype=F64).repeat_interleave(side**2)
    return mean,torch.kron(channels, torch.exp(-torch.cdist(pos, pos)/2))

def draw(mean, cov, n, seed):
    "`n` images of that distribution"
    side = int((len(mean)/2)**0.5)
    x = mean + randn((n, len(mean)), gen(seed), F64)@torch.linalg.cholesky(cov).T
    return x.view(n, 2, side, side)

def neg_log_prob(mean, cov, x0):
    return -torch.distributions.MultivariateNormal(mean, cov).log_prob(x0.flatten(1))

def even_chain(n, top, bottom, zero_terminal=False):
    "n steps of equal size in log-SNR; the last to pure noise if asked"
    ac = torch.linspace(top, bottom, n-zero_terminal, dtype=F64).sigmoid()
    if zero_terminal: ac = torch.cat([ac, ac.new_zeros(1)])
    return NoiseSchedule(1-ac/torch.cat([torch.ones(1), ac[:-1]]))

def affine(sampler, schedule, denoise, shape=SHAPE):
    "Offset (d,) and matrix (d,d) of a deterministic sampler: x -> offset + x@matrix"
    d = math.prod(shape)
    basis = torch.cat([torch.zeros(1, d, dtype=F64), torch.eye(d, dtype=F64)]).view(-1, *shape)
    out = sampler(denoise, basis, None, schedule).flatten(1)
    return out[0],out[1:]-out[0]

def slope(n, err): return np.polyfit(np.log(n[-4:]), np.log(err[-4:]), 1)[0]
