"Samplers on Gaussian data, where the truth is known, and step by step against diffusers."
import numpy as np, pytest, torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from colorized.theory.samplers import ddim, ddpm, dpmpp_2m, randn
from colorized.theory.schedule import NoiseSchedule, make_schedule
from colorized.theory.vlb import gaussian_denoiser
from .gaussian import CHAINS, F64, SHAPE, affine, data, even_chain, gen, slope
from .parity import NAMES, SCHEDULES, STEPS, assert_close, output, scheduler, walk, x_T

CASES = [(s,p) for s in SCHEDULES for p in NAMES if not (p=='eps' and s.endswith('_zt'))]
# The full chain takes a second: once for each schedule. The short ones see every parametrization
WALKS = [*((s, 'v', STEPS[0]) for s in SCHEDULES), *((*c, n) for c in CASES for n in STEPS[1:])]

# Moments

@pytest.mark.parametrize('chain', CHAINS)
@pytest.mark.parametrize('sampler, n, tol', [
    (ddim, 1000, 0.01), (dpmpp_2m, 100, 0.01), (dpmpp_2m, 1000, 0.002)])
def test_deterministic_moments(chain, sampler, n, tol):
    """The mean and the covariance that come out are those of the data: exactly computed, no
    sampling error. But for the linear chain, whose end keeps 0.0064 of the picture: started from
    noise of mean 0 it loses that share of the mean, the leak that zero terminal SNR mends."""
    mean,cov = data()
    schedule = make_schedule(**CHAINS[chain])
    offset,A = affine(sampler, schedule.respace(n), gaussian_denoiser(mean, cov, schedule))
    assert (offset-mean).abs().max() < (0.01 if chain=='linear' else tol)
    assert (A.T@A-cov).abs().max() < tol

@pytest.mark.parametrize('chain', CHAINS)
@pytest.mark.parametrize('sampler, kwargs', [
    (ddpm, dict(var='small')), (ddpm, dict(var='large')),
    (ddim, dict(eta=0.5))])
def test_stochastic_moments(chain, sampler, kwargs):
    """The same for the random samplers, within four standard errors of 10,000 samples (and a little
    bias). DDIM with eta=1 is DDPM with the small variance: it is compared with diffusers below"""
    mean,cov = data(2)
    schedule,n = make_schedule(**CHAINS[chain]),10000
    denoise = gaussian_denoiser(mean, cov, schedule)
    start = randn((n, 2, 2, 2), gen(1), F64)
    x = sampler(denoise, start, None, schedule.respace(250), generator=gen(2), **kwargs).flatten(1)
    assert ((x.mean(0)-mean).abs() < 4*(cov.diagonal()/n).sqrt() + 0.003).all()
    error = ((cov.diagonal()[:,None]*cov.diagonal() + cov**2)/n).sqrt()
    assert ((x.T.cov()-cov).abs() < 4*error + 0.03).all()

def test_samplers_meet():
    """From the same noise DDIM and DPM-Solver++ go to the same image; ancestral sampling to the
    same distribution"""
    mean,cov = data()
    schedule = make_schedule(shift=2.5, zero_terminal=True)
    start,denoise = randn((64, *SHAPE), gen(3), F64),gaussian_denoiser(mean, cov, schedule)
    def apart(n):
        few = schedule.respace(n)
        return (ddim(denoise, start, None, few)-dpmpp_2m(denoise, start, None, few)).abs().max()
    far = [apart(n) for n in (50, 200, 1000)]
    assert far[0] > 2*far[1] > 8*far[2] and far[2] < 0.02

# Orders

@pytest.mark.parametrize('sampler, order', [(ddim, 1), (dpmpp_2m, 2)])
def test_order_of_convergence(sampler, order):
    """Errors against the exact probability flow between two ends fall with the order that the
    solver claims"""
    mean,cov = data()
    start = randn((64, *SHAPE), gen(4), F64)
    lam,U = torch.linalg.eigh(cov)
    ns,errors = np.array([16, 32, 64, 128, 256, 512]),[]
    for n in ns:
        schedule = even_chain(n, 8, -8)
        denoise = gaussian_denoiser(mean, cov, schedule)
        a2,b2 = schedule.alphas_cumprod[-1],schedule.alphas_cumprod[0]
        stretch = ((b2*lam+1-b2)/(a2*lam+1-a2)).sqrt()
        x = ((start.flatten(1)-a2.sqrt()*mean)@U*stretch)@U.T + b2.sqrt()*mean
        exact = denoise(x.view(-1, *SHAPE), torch.zeros(64, dtype=torch.int64), None)
        errors.append(((sampler(denoise, start, None, schedule)-exact)**2).mean().sqrt().item())
    assert abs(-slope(ns, errors)-order) < 0.1, errors

