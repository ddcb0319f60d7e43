"Bad arguments: each is named, with what was expected; and what lies just within is taken"
import math
import pytest, torch
from colorized.theory.denoiser import target
from colorized.theory.guidance import guided
from colorized.theory.reverse import p_mean_log_var, p_sample
from colorized.theory.samplers import ddim, ddim_step, ddpm, dpmpp_2m, randn
from colorized.theory.schedule import (
    NoiseSchedule, check_shapes, check_t, cosine_betas, extract, linear_betas, make_schedule,
    shift_betas, zero_terminal_snr)
from .gaussian import gen

F = torch.tensor
s10 = make_schedule(n_steps=10)
x,t0 = torch.zeros(2, 1, 2, 2),F([0, 9])
denoise = lambda x_t,t,cond: x_t

REFUSED = [
    (lambda: linear_betas(0), 'n_steps: expected at least 1, got 0'),
    (lambda: cosine_betas(0), 'n_steps: expected at least 1, got 0'),
    (lambda: linear_betas(True), 'n_steps: expected an int, got True'),
    (lambda: cosine_betas(10.), 'n_steps: expected an int, got 10.0'),
    (lambda: NoiseSchedule([.1]), 'betas: expected a float tensor of shape (T,), got [0.1]'),
    (lambda: NoiseSchedule(F([1])),
     'betas: expected a float tensor of shape (T,), got tensor([1])'),
    (lambda: NoiseSchedule(F(.1)), 'betas: expected shape (T,) with T>0, got ()'),
    (lambda: NoiseSchedule(F([[.1]])), 'betas: expected shape (T,) with T>0, got (1, 1)'),
    (lambda: NoiseSchedule(F([])), 'betas: expected shape (T,) with T>0, got (0,)'),
    (lambda: NoiseSchedule(F([.5, 0.])),
     'betas[1]: expected a value in (0,1) (the last may be exactly 1), got 0.0'),
    (lambda: NoiseSchedule(F([.5, 1., .5, 2.])),
     'betas[1]: expected a value in (0,1) (the last may be exactly 1), got 1.0'),
    (lambda: NoiseSchedule(F([.5]), [0]), 'timesteps: expected an int64 tensor, got [0]'),
    (lambda: NoiseSchedule(F([.5]), F([0.])),
     'timesteps: expected an int64 tensor, got tensor([0.])'),
    (lambda: NoiseSchedule(F([.5]), F([0, 1])),
     'timesteps: expected shape (1,) like betas, got (2,)'),
    (lambda: NoiseSchedule(F([.5, .5]), F([-1, 1])),
     'timesteps: expected increasing indices >= 0, got [-1, 1]'),
    (lambda: NoiseSchedule(F([.5, .5]), F([2, 2])),
     'timesteps: expected increasing indices >= 0, got [2, 2]'),
    (lambda: check_t([1], 3, 1), 't: expected an int64 tensor of shape (1,), got [1]'),
    (lambda: check_t(F([1.]), 3, 1),
     't: expected an int64 tensor of shape (1,), got torch.float32'),
    (lambda: check_t(F([1]), 3, 2), 't: expected shape (2,), one step per image, got (1,)'),
    (lambda: check_t(F([0, 3]), 3, 2), 't: expected steps in 0..2, got 0..3'),
    (lambda: check_t(F([-1, 2]), 3, 2), 't: expected steps in 0..2, got -1..2'),
    (lambda: extract(s10.betas, F([10, 0]), x), 't: expected steps in 0..9, got 0..10'),
    (lambda: check_shapes(a=x, b=[1]), 'b: expected a float tensor, got [1]'),
    (lambda: check_shapes(a=F([1])), 'a: expected a float tensor, got torch.int64'),
    (lambda: check_shapes(a=x, b=x[:1], c=x),
     'b: expected shape (2, 1, 2, 2) like a, got (1, 1, 2, 2)'),
    (lambda: shift_betas(s10.betas, 0.), 'shift: expected a positive number, got 0.0'),
    (lambda: shift_betas(s10.betas, math.inf), 'shift: expected a positive number, got inf'),
    (lambda: shift_betas(F([2.])),
     'betas[0]: expected a value in (0,1) (the last may be exactly 1), got 2.0'),
    (lambda: zero_terminal_snr(F([.5])),
     'betas: expected at least 2 steps, got 1: its only step would be pure noise'),
    (lambda: make_schedule('best'), "kind: expected one of 'linear', 'cosine', got 'best'"),
    (lambda: s10.respace(0), 'steps: expected at least 1, got 0'),
    (lambda: s10.respace(11), 'steps: expected at most 10, the length of the chain, got 11'),
    (lambda: s10.respace([.5]), 'steps: expected an int or integer indices, got [0.5]'),
    (lambda: s10.respace([True]), 'steps: expected an int or integer indices, got [True]'),
    (lambda: s10.respace(F(3)), 'steps: expected increasing indices in 0..9, got 3'),
    (lambda: s10.respace(F([], dtype=torch.int64)),
     'steps: expected increasing indices in 0..9, got []'),
    (lambda: s10.respace([-1, 3]), 'steps: expected increasing indices in 0..9, got [-1, 3]'),
    (lambda: s10.respace([3, 10]), 'steps: expected increasing indices in 0..9, got [3, 10]'),
    (lambda: s10.respace([3, 3]), 'steps: expected increasing indices in 0..9, got [3, 3]'),
    (lambda: s10.respace(3, last=0), 'last: expected a share in (0,1], got 0'),
    (lambda: s10.respace(3, last=1.1), 'last: expected a share in (0,1], got 1.1'),
    (lambda: target('score', x, x, t0, s10),
     "param: expected one of 'eps', 'x0', 'v', got 'score'"),
    (lambda: target('x0', x, x, F([0, 10]), s10), 't: expected steps in 0..9, got 0..10'),
    (lambda: target('eps', x, x[:1], t0, s10),
     'eps: expected shape (2, 1, 2, 2) like x0, got (1, 1, 2, 2)'),
    (lambda: p_mean_log_var(x, x, t0, s10, 'huge'), "var: expected 'small' or 'large', got 'huge'"),
    (lambda: p_mean_log_var(x[:1], x, t0, s10),
     'x0_hat: expected shape (2, 1, 2, 2) like x_t, got (1, 1, 2, 2)'),
    (lambda: p_sample(x, x, t0, s10, x[:1]),
     'noise: expected shape (2, 1, 2, 2) like x_t, got (1, 1, 2, 2)'),
    (lambda: randn((2, 1), None),
     'generator: expected a torch.Generator or a list of them, got None'),
    (lambda: randn((2, 1), [3, 4]),
     'generator: expected a torch.Generator or a list of them, got [3, 4]'),
    (lambda: randn((2, 1), [gen()]), 'generator: expected one for each of 2 images, got 1'),
    (lambda: ddim(3, x, None, s10), 'denoise: expected a function, got 3'),
    (lambda: ddim(None, x, None, s10), 'denoise: expected a function, got None'),
    (lambda: ddpm(denoise, x, None, s10, gen(), callback=3),
     'callback: expected a function, got 3'),
    (lambda: dpmpp_2m(denoise, x, None, [1]), 'schedule: expected a NoiseSchedule, got [1]'),
    (lambda: ddim(denoise, [1], None, s10),
     'x_T: expected a float tensor of shape (N,...), got [1]'),
    (lambda: ddim(denoise, x.long(), None, s10),
     'x_T: expected a float tensor of shape (N,...), got torch.int64 (2, 1, 2, 2)'),
    (lambda: ddim(denoise, x.flatten(), None, s10),
     'x_T: expected a float tensor of shape (N,...), got torch.float32 (8,)'),
    (lambda: ddim(lambda x_t,t,cond: x_t[:1], x, None, s10),
     'denoise: expected an estimate of shape (2, 1, 2, 2), got (1, 1, 2, 2)'),
    (lambda: ddim_step(x, x, 3, s10, -.1), 'eta: expected a number in [0,1], got -0.1'),
    (lambda: ddim_step(x, x, 3, s10, 1.1, gen()), 'eta: expected a number in [0,1], got 1.1'),
    (lambda: ddim_step(x, x, 10, s10), 'i: expected an index in 0..9, got 10'),
    (lambda: ddim_step(x, x, -1, s10), 'i: expected an index in 0..9, got -1'),
    (lambda: guided(denoise, -1, None), 'scale: expected a number of at least 0, got -1'),
    (lambda: guided(denoise, 2, None, 1.1), 'rescale: expected a number in [0,1], got 1.1'),
    (lambda: guided(denoise, 2, None, -.1), 'rescale: expected a number in [0,1], got -0.1'),
]

