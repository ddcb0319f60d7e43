"The bound against the exact likelihood of Gaussian data."
import math
import numpy as np, pytest, torch
from colorized.theory.schedule import make_schedule
from colorized.theory.vlb import bits_per_dim, gaussian_denoiser, vlb_terms
from .gaussian import D, F64, data, draw, even_chain, gen, neg_log_prob, slope

@pytest.mark.parametrize('var', ['small','large'])
def test_bound_meets_likelihood(var):
    """The bound lies above the exact negative log-likelihood, and the gap falls as 1/T for steps of
    equal size in log-SNR"""
    mean,cov = data()
    Ts,gaps = np.array([32, 64, 128, 256]),[]
    x0 = draw(mean, cov, 250, 8)
    exact = neg_log_prob(mean, cov, x0)
    for T in Ts:
        schedule = even_chain(int(T), 14, -10, zero_terminal=True)
        denoise = gaussian_denoiser(mean, cov, schedule)
        gap = vlb_terms(denoise, x0, None, schedule, gen(9), var=var).sum(1)-exact
        gaps.append(bits_per_dim(gap.mean(), D).item())
    if var=='small':
        assert min(gaps) > 0 and abs(slope(Ts, gaps)+1) < 0.15, gaps
    else:
        assert abs(gaps[-1]) < 0.03, gaps # so tight that the noise of the estimate shows

def test_bound_of_each_image():
    """Not only on average: the bound of one image is its own negative log-likelihood, likely or
    unlikely"""
    mean,cov = data(2)
    schedule = even_chain(512, 14, -10, zero_terminal=True)
    sizes = torch.tensor([0, 0.5, 1, 1, 2, 3], dtype=F64).view(-1, 1, 1, 1)
    x0 = draw(mean, cov, 6, 10)*sizes
    exact = neg_log_prob(mean, cov, x0)
    denoise,many = gaussian_denoiser(mean, cov, schedule),x0.repeat_interleave(2000, 0)
    terms = vlb_terms(denoise, many, None, schedule, gen(11), var='large').sum(1).view(6, -1)
    error = terms.std(1)/2000**0.5
    far = (terms.mean(1)-exact).abs()
    assert (far < 4*error + 0.02*exact.abs()).all(), (terms.mean(1),exact,error)

def test_wrong_model_pays():
    "Any other denoiser has a larger bound"
    mean,cov = data()
    schedule = make_schedule(n_steps=100, zero_terminal=True)
    x0 = draw(mean, cov, 200, 12)
    def bound(mean, cov): # in nats, with the same noise
        denoise = gaussian_denoiser(mean, cov, schedule)
        return vlb_terms(denoise, x0, None, schedule, gen(13), var='large').sum(1).mean()
    best = bound(mean, cov)
    for wrong in ((mean+0.3, cov), (mean, 1.5*cov), (mean, cov.diagonal().diag())):
        assert bound(*wrong) > best + 0.2

def test_prior_term():
    "L_T is 0 on a zero-terminal-SNR chain and the textbook divergence elsewhere"
    mean,cov = data(2)
    x0 = draw(mean, cov, 5, 14)
    ours,linear = make_schedule(zero_terminal=True),make_schedule('linear', 100)
    for schedule,zero in ((ours, True), (linear, False)):
        denoise = gaussian_denoiser(mean, cov, schedule)
        last = vlb_terms(denoise, x0, None, schedule.respace(10), gen())[:,-1]
        ac = schedule.alphas_cumprod[-1]
        p = torch.distributions.Normal(0., torch.ones(1, dtype=F64))
        q = torch.distributions.Normal(ac.sqrt()*x0.flatten(1), (1-ac).sqrt())
        want = torch.distributions.kl_divergence(q, p).sum(1)
        assert torch.allclose(last, want, atol=1e-12) and (last==0).all()==zero

def test_respaced_bound_and_bins():
    """A re-spaced chain is a model with a bound of its own; narrow bins of width w cost -log2(w)
    bits each more than the density"""
    mean,cov = data(2)
    schedule = make_schedule(zero_terminal=True)
    entropy = torch.distributions.MultivariateNormal(mean, cov).entropy()
    x0,denoise = draw(mean, cov, 500, 15),gaussian_denoiser(mean, cov, schedule)
    def terms(n, **kw):
        return vlb_terms(denoise, x0, None, schedule.respace(n), gen(16), var='large', **kw)
    for n in (10, 50):
        assert terms(n).shape==(500, n+1) and terms(n).sum(1).mean() > entropy-0.5
    more = bits_per_dim(terms(50, bin_width=1e-4)-terms(50), 8)
    want = torch.full((500,), -math.log2(1e-4), dtype=F64)
    assert torch.allclose(more[:,0], want, atol=1e-3) and not more[:,1:].any()

def test_the_oracle_is_the_conditional_mean():
    "Equation (20), with the inverse written out, each image at a step of its own"
    mean,cov = data(2)
    schedule = make_schedule(shift=2.5, zero_terminal=True)
    x_t = torch.randn(4, 2, 2, 2, generator=gen(), dtype=F64)
    t = torch.tensor([0, 300, 600, 999])
    got = gaussian_denoiser(mean, cov, schedule)(x_t, t).flatten(1)
    for x,out,ac in zip(x_t.flatten(1), got, schedule.alphas_cumprod[t]):
        spread = ac*cov + (1-ac)*torch.eye(8, dtype=F64)
        want = mean + ac.sqrt()*cov@torch.linalg.solve(spread, x-ac.sqrt()*mean)
        assert torch.allclose(out, want, atol=1e-9)
