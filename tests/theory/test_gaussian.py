"""Oracles on Gaussian data, where the optimal denoiser, the probability flow and the likelihood are known in closed form.

The notebooks show the same on 8 dimensions; here are images of 2x8x8 with smooth covariance, full chains, and everything that
takes longer than a reader would wait."""
import math

import numpy as np, pytest, torch

from colorized.theory.denoiser import Denoiser, target, to_eps
from colorized.theory.samplers import ddim, ddpm, dpmpp_2m, guided, randn
from colorized.theory.schedule import NoiseSchedule, make_schedule
from colorized.theory.vlb import bits_per_dim, gaussian_denoiser, vlb_terms

torch.set_num_threads(1)
F64 = torch.float64
SHAPE,D = (2,8,8),128
CHAINS = dict(cosine=dict(), linear=dict(kind='linear'), design=dict(shift=2.5, zero_terminal=True), linear_zt=dict(kind='linear', zero_terminal=True))

def gen(seed=0): return torch.Generator().manual_seed(seed)

def data(side=8):
    "Mean (d,) and covariance (d,d) of smooth chroma images (2,side,side)"
    pos = torch.cartesian_prod(torch.arange(side), torch.arange(side)).to(F64)
    channels = torch.tensor([[1, 0.4], [0.4, 0.7]], dtype=F64)
    return torch.tensor([0.1, 0.3], dtype=F64).repeat_interleave(side**2),torch.kron(channels, torch.exp(-torch.cdist(pos, pos)/2))

def even_chain(n, top, bottom, zero_terminal=False):
    "n steps of equal size in log-SNR; the last to pure noise if asked"
    ac = torch.linspace(top, bottom, n-zero_terminal, dtype=F64).sigmoid()
    if zero_terminal: ac = torch.cat([ac, ac.new_zeros(1)])
    return NoiseSchedule(1-ac/torch.cat([torch.ones(1), ac[:-1]]))

def affine(sampler, schedule, denoise, shape=SHAPE):
    "Offset (d,) and matrix (d,d) of a deterministic sampler: x -> offset + x@matrix"
    d = math.prod(shape)
    out = sampler(denoise, torch.cat([torch.zeros(1, d, dtype=F64), torch.eye(d, dtype=F64)]).view(-1, *shape), None, schedule).flatten(1)
    return out[0],out[1:]-out[0]

def slope(n, err): return np.polyfit(np.log(n[-4:]), np.log(err[-4:]), 1)[0]

# Moments

@pytest.mark.parametrize('chain', CHAINS)
@pytest.mark.parametrize('sampler,n,tol', [(ddim, 1000, 0.01), (dpmpp_2m, 100, 0.01), (dpmpp_2m, 1000, 0.002)])
def test_deterministic_moments(chain, sampler, n, tol):
    """The mean and the covariance that come out are those of the data: exactly computed, no sampling error

    But for the linear chain, whose end keeps 0.0064 of the picture: started from noise of mean 0 it loses that share of the mean, the leak that zero terminal SNR mends."""
    (mean,cov),schedule = data(),make_schedule(**CHAINS[chain])
    offset,A = affine(sampler, schedule.respace(n), gaussian_denoiser(mean, cov, schedule))
    assert (offset-mean).abs().max() < (0.01 if chain=='linear' else tol)
    assert (A.T@A-cov).abs().max() < tol

@pytest.mark.parametrize('chain', CHAINS)
@pytest.mark.parametrize('sampler,kwargs', [(ddpm, dict(var='small')), (ddpm, dict(var='large')), (ddim, dict(eta=0.5)), (ddim, dict(eta=1.))])
def test_stochastic_moments(chain, sampler, kwargs):
    "The same for the random samplers, within four standard errors of 10,000 samples (and a little bias)"
    (mean,cov),schedule,n = data(2),make_schedule(**CHAINS[chain]),10000
    x = sampler(gaussian_denoiser(mean, cov, schedule), randn((n, 2, 2, 2), gen(1), F64), None, schedule.respace(250), generator=gen(2), **kwargs).flatten(1)
    assert ((x.mean(0)-mean).abs() < 4*(cov.diagonal()/n).sqrt() + 0.003).all()
    error = ((cov.diagonal()[:,None]*cov.diagonal() + cov**2)/n).sqrt()
    assert ((x.T.cov()-cov).abs() < 4*error + 0.03).all()

def test_samplers_meet():
    "From the same noise DDIM and DPM-Solver++ go to the same image; ancestral sampling to the same distribution"
    (mean,cov),schedule,x_T = data(),make_schedule(shift=2.5, zero_terminal=True),randn((64, *SHAPE), gen(3), F64)
    denoise = gaussian_denoiser(mean, cov, schedule)
    far = [(ddim(denoise, x_T, None, schedule.respace(n))-dpmpp_2m(denoise, x_T, None, schedule.respace(n))).abs().max() for n in (50, 200, 1000)]
    assert far[0] > 2*far[1] > 8*far[2] and far[2] < 0.02

