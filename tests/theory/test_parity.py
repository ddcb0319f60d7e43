"""Stepwise agreement with diffusers' schedulers, in float64, to 1e-5 relative.

Our sampler runs once and leaves its states behind; then each state is handed to diffusers together with the network's raw
output, and the step it takes is compared with ours. Conventions that differ, for all tests here:

- diffusers keeps its tables in float32 and derives them itself; we put our float64 tables in their place, so that the steps
  are compared and not the rounding of the tables. (`test_tables` compares those, to float32 accuracy.)
- diffusers calls the x0-prediction "sample", knows nothing of re-spaced schedules and is told the timesteps instead
  ("trailing" spacing, which is what `respace` does).
- diffusers clips x0 to [-1,1] unless told not to (DDPM and DDIM). We never clip.
- An eps-network on a zero-terminal-SNR chain cannot start: ours refuses, diffusers divides by zero. Nothing to compare.
"""
import pytest, torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from colorized.theory.denoiser import Denoiser
from colorized.theory.samplers import ddim, ddpm, dpmpp_2m
from colorized.theory.schedule import NoiseSchedule, cosine_betas, linear_betas, make_schedule, zero_terminal_snr

torch.set_num_threads(1)
NAMES = dict(eps='epsilon', x0='sample', v='v_prediction')
SCHEDULES = dict(linear=lambda: make_schedule('linear'), cosine=lambda: make_schedule('cosine'),
                 linear_zt=lambda: make_schedule('linear', zero_terminal=True), cosine_zt=lambda: make_schedule('cosine', shift=2.5, zero_terminal=True))
CASES = [(s,p) for s in SCHEDULES for p in NAMES if not (p=='eps' and s.endswith('_zt'))]
STEPS = [1000, 20, 10]

def network(x_t, t, cond):
    "A deterministic stand-in for a network: nonlinear, different for each timestep"
    phase = t.double().view(-1, 1, 1, 1)/1000
    return 0.7*torch.sin(x_t + 3*phase) + 0.2*x_t.flip(-1)*torch.cos(5*phase)

