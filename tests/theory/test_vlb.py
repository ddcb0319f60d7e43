"The bound against the exact likelihood of Gaussian data."
import math
import numpy as np, pytest, torch
from scipy import stats
from colorized.theory.schedule import make_schedule
from colorized.theory.vlb import (
    bits_per_dim, decoder_nll, gaussian_denoiser, gaussian_kl, loss_weight, vlb_terms)
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

@pytest.mark.slow
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
    "Equation (22), with the inverse written out, each image at a step of its own"
    mean,cov = data(2)
    schedule = make_schedule(shift=2.5, zero_terminal=True)
    x_t = torch.randn(4, 2, 2, 2, generator=gen(), dtype=F64)
    t = torch.tensor([0, 300, 600, 999])
    got = gaussian_denoiser(mean, cov, schedule)(x_t, t).flatten(1)
    for x,out,ac in zip(x_t.flatten(1), got, schedule.alphas_cumprod[t]):
        spread = ac*cov + (1-ac)*torch.eye(8, dtype=F64)
        want = mean + ac.sqrt()*cov@torch.linalg.solve(spread, x-ac.sqrt()*mean)
        assert torch.allclose(out, want, atol=1e-9)

@pytest.mark.parametrize('kind', ['uniform', 'simple', 'min_snr', 'inv_sigma2', 'vlb'])
@pytest.mark.parametrize('param', ['eps', 'x0', 'v'])
def test_weights_make_equal_losses_of_equal_errors(kind, param):
    """Weight times error in the space of `param` is omega(kind) times the error of x0; the others'
    errors are computed from what the network says about the same x_t"""
    schedule = make_schedule(shift=2.5)
    t = torch.tensor([0, 1, 5, 300, 998, 999])
    ac = schedule.alphas_cumprod[t]
    x0,x0_hat,eps = torch.randn(3, 6, generator=gen(3), dtype=F64)
    x_t = ac.sqrt()*x0 + (1-ac).sqrt()*eps
    eps_hat = (x_t-ac.sqrt()*x0_hat)/(1-ac).sqrt()
    v,v_hat = (ac.sqrt()*e-(1-ac).sqrt()*x for e,x in ((eps, x0), (eps_hat, x0_hat)))
    error = dict(eps=eps_hat-eps, x0=x0_hat-x0, v=v_hat-v)[param]**2
    snr = ac/(1-ac)
    before = torch.cat([torch.zeros(1, dtype=F64), schedule.alphas_cumprod])[t]
    loss = dict( # a factor of the error of x0
        uniform=torch.ones(6, dtype=F64), simple=snr,
        min_snr=snr.clamp(max=3), inv_sigma2=(1/(1-ac)).clamp(max=3),
        vlb=torch.where(t>0, before/(1-before)-snr, snr)/2)[kind]
    got = loss_weight(kind, param, schedule, t, clamp=3)
    assert got.dtype==torch.float32 and got.shape==(6,)
    assert torch.allclose(got*error, loss*(x0_hat-x0)**2, rtol=1e-4, atol=1e-12)

def test_the_lid_of_a_weight():
    "is 5 unless told, may be away, and is not 0 or less"
    schedule,t = make_schedule(),torch.tensor([0, 500])
    snr = schedule.snr[t]
    assert snr[0]>6
    assert loss_weight('min_snr', 'x0', schedule, t)[0]==5
    assert torch.allclose(loss_weight('min_snr', 'x0', schedule, t, math.inf), snr.float())
    assert loss_weight('min_snr', 'x0', schedule, t, clamp=0.5)[0]==0.5
    for wrong in (0, -1.):
        with pytest.raises(ValueError, match=f'^clamp: expected a positive number, got {wrong}$'):
            loss_weight('min_snr', 'x0', schedule, t, wrong)

def test_noise_says_nothing_where_there_is_nothing_else():
    ours,linear = make_schedule(zero_terminal=True),make_schedule('linear')
    last = torch.tensor([3, 999])
    with pytest.raises(ValueError, match="^param: expected 'x0' or 'v' at t=999, where the SNR is"):
        loss_weight('simple', 'eps', ours, last)
    assert loss_weight('simple', 'eps', ours, torch.tensor([3, 998])).eq(1).all()
    assert loss_weight('simple', 'eps', linear, last).eq(1).all()
    assert loss_weight('simple', 'v', ours, last)[1]==loss_weight('simple', 'x0', ours, last)[1]==0

