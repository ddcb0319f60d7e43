"Wrappers between the network and the sampler: each image for itself, and an exact case."
import pytest, torch
from colorized.theory.guidance import guided
from colorized.theory.samplers import dpmpp_2m
from colorized.theory.schedule import make_schedule
from colorized.theory.vlb import gaussian_denoiser
from .gaussian import F64, affine, data, gen

def test_guidance_between_gaussians():
    "Guiding from N(m0,C) to N(m1,C) by w samples N(m0+w(m1-m0),C) exactly"
    m0,cov = data(2)
    schedule = make_schedule(zero_terminal=True)
    m1,w = m0+0.5,3.
    def denoise(x_t, t, cond):
        return gaussian_denoiser(m0 if cond is None else m1, cov, schedule)(x_t, t)
    def sampler(denoise, x_T, _, few):
        return dpmpp_2m(denoise, x_T, True, few)
    offset,A = affine(sampler, schedule.respace(200), guided(denoise, w, None), (2,2,2))
    assert (offset-(m0+w*(m1-m0))).abs().max() < 0.01
    assert (A.T@A-cov).abs().max() < 0.01

def fading(x_t, t, cond):
    "Depends on the state, the timestep and the condition of each image"
    return (x_t + cond)*(1 - t.view(-1, 1, 1, 1)/2000)

@pytest.mark.parametrize('scale', [0, 0.5, 1, 3])
@pytest.mark.parametrize('rescale', [0., 0.4, 1.])
def test_equations_1_and_3(scale, rescale):
    "With NumPy's standard deviation, image by image, each at a timestep of its own"
    x = torch.randn(4, 2, 3, 3, generator=gen(), dtype=F64)
    t,cond = torch.tensor([0, 300, 600, 999]),torch.randn(4, 2, 3, 3, generator=gen(1), dtype=F64)
    got = guided(fading, scale, lambda c: -c, rescale)(x, t, cond)
    with_,without = fading(x, t, cond),fading(x, t, -cond)
    for i in range(4):
        want = without[i] + scale*(with_[i]-without[i])
        ratio = with_[i].numpy().std(ddof=1)/want.numpy().std(ddof=1)
        assert torch.allclose(got[i], (rescale*ratio + 1-rescale)*want, atol=1e-12)
        alone = guided(fading, scale, lambda c: -c, rescale)(x[i:i+1], t[i:i+1], cond[i:i+1])
        assert torch.allclose(got[i:i+1], alone, atol=1e-12)

@pytest.mark.parametrize('scale, rescale, asked', [
    (1, 0., ['x']), (1, 1., ['x']), (0, 0., ['-x']), (0, 0.5, ['x', '-x']), (2, 0., ['x', '-x'])])
def test_the_network_is_asked_no_more_than_needed(scale, rescale, asked):
    got = []
    def denoise(x_t, t, cond):
        got.append(cond)
        return x_t
    x = torch.randn(2, 2, 3, 3, generator=gen())
    guided(denoise, scale, lambda c: '-'+c, rescale)(x, torch.zeros(2, dtype=torch.int64), 'x')
    assert got==asked

def test_a_gray_guess_has_no_contrast_to_restore():
    "Nothing is divided by zero"
    x = torch.zeros(2, 2, 3, 3)
    out = guided(lambda x_t,t,cond: x_t, 3, None, 1.)(x, torch.zeros(2, dtype=torch.int64), None)
    assert out.equal(x)

@pytest.mark.parametrize('rescale', [0.5, 1.])
def test_a_single_value_has_no_contrast_to_restore(rescale):
    x,t = torch.randn(3, 1, generator=gen()),torch.zeros(3, dtype=torch.int64)
    denoise = lambda x_t, t, cond: x_t*(2 if cond else 1)
    assert torch.equal(guided(denoise, 3, None, rescale)(x, t, True), 4*x)

def test_scales_out_of_range():
    for scale in (-1, float('inf'), float('nan')):
        with pytest.raises(ValueError, match='scale: expected a number of at least 0'):
            guided(fading, scale, None)
    for rescale in (-0.1, 1.1, float('nan')):
        with pytest.raises(ValueError, match='rescale'): guided(fading, 2, None, rescale)
