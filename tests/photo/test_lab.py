"Lab against scikit-image and float64 NumPy, gamut mapping on absurd chroma, rounding"
import numpy as np, pytest, torch
import torch.nn.functional as F
from skimage import color, data
from colorized.photo import lab
from colorized.photo.lab import (colorfulness, combine_to_rgb, fit_gamut,
    lab_to_rgb, linear_to_srgb, rgb_to_L, rgb_to_lab, round_keeping_gray, to_uint8)

torch.set_num_threads(1)
def gen(seed=0): return torch.Generator().manual_seed(seed)
def hwc(x): return x[0].permute(1,2,0).double().numpy()
def nchw(x): return torch.from_numpy(np.ascontiguousarray(x)).permute(2,0,1)[None]

@pytest.fixture(scope='module')
def photo(): return nchw(data.astronaut())

def test_matches_skimage_on_a_photograph(photo):
    lab = rgb_to_lab(photo)
    assert lab.dtype==torch.float32
    ref = color.rgb2lab(hwc(photo/255.))
    assert np.abs(hwc(lab)-ref).max()<1e-4
    assert np.abs(hwc(rgb_to_lab(photo/255.))-ref).max()<1e-4
    assert np.abs(hwc(rgb_to_L(photo))[...,0]-ref[...,0]).max()<1e-4
    assert np.abs(hwc(lab_to_rgb(lab))-hwc(photo/255.)).max()<1e-5

def test_matches_skimage_on_every_corner_of_the_cube():
    v = torch.linspace(0, 1, 33)
    cube = torch.stack(torch.meshgrid(v, v, v, indexing='ij')).view(1,3,33,-1)
    assert np.abs(hwc(rgb_to_lab(cube))-color.rgb2lab(hwc(cube))).max()<1e-4

@pytest.mark.filterwarnings('ignore')
def test_clips_as_skimage_out_of_gamut():
    L = 100*torch.rand(1,1,64,64, generator=gen())
    lab = torch.cat([L, 80*torch.randn(1,2,64,64, generator=gen(1))], 1)
    assert np.abs(hwc(lab_to_rgb(lab))-color.lab2rgb(hwc(lab))).max()<1e-4

def test_blocks_agree_with_the_whole():
    rgb = torch.rand(3, 3, 211, 307, generator=gen())
    assert torch.equal(rgb_to_lab(rgb)[1:2], rgb_to_lab(rgb[1:2]))
    grad = rgb.clone().requires_grad_()
    assert torch.allclose(rgb_to_lab(rgb), rgb_to_lab(grad).detach(), atol=1e-5)

def test_gradients_are_right_and_finite_at_black_and_white():
    x = torch.rand(1, 3, 3, 3, generator=gen(), dtype=torch.float64)*0.8+0.1
    assert torch.autograd.gradcheck(rgb_to_lab, x.requires_grad_())
    for v in (0., 1., 0.04045):
        x = torch.full((1,3,2,2), v, requires_grad=True)
        lab_to_rgb(rgb_to_lab(x)).sum().backward()
        assert x.grad.isfinite().all()
    lab = torch.zeros(1,3,2,2, requires_grad=True)
    lab_to_rgb(lab).sum().backward()
    assert lab.grad.isfinite().all()

def test_a_large_picture_keeps_its_gradient():
    x = torch.full((1,3,200,200), 0.5, requires_grad=True) # more than a block
    rgb_to_lab(x).sum().backward()
    assert (x.grad!=0).all()

@pytest.mark.parametrize('spread', [5, 40, 150, 1000])
def test_8_bit_result_keeps_L_with_extreme_chroma(spread):
    gray = torch.randint(0, 256, (1,1,512,512), generator=gen())/255.
    L = rgb_to_L(gray)
    rgb = combine_to_rgb(L, spread*torch.randn(1,2,512,512, generator=gen(1)))
    rounded = round_keeping_gray(rgb, L)
    for out in ((rgb*255).round()/255, rounded):
        off = np.abs(color.rgb2lab(hwc(out))[...,0]-hwc(L)[...,0])
        assert np.quantile(off, 0.999)<0.25 and off.max()<0.3
    luminance = np.einsum('hwc,c->hw', color.rgb2xyz(hwc(rounded)), [0,1,0])
    back = linear_to_srgb(torch.from_numpy(luminance))
    assert torch.equal((back*255).round(), (gray[0,0]*255).round().double())

@pytest.mark.parametrize('levels', [255, 1023])
def test_rounding_takes_the_best_of_eight_where_the_nearest_misses(levels):
    "All eight candidates in float64, where the nearest misses the gray by more than half a level"
    L = rgb_to_L(torch.randint(0, levels+1, (1,1,700,700), generator=gen())/levels)
    rgb = combine_to_rgb(L, 60*torch.randn(1,2,700,700, generator=gen(1)))
    out,exact = [hwc(o)*levels for o in (round_keeping_gray(rgb, L, levels), rgb)]
    assert np.abs(out-out.round()).max()<1e-3
    Y = lambda x: color.rgb2xyz(x/levels)[...,1]
    want = color.lab2xyz(np.dstack([hwc(L), 0*hwc(L), 0*hwc(L)]))[...,1]
    near = exact.round()
    other = np.clip(near+np.where(exact>=near, 1, -1), 0, levels)
    candidates = [np.where([i&1, i&2, i&4], other, near) for i in range(8)]
    best = np.min([np.abs(Y(o)-want) for o in candidates], 0)
    gray_of = lambda y: linear_to_srgb(torch.from_numpy(y)).numpy()*levels
    miss = np.abs(gray_of(Y(near))-gray_of(want))
    is_clear = (np.abs(np.abs(exact-near)-0.5)>1e-3).all(-1) # which side is the nearest
    assert (is_clear & (miss>0.501)).any()
    assert np.abs(np.abs(Y(out)-want)-best)[is_clear & (miss>0.501)].max()<1e-5
    assert np.abs(out-near)[is_clear & (miss<0.499)].max()<1e-3