def test_unknown_weights_are_named():
    schedule,t = make_schedule(),torch.tensor([3])
    with pytest.raises(ValueError, match="^kind: expected one of 'uniform', .*'vlb', got 'best'$"):
        loss_weight('best', 'x0', schedule, t)
    with pytest.raises(ValueError, match="^param: expected one of 'eps', 'x0', 'v', got 'score'$"):
        loss_weight('simple', 'score', schedule, t)
    for wrong,error in ((torch.tensor([1000]), ValueError), ([3], TypeError)):
        with pytest.raises(error, match='^t'):
            loss_weight('simple', 'x0', schedule, wrong)

def test_divergence_is_that_of_torch():
    m1,m2,l1,l2 = torch.randn(4, 50, generator=gen(5), dtype=F64)
    normal = lambda m,log_var: torch.distributions.Normal(m, (log_var/2).exp())
    want = torch.distributions.kl_divergence(normal(m1, l1), normal(m2, l2))
    assert torch.allclose(gaussian_kl(m1, l1, m2, l2), want)

def test_decoder_counts_the_mass_of_a_bin():
    "Against SciPy; also 20 deviations away, where one minus a half is 0"
    x0 = torch.tensor([[0., 0.5, -3., 20.]], dtype=F64)
    mean,log_var = torch.full_like(x0, 0.1),torch.tensor(-0.4, dtype=F64)
    std = math.exp(-0.2)
    density = -stats.norm.logpdf(x0, 0.1, std)
    assert np.allclose(decoder_nll(x0, mean, log_var), density)
    for width in (2/255, 0.3):
        z = (np.abs(x0.numpy()-0.1)-width/2)/std,(np.abs(x0.numpy()-0.1)+width/2)/std
        mass = stats.norm.sf(z[0])-stats.norm.sf(z[1])
        assert np.allclose(decoder_nll(x0, mean, log_var, width), -np.log(mass), rtol=1e-6)
def test_what_is_hardly_possible_costs_as_much_as_it_should():
    "In double precision a mass under exp(-708) is 0, in single precision one under exp(-87)"
    z = torch.tensor([0., 5., 14., 20., 40., 500.], dtype=F64)
    zero = torch.zeros_like(z)
    near,far = stats.norm.logsf(z-0.005),stats.norm.logsf(z+0.005)
    want = torch.from_numpy(-near - np.log(-np.expm1(far-near)))
    assert want[-1]>120_000
    for dtype,rtol in ((F64, 1e-9), (torch.float32, 2e-4)):
        got = decoder_nll(z.to(dtype), zero.to(dtype), zero.to(dtype), 0.01)
        assert got.dtype==dtype and torch.allclose(got.double(), want, rtol=rtol, atol=0)
        assert torch.allclose(decoder_nll(-z.to(dtype), zero.to(dtype), zero.to(dtype), 0.01), got)

def test_a_bad_model_pays_for_its_bins_what_it_pays_for_the_density():
    schedule = make_schedule(n_steps=100, zero_terminal=True)
    x0 = torch.ones(4, 2, 2, 2)
    L0 = lambda **kw: vlb_terms(lambda x,t,c: 0*x, x0, None, schedule, gen(), **kw)[:,0]
    assert torch.allclose(L0(bin_width=1e-4), L0()-8*math.log(1e-4), rtol=1e-3)

def test_bins_have_a_width():
    x0 = torch.zeros(1)
    for wrong in (0, -0.1):
        with pytest.raises(ValueError, match='^bin_width: expected a positive number or None'):
            decoder_nll(x0, x0, x0, wrong)

def test_bits():
    assert torch.allclose(bits_per_dim(torch.tensor(math.log(2)), 1), torch.tensor(1.))
    nats,bits = torch.tensor([6., 12.]),torch.tensor([2., 4.])/math.log(2)
    assert torch.allclose(bits_per_dim(nats, 3), bits)
    with pytest.raises(ValueError, match='^n_dims: expected at least 1, got 0$'):
        bits_per_dim(torch.tensor(1.), 0)

def test_what_the_bound_and_the_oracle_refuse():
    mean,cov = data(2)
    schedule,x0 = make_schedule(n_steps=4),draw(mean, cov, 2, 3)
    with pytest.raises(TypeError, match='^generator: expected a torch.Generator, got 3$'):
        vlb_terms(gaussian_denoiser(mean, cov, schedule), x0, None, schedule, 3)
    said = r'^denoise: expected an estimate of shape \(2, 2, 2, 2\), got \(1, 2, 2, 2\)$'
    with pytest.raises(ValueError, match=said):
        vlb_terms(lambda x,t,c: x[:1], x0, None, schedule, gen())
    with pytest.raises(ValueError, match=r'^mean: expected shape \(d,\), got \(8, 8\)$'):
        gaussian_denoiser(cov, cov, schedule)
    with pytest.raises(ValueError, match=r'^cov: expected shape \(8, 8\) .*got \(8, 7\)$'):
        gaussian_denoiser(mean, cov[:,:7], schedule)