def x_T(n=2): return torch.randn(n, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

def scheduler(cls, schedule, param, n_steps, **kwargs):
    "diffusers' scheduler over our tables"
    s = cls(num_train_timesteps=len(schedule), prediction_type=NAMES[param], timestep_spacing='trailing', **kwargs)
    s.betas,s.alphas,s.alphas_cumprod = schedule.betas,schedule.alphas,schedule.alphas_cumprod
    for name in ('one','final_alpha_cumprod'):
        if hasattr(s, name): setattr(s, name, torch.ones((), dtype=torch.float64))
    s.set_timesteps(n_steps)
    if hasattr(s, 'sigmas'):   # cast to float32 by set_timesteps
        ac = schedule.alphas_cumprod[s.timesteps]
        s.sigmas = torch.cat([((1-ac)/ac).sqrt(), torch.zeros(1, dtype=torch.float64)])
    return s

def walk(sampler, schedule, param, n_steps, network=network, **kwargs):
    "Timesteps, states and final sample of one of our samplers"
    states,ts = [],[]
    def callback(i, t, x_t, x0_hat): states.append(x_t); ts.append(t)
    out = sampler(Denoiser(network, schedule, param), x_T(), None, schedule.respace(n_steps), callback=callback, **kwargs)
    return ts,states+[out]

def assert_close(ours, theirs, rtol=1e-5):
    assert ours.dtype==theirs.dtype==torch.float64
    scale = theirs.abs().max()
    assert (ours-theirs).abs().max() <= rtol*scale, f"differ by {((ours-theirs).abs().max()/scale).item():.2e} relative"

@pytest.mark.parametrize('kind', ['linear','cosine'])
def test_tables(kind):
    "Betas and their zero-terminal rescaling are diffusers' own, to float32. `squaredcos_cap_v2` is our cosine; diffusers' DDIM names the rescaling."
    betas = dict(linear=linear_betas, cosine=cosine_betas)[kind]()
    name = dict(linear='linear', cosine='squaredcos_cap_v2')[kind]
    theirs = DDIMScheduler(beta_schedule=name, beta_start=1e-4, beta_end=0.02)
    assert torch.allclose(betas.float(), theirs.betas, rtol=2e-4, atol=1e-7)
    theirs = DDIMScheduler(beta_schedule=name, beta_start=1e-4, beta_end=0.02, rescale_betas_zero_snr=True)
    assert torch.allclose(NoiseSchedule(zero_terminal_snr(betas)).alphas_cumprod.float(), theirs.alphas_cumprod, atol=1e-5)

@pytest.mark.parametrize('n_steps', STEPS)
def test_respace(n_steps):
    "`respace` visits the timesteps of \"trailing\" spacing, in increasing order where diffusers lists them from noisy to clean"
    schedule = make_schedule()
    assert schedule.respace(n_steps).timesteps.tolist()==scheduler(DDIMScheduler, schedule, 'v', n_steps).timesteps.tolist()[::-1]

@pytest.mark.parametrize('n_steps', STEPS)
@pytest.mark.parametrize('schedule,param', CASES)
@pytest.mark.parametrize('var,theirs', [('small','fixed_small'), ('large','fixed_large')])
def test_ddpm(schedule, param, n_steps, var, theirs):
    """Ancestral steps agree, with the same noise: both draw from a `torch.Generator` in the shape of the sample.

    diffusers calls the variances fixed_small and fixed_large. On a re-spaced chain its last timestep is not 0 and it adds noise there: for
    fixed_small of variance 1e-20, which does not show, for fixed_large of the whole beta of the last jump. Our last step never adds any (Ho et al.,
    algorithm 2), so for fixed_large the last step is compared on the full chain only. Our generator runs through the whole chain; theirs is put into the same state at every step."""
    schedule = SCHEDULES[schedule]()
    ts,states = walk(ddpm, schedule, param, n_steps, generator=torch.Generator().manual_seed(1), var=var)
    s,gen = scheduler(DDPMScheduler, schedule, param, n_steps, variance_type=theirs, clip_sample=False),torch.Generator().manual_seed(1)
    for k,t in enumerate(ts):
        if t==ts[-1] and t>0 and theirs=='fixed_large': continue
        x_t = states[k]
        step = s.step(network(x_t, torch.full((len(x_t),), t), None), t, x_t, generator=gen).prev_sample
        assert_close(states[k+1], step)

@pytest.mark.parametrize('n_steps', STEPS)
@pytest.mark.parametrize('schedule,param', CASES)
@pytest.mark.parametrize('eta', [0., 0.5, 1.])
def test_ddim(schedule, param, n_steps, eta):
    """DDIM steps agree for every eta. diffusers needs `set_alpha_to_one` (its default) to end at the clean image, as we do.

    From pure noise with eta=1 the old noise has weight sqrt(0). In diffusers that zero may round below 0 and give NaN; we clamp it. Such a step is left out."""
    schedule = SCHEDULES[schedule]()
    ts,states = walk(ddim, schedule, param, n_steps, generator=torch.Generator().manual_seed(1), eta=eta)
    s,gen = scheduler(DDIMScheduler, schedule, param, n_steps, clip_sample=False, set_alpha_to_one=True),torch.Generator().manual_seed(1)
    for k,t in enumerate(ts):
        x_t = states[k]
        step = s.step(network(x_t, torch.full((len(x_t),), t), None), t, x_t, eta=eta, generator=gen).prev_sample
        if eta==1 and k==0 and schedule.alphas_cumprod[-1]==0 and step.isnan().all(): continue
        assert_close(states[k+1], step)

def clamped(schedule):
    "A stand-in for zero terminal SNR: the last alpha_bar is tiny"
    ac = schedule.alphas_cumprod
    ac[-1] = ac[-1].clamp(min=1e-10)
    return NoiseSchedule(1-ac/torch.cat([torch.ones(1), ac[:-1]]))

def dpm_steps(s, ts, states, reset_at=()):
    "diffusers' steps from our states; at the steps in `reset_at` it is made to forget the guess before"
    for k,t in enumerate(ts):
        if k in reset_at: s.lower_order_nums = 0
        yield k,s.step(network(states[k], torch.full((len(states[k]),), t), None), t, states[k]).prev_sample

@pytest.mark.parametrize('n_steps', STEPS)
@pytest.mark.parametrize('schedule,param', CASES)
def test_dpmpp_2m(schedule, param, n_steps):
    """DPM-Solver++(2M) steps agree: diffusers' order 2, "dpmsolver++", "midpoint", final sigma zero.

    - diffusers casts the state to float32 within a step, which costs up to 1e-7.
    - It writes the step with sigma/alpha and exp(-h), we as DDIM towards an extrapolated guess; the same algebra.
    - Zero terminal SNR: diffusers has none here, it puts 2**-24 in the place of the last alpha_bar (which on the linear chain exceeds the one
      before it). We put 1e-10 there and let both run on that chain; the true zero is the next test."""
    schedule = clamped(SCHEDULES[schedule]())
    ts,states = walk(dpmpp_2m, schedule, param, n_steps)
    s = scheduler(DPMSolverMultistepScheduler, schedule, param, n_steps, solver_order=2, algorithm_type='dpmsolver++', solver_type='midpoint', final_sigmas_type='zero')
    assert s.timesteps.tolist()==ts
    for k,step in dpm_steps(s, ts, states): assert_close(states[k+1], step)

@pytest.mark.parametrize('n_steps', STEPS)
@pytest.mark.parametrize('schedule', ['linear_zt','cosine_zt'])
@pytest.mark.parametrize('param', ['x0','v'])
def test_dpmpp_2m_zero_terminal(schedule, param, n_steps):
    """At a true zero the log-SNR of the first step is -inf. Our first step is the limit of diffusers' for a vanishing last alpha_bar.

    The second step differs: the slope between the first two guesses is taken over an infinite distance, and we take it as 0. diffusers, at a large
    finite distance, extrapolates a little; made to forget the first guess, it agrees."""
    schedule = SCHEDULES[schedule]()
    ts,states = walk(dpmpp_2m, schedule, param, n_steps)
    s = scheduler(DPMSolverMultistepScheduler, schedule, param, n_steps, solver_order=2, algorithm_type='dpmsolver++', final_sigmas_type='zero')
    s.sigmas[0] = 1e12
    for k,step in dpm_steps(s, ts, states, reset_at=(1,)): assert_close(states[k+1], step)

@pytest.mark.parametrize('schedule', ['linear_zt','cosine_zt'])
def test_eps_on_zero_terminal(schedule):
    "Ours refuses, naming the argument; diffusers returns infinities or NaN"
    schedule = SCHEDULES[schedule]()
    with pytest.raises(ValueError, match='param|eps'): walk(ddim, schedule, 'eps', 10)
    s = scheduler(DDIMScheduler, schedule, 'eps', 10, clip_sample=False)
    assert not s.step(network(x_T(), torch.full((2,), 999), None), 999, x_T()).prev_sample.isfinite().all()

@pytest.mark.parametrize('param', NAMES)
def test_whole_run(param):
    "Not only step by step: ten steps of diffusers' loop end where ours end, within what its float32 states allow"
    schedule = make_schedule('linear')
    for cls,sampler,kwargs in ((DDIMScheduler, ddim, dict(clip_sample=False)), (DPMSolverMultistepScheduler, dpmpp_2m, {})):
        ours = walk(sampler, schedule, param, 10)[1][-1]
        s,x = scheduler(cls, schedule, param, 10, **kwargs),x_T()
        for t in s.timesteps: x = s.step(network(x, t.expand(2), None), t, x).prev_sample
        assert_close(ours, x, 1e-4)