def test_zero_terminal_keeps_the_order():
    """The special first steps of DPM-Solver++ from pure noise do not spoil its order: the
    covariance still converges as 1/n**2"""
    mean,cov = data()
    ns,errors = np.array([16, 32, 64, 128, 256]),[]
    for n in ns:
        schedule = even_chain(n, 16, -10, zero_terminal=True)
        A = affine(dpmpp_2m, schedule, gaussian_denoiser(mean, cov, schedule))[1]
        errors.append((A.T@A-cov).abs().max().item())
    assert -slope(ns, errors) > 1.85, errors

# The contract

@pytest.mark.parametrize('sampler', [ddim, dpmpp_2m])
def test_float32_is_enough(sampler):
    "A float32 run stays within 1e-4 of the float64 run"
    mean,cov = data()
    schedule = make_schedule(shift=2.5, zero_terminal=True)
    noise,few = randn((4, *SHAPE), gen(7)),schedule.respace(100)
    a = sampler(gaussian_denoiser(mean, cov, schedule), noise.double(), None, few)
    b = sampler(gaussian_denoiser(mean.float(), cov.float(), schedule), noise, None, few)
    assert b.dtype==torch.float32 and (a-b).abs().max() < 1e-4

@pytest.mark.parametrize('sampler, kwargs', [(ddpm, {}), (ddim, dict(eta=0.7))])
def test_image_does_not_depend_on_the_batch(sampler, kwargs):
    mean,cov = data()
    schedule = make_schedule(shift=2.5, zero_terminal=True)
    denoise = gaussian_denoiser(mean, cov, schedule)
    def run(seeds):
        gens = [gen(s) for s in seeds]
        start = randn((len(seeds), *SHAPE), gens, F64)
        return sampler(denoise, start, None, schedule.respace(10), generator=gens, **kwargs)
    batch = run([1, 2, 3])
    for i,s in enumerate([1, 2, 3]):
        assert torch.allclose(run([s])[0], batch[i], atol=1e-12)

@pytest.mark.parametrize('sampler, kwargs', [
    (ddpm, dict(generator=gen())), (ddim, {}), (dpmpp_2m, {})])
def test_the_denoiser_is_told_original_timesteps(sampler, kwargs):
    "One for each image, int64, and the condition as it is"
    asked,cond = [],object()
    def denoise(x_t, t, c):
        asked.append((t.dtype, t.tolist(), c is cond))
        return 0*x_t
    sampler(denoise, torch.ones(3, 2), cond, make_schedule().respace(4), **kwargs)
    assert asked==[(torch.int64, [t]*3, True) for t in (999, 749, 499, 249)]

# Against diffusers

@pytest.mark.parametrize('schedule, param, n_steps', WALKS)
@pytest.mark.parametrize('var, theirs', [('small','fixed_small'), ('large','fixed_large')])
def test_ddpm(schedule, param, n_steps, var, theirs):
    """Ancestral steps agree, with the same noise: both draw from a `torch.Generator` in the shape
    of the sample.

    diffusers calls the variances fixed_small and fixed_large. On a re-spaced chain its last
    timestep is not 0 and it adds noise there: for fixed_small of variance 1e-20, which does not
    show, for fixed_large of the whole beta of the last jump. Our last step never adds any (Ho et
    al., algorithm 2), so for fixed_large the last step is compared on the full chain only. Our
    generator runs through the whole chain; theirs is put into the same state at every step."""
    schedule = SCHEDULES[schedule]()
    ts,states = walk(ddpm, schedule, param, n_steps, generator=gen(1), var=var)
    how = dict(variance_type=theirs, clip_sample=False)
    s,generator = scheduler(DDPMScheduler, schedule, param, n_steps, **how),gen(1)
    for k,t in enumerate(ts):
        if t==ts[-1] and t>0 and theirs=='fixed_large': continue
        x_t = states[k]
        step = s.step(output(x_t, t), t, x_t, generator=generator).prev_sample
        assert_close(states[k+1], step)

@pytest.mark.parametrize('schedule, param, n_steps, eta', [
    (*w, eta) for w in WALKS for eta in ([0.5] if w[2]==STEPS[0] else [0., 0.5, 1.])])