def test_gamut_is_reached_from_inside_and_not_left_unused():
    L = 2+96*torch.rand(1,1,128,128, generator=gen())
    ab = 100*torch.randn(1,2,128,128, generator=gen(1))
    fitted = fit_gamut(L, ab)
    lin = lab._lab_to_linear(torch.cat([L, fitted], 1))
    assert lin.min()>-2e-5 and lin.max()<1+2e-5
    moved = (fitted!=ab).any(1)
    assert moved.float().mean()>0.5
    further = lab._lab_to_linear(torch.cat([L, fitted+ab/500], 1))
    is_outside = ((further<-1e-7)|(further>1+1e-7)).any(1)
    assert is_outside[moved].float().mean()>0.99
    assert torch.equal(fitted[:,:,~moved[0]], ab[:,:,~moved[0]])
    cos = F.cosine_similarity(fitted, ab, dim=1)[moved]
    assert cos.min()>1-1e-4

@pytest.mark.parametrize('steps', [1, 2, 12])
def test_the_gamut_is_found_to_the_last_of_the_bisections(steps):
    "At lightness 50 along a: the scale is a multiple of 2^-steps, and one more would not fit"
    L,a = torch.full((40,), 50.),torch.linspace(40, 150, 40)
    s = lab._fitting_scale((L+16)/116, a, 0*a, steps=steps)
    fits = lambda s: lab._fitting_scale((L+16)/116, s*a, 0*a, steps=1)==1
    assert torch.equal(s*2**steps, (s*2**steps).round())
    assert (s==1).any() and (s[s<1]>0).any() and fits(s).all()
    assert not fits(s+2**-steps)[s<1].any()

def test_gamut_at_the_ends_and_with_many_samples():
    L = torch.tensor([0.,100.]).view(1,1,1,2)
    out = combine_to_rgb(L, torch.full((3,2,1,2), 50.))
    assert out.shape==(3,3,1,2)
    assert torch.allclose(out[...,0], torch.zeros(3,3,1), atol=1e-3)
    assert torch.allclose(out[...,1], torch.ones(3,3,1), atol=1e-3)

def test_photographs_are_not_changed_by_combining_and_rounding(photo):
    L,ab = rgb_to_lab(photo).split([1,2], 1)
    out = round_keeping_gray(combine_to_rgb(L, ab), L)
    assert torch.equal((out*255).round().byte(), photo)

def test_colorfulness_is_that_of_numpy(photo):
    r,g,b = photo[0].double().numpy()
    rg,yb = r-g,(r+g)/2-b
    spread,mean = np.hypot(rg.std(), yb.std()),np.hypot(rg.mean(), yb.mean())
    assert np.isclose(colorfulness(photo).item(), spread+0.3*mean)
    rg,yb = np.abs(rg),np.abs(yb)
    spread,mean = np.hypot(rg.std(), yb.std()),np.hypot(rg.mean(), yb.mean())
    assert np.isclose(colorfulness(photo/255., absolute=True).item(), spread+0.3*mean)

@pytest.mark.parametrize('call, part', [
    (lambda: rgb_to_lab(torch.zeros(3,4,4)), 'rgb must have shape'),
    (lambda: rgb_to_L(torch.zeros(1,2,4,4)), 'rgb must have shape'),
    (lambda: lab_to_rgb(torch.zeros(1,2,4,4)), 'lab must have shape'),
    (lambda: fit_gamut(torch.zeros(1,2,4,4), torch.zeros(1,2,4,4)), 'L must have shape'),
    (lambda: fit_gamut(torch.zeros(1,1,4,4), torch.zeros(1,1,4,4)), 'ab must have shape'),
    (lambda: combine_to_rgb(torch.zeros(1,1,4,4), torch.zeros(1,2,4,5)), 'same height'),
    (lambda: round_keeping_gray(torch.zeros(1,1,4,4), torch.zeros(1,1,4,4)), 'rgb must have shape'),
    (lambda: round_keeping_gray(torch.zeros(1,3,4,4), torch.zeros(1,3,4,4)), 'L must have shape'),
    (lambda: to_uint8(torch.zeros(1,1,4,4)), 'rgb must have shape'),
    (lambda: to_uint8(torch.full((1,3,4,4), float('nan'))), r'float in \[0,1\]'),
    (lambda: to_uint8(torch.full((1,3,4,4), -0.1)), r'float in \[0,1\]')])
def test_errors_name_the_argument(call, part):
    with pytest.raises(ValueError, match=part): call()

def test_an_array_is_no_tensor():
    with pytest.raises(TypeError, match='rgb must be a tensor, got ndarray'):
        rgb_to_lab(np.zeros((1,3,4,4)))
