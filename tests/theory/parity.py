"""Our samplers and diffusers' schedulers over the same tables, in float64.

Our sampler runs once and leaves its states behind; then each state is handed to diffusers together
with the network's raw output, and the step it takes is compared with ours. Conventions that differ:

- diffusers keeps its tables in float32 and derives them itself; we put our float64 tables in their
  place, so that the steps are compared and not the rounding of the tables. (`test_schedule`
  compares those, to float32 accuracy.)
- diffusers calls the x0-prediction "sample", knows nothing of re-spaced schedules and is told the
  timesteps instead ("trailing" spacing, which is what `respace` does).
- diffusers clips x0 to [-1,1] unless told not to (DDPM and DDIM). We never clip.
- An eps-network on a zero-terminal-SNR chain cannot start: ours refuses, diffusers divides by zero.
  Nothing to compare.
"""
import torch
from colorized.theory.denoiser import Denoiser
from colorized.theory.schedule import make_schedule

NAMES = dict(eps='epsilon', x0='sample', v='v_prediction')
SCHEDULES = dict(
    linear=lambda: make_schedule('linear'),
    cosine=lambda: make_schedule('cosine'),
    linear_zt=lambda: make_schedule('linear', zero_terminal=True),
    cosine_zt=lambda: make_schedule('cosine', shift=2.5, zero_terminal=True))
STEPS = [1000, 20, 10]

def network(x_t, t, cond):
    "A deterministic stand-in for a network: nonlinear, different for each timestep"
    phase = t.double().view(-1, 1, 1, 1)/1000
    return 0.7*torch.sin(x_t + 3*phase) + 0.2*x_t.flip(-1)*torch.cos(5*phase)

def output(x_t, t):
    "What `network` says of a batch at timestep `t`"
    return network(x_t, torch.full((len(x_t),), int(t)), None)

def x_T(n=2):
    return torch.randn(n, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

def scheduler(cls, schedule, param, n_steps, **kwargs):
    "diffusers' scheduler over our tables"
    s = cls(num_train_timesteps=len(schedule), prediction_type=NAMES[param],
            timestep_spacing='trailing', **kwargs)
    s.betas = schedule.betas
    s.alphas = schedule.alphas
    s.alphas_cumprod = schedule.alphas_cumprod
    for name in ('one','final_alpha_cumprod'):
        if hasattr(s, name): setattr(s, name, torch.ones((), dtype=torch.float64))
    s.set_timesteps(n_steps)
    if hasattr(s, 'sigmas'): # cast to float32 by set_timesteps
        ac = schedule.alphas_cumprod[s.timesteps]
        s.sigmas = torch.cat([((1-ac)/ac).sqrt(), torch.zeros(1, dtype=torch.float64)])
    return s

def walk(sampler, schedule, param, n_steps, **kwargs):
    "Timesteps, states and final sample of one of our samplers"
    states,ts = [],[]
    def callback(i, t, x_t, x0_hat):
        assert i==len(ts)
        states.append(x_t)
        ts.append(t)
    denoise,few = Denoiser(network, schedule, param),schedule.respace(n_steps)
    out = sampler(denoise, x_T(), None, few, callback=callback, **kwargs)
    return ts,states+[out]

def assert_close(ours, theirs, rtol=1e-5):
    assert ours.dtype==theirs.dtype==torch.float64
    apart = ((ours-theirs).abs().max()/theirs.abs().max()).item()
    assert apart <= rtol, f"differ by {apart:.2e} relative"
