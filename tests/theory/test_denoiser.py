"Networks that predict eps, x0 or v stand behind one contract."
import pytest, torch
from diffusers import DDIMScheduler
from colorized.theory.denoiser import Denoiser, target, to_eps, to_x0
from colorized.theory.samplers import ddim, ddpm, dpmpp_2m, randn
from colorized.theory.schedule import make_schedule
from colorized.theory.vlb import gaussian_denoiser
from .gaussian import F64, SHAPE, data, gen
from .parity import NAMES, SCHEDULES, output, scheduler, walk, x_T

@pytest.mark.parametrize('sampler, kwargs', [
    (ddpm, dict(generator=True)), (ddim, {}), (dpmpp_2m, {})])
def test_parameterisations_are_exchangeable(sampler, kwargs):
    "Networks that predict eps, x0 or v, each perfectly, give the same samples"
    mean,cov = data()
    schedule = make_schedule()
    oracle = gaussian_denoiser(mean, cov, schedule)
    start,outs = randn((4, *SHAPE), gen(5), F64),[]
    for param in NAMES:
        def network(x_t, t, cond):
            x0_hat = oracle(x_t, t)
            return target(param, x0_hat, to_eps(x0_hat, x_t, t, schedule), t, schedule)
        denoise = Denoiser(network, schedule, param)
        generators = {k: gen(6) for k in kwargs}
        outs.append(sampler(denoise, start, None, schedule.respace(20), **generators))
    assert torch.allclose(outs[0], outs[1], atol=1e-8)
    assert torch.allclose(outs[2], outs[1], atol=1e-8)

@pytest.mark.parametrize('param', NAMES)
def test_a_target_says_what_the_picture_was(param):
    "`to_x0` undoes `target`, and what the network is shown is handed on as it is"
    schedule = make_schedule()
    x0,eps = torch.randn(2, 4, 2, 3, 3, generator=gen(), dtype=F64)
    t = torch.tensor([0, 10, 500, 998])
    x_t = schedule.q_sample(x0, t, eps)
    answer,asked = target(param, x0, eps, t, schedule),[]
    torch.testing.assert_close(to_x0(param, answer, x_t, t, schedule), x0)
    def network(*args):
        asked.append(args)
        return answer
    cond = object()
    torch.testing.assert_close(Denoiser(network, schedule, param)(x_t, t, cond), x0)
    assert [a is b for a,b in zip(asked[0], (x_t, t, cond))]==[True]*3

@pytest.mark.parametrize('schedule', ['linear_zt','cosine_zt'])
def test_eps_on_zero_terminal(schedule):
    "Ours refuses, naming the argument; diffusers returns infinities or NaN"
    schedule = SCHEDULES[schedule]()
    with pytest.raises(ValueError, match='param|eps'): walk(ddim, schedule, 'eps', 10)
    s = scheduler(DDIMScheduler, schedule, 'eps', 10, clip_sample=False)
    assert not s.step(output(x_T(), 999), 999, x_T()).prev_sample.isfinite().all()

@pytest.mark.parametrize('n', [9, 10]) # odd and even
def test_eps_is_refused_at_pure_noise_alone(n):
    schedule = make_schedule(n_steps=n, zero_terminal=True)
    x = torch.ones(2, *SHAPE)
    with pytest.raises(ValueError, match=f't={n-1}, where'):
        to_x0('eps', x, x, torch.tensor([0, n-1]), schedule)
    assert to_x0('eps', x, x, torch.tensor([0, n-2]), schedule).isfinite().all()

def test_it_says_what_it_is():
    schedule = make_schedule(n_steps=10)
    assert repr(Denoiser(torch.nn.Identity(), schedule, 'v'))==(
        f"Denoiser(Identity, param='v', {schedule})")