def test_ddim(schedule, param, n_steps, eta):
    """DDIM steps agree for every eta. diffusers needs `set_alpha_to_one` (its default) to end at
    the clean image, as we do.

    From pure noise with eta=1 the old noise has weight sqrt(0). In diffusers that zero may round
    below 0 and give NaN; we clamp it. Such a step is left out."""
    schedule = SCHEDULES[schedule]()
    ts,states = walk(ddim, schedule, param, n_steps, generator=gen(1), eta=eta)
    how = dict(clip_sample=False, set_alpha_to_one=True)
    s,generator = scheduler(DDIMScheduler, schedule, param, n_steps, **how),gen(1)
    for k,t in enumerate(ts):
        x_t = states[k]
        step = s.step(output(x_t, t), t, x_t, eta=eta, generator=generator).prev_sample
        from_noise = k==0 and schedule.alphas_cumprod[-1]==0
        if eta==1 and from_noise and step.isnan().all(): continue
        assert_close(states[k+1], step)

def clamped(schedule):
    "A stand-in for zero terminal SNR: the last alpha_bar is tiny"
    ac = schedule.alphas_cumprod
    ac[-1] = ac[-1].clamp(min=1e-10)
    return NoiseSchedule(1-ac/torch.cat([torch.ones(1), ac[:-1]]))

def dpm_steps(s, ts, states, reset_at=()):
    "diffusers' steps from our states; at those in `reset_at` it is made to forget the guess before"
    for k,t in enumerate(ts):
        if k in reset_at: s.lower_order_nums = 0
        yield k,s.step(output(states[k], t), t, states[k]).prev_sample

@pytest.mark.parametrize('schedule, param, n_steps', WALKS)
def test_dpmpp_2m(schedule, param, n_steps):
    """DPM-Solver++(2M) steps agree: diffusers' order 2, "dpmsolver++", "midpoint", last sigma 0.

    - diffusers casts the state to float32 within a step, which costs up to 1e-7.
    - It writes the step with sigma/alpha and exp(-h), we as DDIM towards an extrapolated guess; the
      same algebra.
    - Zero terminal SNR: diffusers has none here, it puts 2**-24 in the place of the last alpha_bar
      (which on the linear chain exceeds the one before it). We put 1e-10 there and let both run on
      that chain; the true zero is the next test."""
    schedule = clamped(SCHEDULES[schedule]())
    ts,states = walk(dpmpp_2m, schedule, param, n_steps)
    s = scheduler(DPMSolverMultistepScheduler, schedule, param, n_steps, solver_order=2,
        algorithm_type='dpmsolver++', solver_type='midpoint', final_sigmas_type='zero')
    assert s.timesteps.tolist()==ts
    for k,step in dpm_steps(s, ts, states): assert_close(states[k+1], step)

@pytest.mark.parametrize('n_steps', STEPS)
@pytest.mark.parametrize('schedule', ['linear_zt','cosine_zt'])
@pytest.mark.parametrize('param', ['x0','v'])
def test_dpmpp_2m_zero_terminal(schedule, param, n_steps):
    """At a true zero the log-SNR of the first step is -inf. Our first step is the limit of
    diffusers' for a vanishing last alpha_bar.

    The second step differs: the slope between the first two guesses is taken over an infinite
    distance, and we take it as 0. diffusers, at a large finite distance, extrapolates a little;
    made to forget the first guess, it agrees."""
    schedule = SCHEDULES[schedule]()
    ts,states = walk(dpmpp_2m, schedule, param, n_steps)
    s = scheduler(DPMSolverMultistepScheduler, schedule, param, n_steps, solver_order=2,
        algorithm_type='dpmsolver++', final_sigmas_type='zero')
    s.sigmas[0] = 1e12
    for k,step in dpm_steps(s, ts, states, reset_at=(1,)): assert_close(states[k+1], step)

@pytest.mark.parametrize('param', NAMES)
def test_whole_run(param):
    """Not only step by step: ten steps of diffusers' loop end where ours end, within what its
    float32 states allow"""
    schedule = make_schedule('linear')
    for cls,sampler,kwargs in ((DDIMScheduler, ddim, dict(clip_sample=False)),
                               (DPMSolverMultistepScheduler, dpmpp_2m, {})):
        ours = walk(sampler, schedule, param, 10)[1][-1]
        s,x = scheduler(cls, schedule, param, 10, **kwargs),x_T()
        for t in s.timesteps: x = s.step(output(x, t), t, x).prev_sample
        assert_close(ours, x, 1e-4)