# Orders

@pytest.mark.parametrize('sampler,order', [(ddim, 1), (dpmpp_2m, 2)])
def test_order_of_convergence(sampler, order):
    "Errors against the exact probability flow between two ends fall with the order that the solver claims"
    (mean,cov),x_T = data(),randn((64, *SHAPE), gen(4), F64)
    lam,U = torch.linalg.eigh(cov)
    ns,errors = np.array([16, 32, 64, 128, 256, 512]),[]
    for n in ns:
        schedule = even_chain(n, 8, -8)
        denoise = gaussian_denoiser(mean, cov, schedule)
        (a2,s2),(b2,r2) = ((ac,1-ac) for ac in (schedule.alphas_cumprod[-1],schedule.alphas_cumprod[0]))
        x = (((x_T.flatten(1)-a2.sqrt()*mean)@U*((b2*lam+r2)/(a2*lam+s2)).sqrt())@U.T + b2.sqrt()*mean).view(-1, *SHAPE)
        exact = denoise(x, torch.zeros(64, dtype=torch.int64), None)
        errors.append(((sampler(denoise, x_T, None, schedule)-exact)**2).mean().sqrt().item())
    assert abs(-slope(ns, errors)-order) < 0.1, errors

def test_zero_terminal_keeps_the_order():
    "The special first steps of DPM-Solver++ from pure noise do not spoil its order: the covariance still converges as 1/n**2"
    (mean,cov),ns = data(),np.array([16, 32, 64, 128, 256])
    errors = []
    for n in ns:
        schedule = even_chain(n, 16, -10, zero_terminal=True)
        A = affine(dpmpp_2m, schedule, gaussian_denoiser(mean, cov, schedule))[1]
        errors.append((A.T@A-cov).abs().max().item())
    assert -slope(ns, errors) > 1.85, errors

# The contract

@pytest.mark.parametrize('sampler,kwargs', [(ddpm, dict(generator=True)), (ddim, {}), (dpmpp_2m, {})])
def test_parameterisations_are_exchangeable(sampler, kwargs):
    "Networks that predict eps, x0 or v, each perfectly, give the same samples"
    (mean,cov),schedule,x_T = data(),make_schedule(),randn((4, *SHAPE), gen(5), F64)
    oracle,outs = gaussian_denoiser(mean, cov, schedule),[]
    for param in ('eps','x0','v'):
        def network(x_t, t, cond):
            x0_hat = oracle(x_t, t)
            return target(param, x0_hat, to_eps(x0_hat, x_t, t, schedule), t, schedule)
        outs.append(sampler(Denoiser(network, schedule, param), x_T, None, schedule.respace(20), **{k: gen(6) for k in kwargs}))
    assert torch.allclose(outs[0], outs[1], atol=1e-8) and torch.allclose(outs[2], outs[1], atol=1e-8)

@pytest.mark.parametrize('sampler', [ddim, dpmpp_2m])
def test_float32_is_enough(sampler):
    "A float32 run stays within 1e-4 of the float64 run"
    (mean,cov),schedule = data(),make_schedule(shift=2.5, zero_terminal=True)
    noise = randn((4, *SHAPE), gen(7))
    a = sampler(gaussian_denoiser(mean, cov, schedule), noise.double(), None, schedule.respace(100))
    b = sampler(gaussian_denoiser(mean.float(), cov.float(), schedule), noise, None, schedule.respace(100))
    assert b.dtype==torch.float32 and (a-b).abs().max() < 1e-4

@pytest.mark.parametrize('sampler,kwargs', [(ddpm, {}), (ddim, dict(eta=0.7))])
def test_image_does_not_depend_on_the_batch(sampler, kwargs):
    (mean,cov),schedule = data(),make_schedule(shift=2.5, zero_terminal=True)
    def run(seeds):
        gens = [gen(s) for s in seeds]
        return sampler(gaussian_denoiser(mean, cov, schedule), randn((len(seeds), *SHAPE), gens, F64), None, schedule.respace(10), generator=gens, **kwargs)
    batch = run([1, 2, 3])
    for i,s in enumerate([1, 2, 3]): assert torch.allclose(run([s])[0], batch[i], atol=1e-12)

def test_guidance_between_gaussians():
    "Guiding from N(m0,C) to N(m1,C) by w samples N(m0+w(m1-m0),C) exactly"
    (m0,cov),schedule = data(2),make_schedule(zero_terminal=True)
    m1,w = m0+0.5,3.
    denoise = lambda x_t,t,cond: gaussian_denoiser(m0 if cond is None else m1, cov, schedule)(x_t, t)
    offset,A = affine(lambda d,x,c,s: dpmpp_2m(d, x, True, s), schedule.respace(200), guided(denoise, w, None), (2,2,2))
    assert (offset-(m0+w*(m1-m0))).abs().max() < 0.01 and (A.T@A-cov).abs().max() < 0.01