@pytest.mark.parametrize('call,said', REFUSED, ids=[o[1][:60] for o in REFUSED])
def test_refused(call, said):
    with pytest.raises((TypeError, ValueError)) as e: call()
    assert str(e.value)==said
    wrong_kind = any(o in said for o in (
        'expected an int', 'float tensor', 'int64 tensor', 'a torch.Generator', 'a function',
        'a NoiseSchedule'))
    assert isinstance(e.value, TypeError if wrong_kind else ValueError)

def test_just_within():
    assert len(linear_betas(1))==len(cosine_betas(1))==1
    assert NoiseSchedule(F([.5, 1.])).alphas_cumprod[-1]==0
    assert NoiseSchedule(F([.5]), F([0])).timesteps.tolist()==[0]
    check_t(F([0, 2]), 3, 2)
    check_t(F([], dtype=torch.int64), 3, 0)
    assert s10.respace([0, 9]).timesteps.tolist()==[0, 9] and len(s10.respace(10))==10
    assert s10.respace(1).timesteps.tolist()==[9]
    assert s10.respace(2, last=1).timesteps.tolist()==[4, 9]
    assert ddim_step(x, x, 9, s10, 1., gen()).shape==x.shape==ddim_step(x, x, 0, s10).shape
    assert len(zero_terminal_snr(F([.5, .5])))==2
    assert guided(denoise, 0, None) and guided(denoise, 2, None, 1.)

def test_defaults_of_the_betas():
    "DDPM's section 4, IDDPM's equation 17"
    linear,cosine = linear_betas(),cosine_betas()
    assert (linear[0],linear[-1],len(linear))==(1e-4, 0.02, 1000)
    assert len(cosine)==1000 and cosine[-1]==0.999
    f = lambda u: math.cos((u+0.008)/1.008*math.pi/2)**2
    assert cosine[0].item()==pytest.approx(1-f(1/1000)/f(0), rel=1e-9)
    assert cosine[500].item()==pytest.approx(1-f(501/1000)/f(500/1000), rel=1e-9)
