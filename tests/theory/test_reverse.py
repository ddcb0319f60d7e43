"Steps back at the ends of a chain, and in any precision."
import pytest, torch
from colorized.theory.denoiser import Denoiser
from colorized.theory.reverse import p_mean_log_var, p_sample
from colorized.theory.schedule import make_schedule

def test_one_step_chain():
    "A single step has no step above it to borrow a log-variance from"
    s = make_schedule(shift=2.5, zero_terminal=True).respace(1)
    x0,x_t = torch.randn(2, 3, 2, 4, 4)
    t = torch.zeros(3, dtype=torch.int64)
    for var in ('small', 'large'):
        mean,log_var = p_mean_log_var(x0, x_t, t, s, var)
        assert mean.equal(x0) and log_var.isfinite().all()
        assert p_sample(x0, x_t, t, s, torch.randn_like(x0), var).equal(x0)

@pytest.mark.parametrize('var', ['small', 'large'])
def test_a_step_is_mean_and_deviation(var):
    "Each image at a step of its own; where t is 0, without noise"
    s = make_schedule(shift=2.5, zero_terminal=True)
    x0,x_t,noise = torch.randn(3, 4, 2, 3, 3, dtype=torch.float64)
    t = torch.tensor([0, 1, 500, 999])
    variance = (s.posterior_variance if var=='small' else s.betas)[t]
    variance[0] = 0
    mean = s.q_posterior(x0, x_t, t)[0]
    want = mean + variance.sqrt().view(-1, 1, 1, 1)*noise
    torch.testing.assert_close(p_sample(x0, x_t, t, s, noise, var), want)

@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_result_keeps_the_dtype_of_the_images(dtype):
    s = make_schedule(shift=2.5, zero_terminal=True)
    x0,eps = torch.randn(2, 3, 2, 4, 4).to(dtype)
    t = torch.tensor([0, 500, 999])
    x_t = s.q_sample(x0, t, eps)
    x0_hat = Denoiser(lambda *_: x0, s, 'v')(x_t, t)
    outs = (x_t, x0_hat, *p_mean_log_var(x0, x_t, t, s), p_sample(x0, x_t, t, s, eps))
    for o in outs: assert o.dtype==dtype and o.isfinite().all()