# The bound

def nats(cov): return torch.distributions.MultivariateNormal(torch.zeros(len(cov), dtype=F64), cov).entropy()

def sample(mean, cov, n, seed): return (mean + randn((n, len(mean)), gen(seed), F64)@torch.linalg.cholesky(cov).T).view(n, 2, -1, int((len(mean)/2)**0.5))

@pytest.mark.parametrize('var', ['small','large'])
def test_bound_meets_likelihood(var):
    "The bound lies above the exact negative log-likelihood, and the gap falls as 1/T for steps of equal size in log-SNR"
    (mean,cov),Ts,gaps = data(),np.array([32, 64, 128, 256]),[]
    x0 = sample(mean, cov, 250, 8)
    exact = -torch.distributions.MultivariateNormal(mean, cov).log_prob(x0.flatten(1))
    for T in Ts:
        schedule = even_chain(int(T), 14, -10, zero_terminal=True)
        gap = vlb_terms(gaussian_denoiser(mean, cov, schedule), x0, None, schedule, gen(9), var=var).sum(1)-exact
        gaps.append(bits_per_dim(gap.mean(), D).item())
    if var=='small':
        assert min(gaps) > 0 and abs(slope(Ts, gaps)+1) < 0.15, gaps
    else: assert abs(gaps[-1]) < 0.03, gaps   # so tight that the noise of the estimate shows

def test_bound_of_each_image():
    "Not only on average: the bound of one image is its own negative log-likelihood, likely or unlikely"
    (mean,cov),schedule = data(2),even_chain(512, 14, -10, zero_terminal=True)
    x0 = sample(mean, cov, 6, 10)*torch.tensor([0, 0.5, 1, 1, 2, 3], dtype=F64).view(-1, 1, 1, 1)
    exact = -torch.distributions.MultivariateNormal(mean, cov).log_prob(x0.flatten(1))
    terms = vlb_terms(gaussian_denoiser(mean, cov, schedule), x0.repeat_interleave(2000, 0), None, schedule, gen(11), var='large').sum(1).view(6, -1)
    error = terms.std(1)/2000**0.5
    assert ((terms.mean(1)-exact).abs() < 4*error + 0.02*exact.abs()).all(), (terms.mean(1),exact,error)

def test_wrong_model_pays():
    "Any other denoiser has a larger bound"
    (mean,cov),schedule = data(),make_schedule(n_steps=100, zero_terminal=True)
    x0,oracle = sample(mean, cov, 200, 12),gaussian_denoiser(mean, cov, schedule)
    bound = lambda denoise: vlb_terms(denoise, x0, None, schedule, gen(13), var='large').sum(1).mean()
    best = bound(oracle)
    for wrong in (gaussian_denoiser(mean+0.3, cov, schedule), gaussian_denoiser(mean, 1.5*cov, schedule), gaussian_denoiser(mean, cov.diagonal().diag(), schedule)):
        assert bound(wrong) > best + 0.2   # nats, with the same noise

def test_prior_term():
    "L_T is 0 on a zero-terminal-SNR chain and the textbook divergence elsewhere"
    (mean,cov),x0 = data(2),sample(*data(2), 5, 14)
    for schedule,zero in ((make_schedule(zero_terminal=True),True), (make_schedule('linear', 100),False)):
        last = vlb_terms(gaussian_denoiser(mean, cov, schedule), x0, None, schedule.respace(10), gen())[:,-1]
        ac = schedule.alphas_cumprod[-1]
        p,q = torch.distributions.Normal(0., torch.ones(1, dtype=F64)),torch.distributions.Normal(ac.sqrt()*x0.flatten(1), (1-ac).sqrt())
        assert torch.allclose(last, torch.distributions.kl_divergence(q, p).sum(1), atol=1e-12) and (last==0).all()==zero

def test_respaced_bound_and_bins():
    "A re-spaced chain is a model with a bound of its own; narrow bins of width w cost -log2(w) bits each more than the density"
    (mean,cov),schedule = data(2),make_schedule(zero_terminal=True)
    x0,denoise = sample(mean, cov, 500, 15),gaussian_denoiser(mean, cov, schedule)
    for n in (10, 50):
        terms = vlb_terms(denoise, x0, None, schedule.respace(n), gen(16), var='large')
        assert terms.shape==(500, n+1) and terms.sum(1).mean() > nats(cov)-0.5
    fine = vlb_terms(denoise, x0, None, schedule.respace(50), gen(16), var='large', bin_width=1e-4)
    assert torch.allclose(bits_per_dim(fine-terms, 8)[:,0], torch.full((500,), -math.log2(1e-4), dtype=F64), atol=1e-3)
