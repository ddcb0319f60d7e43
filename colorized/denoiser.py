"What must a network predict?"
# draft: becomes the export of nbs/02_denoiser.ipynb
from .schedule import extract

__all__ = ['target', 'to_x0', 'to_eps', 'Denoiser']

def _signal_noise(schedule, t, like):
    return extract(schedule.sqrt_alphas_cumprod, t, like), extract(schedule.sqrt_one_minus_alphas_cumprod, t, like)

def target(param, x0, eps, t, schedule):
    "What a network of kind `param` should output at `t`"
    a,s = _signal_noise(schedule, t, x0)
    return {'eps': lambda: eps, 'x0': lambda: x0, 'v': lambda: a*eps - s*x0}[param]()

def to_x0(param, out, x_t, t, schedule):
    a,s = _signal_noise(schedule, t, x_t)
    return {'eps': lambda: (x_t-s*out)/a, 'x0': lambda: out, 'v': lambda: a*x_t - s*out}[param]()

def to_eps(x0_hat, x_t, t, schedule):
    a,s = _signal_noise(schedule, t, x_t)
    return (x_t-a*x0_hat)/s

class Denoiser:
    "A network behind the contract `denoise(x_t, t, cond) -> x0_hat`"
    def __init__(self, network, schedule, param='x0'): self.network,self.schedule,self.param = network,schedule,param
    def __call__(self, x_t, t, cond=None): return to_x0(self.param, self.network(x_t, t, cond), x_t, t, self.schedule)
