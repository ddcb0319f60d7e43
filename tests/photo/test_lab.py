"Lab against scikit-image and float64 NumPy, gamut mapping on absurd chroma, resampling against Pillow"
import numpy as np, pytest, torch
import torch.nn.functional as F
from PIL import Image
from skimage import color, data
from colorized.photo.lab import rgb_to_lab, rgb_to_L, lab_to_rgb, linear_to_srgb, fit_gamut, join, snap, down_chroma, up_chroma, _axis, _lab_to_linear

torch.set_num_threads(1)
gen = lambda seed=0: torch.Generator().manual_seed(seed)
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
    assert np.abs(hwc(lab_to_rgb(lab))-hwc(photo/255.)).max()<1e-5

def test_matches_skimage_on_every_corner_of_the_cube():
    v = torch.linspace(0, 1, 33)
    cube = torch.stack(torch.meshgrid(v, v, v, indexing='ij')).view(1,3,33,-1)
    assert np.abs(hwc(rgb_to_lab(cube))-color.rgb2lab(hwc(cube))).max()<1e-4

@pytest.mark.filterwarnings('ignore')
def test_clips_as_skimage_out_of_gamut():
    lab = torch.cat([100*torch.rand(1,1,64,64, generator=gen()), 80*torch.randn(1,2,64,64, generator=gen(1))], 1)
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

@pytest.mark.parametrize('spread', [5, 40, 150, 1000])
def test_8_bit_result_keeps_L_with_extreme_chroma(spread):
    gray = torch.randint(0, 256, (1,1,512,512), generator=gen())/255.
    L = rgb_to_L(gray)
    rgb = join(L, spread*torch.randn(1,2,512,512, generator=gen(1)))
    for out in ((rgb*255).round()/255, snap(rgb, L)):
        off = np.abs(color.rgb2lab(hwc(out))[...,0]-hwc(L)[...,0])
        assert np.quantile(off, 0.999)<0.25 and off.max()<0.3
    back = linear_to_srgb(torch.from_numpy(np.einsum('hwc,c->hw', color.rgb2xyz(hwc(snap(rgb, L))), [0,1,0])))
    assert torch.equal((back*255).round(), (gray[0,0]*255).round().double())

def test_gamut_is_reached_from_inside_and_not_left_unused():
    L,ab = 2+96*torch.rand(1,1,128,128, generator=gen()),100*torch.randn(1,2,128,128, generator=gen(1))
    fitted = fit_gamut(L, ab)
    lin = _lab_to_linear(torch.cat([L, fitted], 1))
    assert lin.min()>-2e-5 and lin.max()<1+2e-5
    moved = (fitted!=ab).any(1)
    assert moved.float().mean()>0.5
    further = _lab_to_linear(torch.cat([L, fitted+ab/500], 1))
    assert ((further<-1e-7)|(further>1+1e-7)).any(1)[moved].float().mean()>0.99
    assert torch.equal(fitted[:,:,~moved[0]], ab[:,:,~moved[0]])
    cos = F.cosine_similarity(fitted, ab, dim=1)[moved]
    assert cos.min()>1-1e-4

def test_gamut_at_the_ends_and_with_many_samples():
    L = torch.tensor([0.,100.]).view(1,1,1,2)
    out = join(L, torch.full((3,2,1,2), 50.))
    assert out.shape==(3,3,1,2)
    assert torch.allclose(out[...,0], torch.zeros(3,3,1), atol=1e-3) and torch.allclose(out[...,1], torch.ones(3,3,1), atol=1e-3)

def test_photographs_are_not_changed_by_join_and_snap(photo):
    L,ab = rgb_to_lab(photo).split([1,2], 1)
    assert torch.equal((snap(join(L, ab), L)*255).round().byte(), photo)

@pytest.mark.parametrize('size', [(24,20), (5,7), (1,1), (11,20), (24,1)])
def test_area_average(size):
    x = torch.rand(1, 2, 24, 20, generator=gen(), dtype=torch.float64)
    fine = x.repeat_interleave(size[0], 2).repeat_interleave(size[1], 3)    # every output cell is now made of whole pixels
    assert torch.allclose(down_chroma(x, size), F.avg_pool2d(fine, (24,20)), atol=1e-12)

def test_bicubic_axis_matches_pillow():
    x = torch.rand(23, generator=gen())
    ref = np.asarray(Image.fromarray(x.numpy()[None].repeat(2, 0)).resize((115,2), Image.BICUBIC))[0]
    assert np.abs((_axis(23, 115, 'bicubic')@x.double()).numpy()-ref)[10:-10].max()<1e-5

def test_enlarging_is_consistent_and_guidance_helps_at_edges():
    true = nchw(data.coffee()[60:316:2,150:406:2])
    L,ab = rgb_to_lab(true).split([1,2], 1)
    for factor in (4, 8):
        small = down_chroma(ab, factor=factor)
        assert torch.allclose(down_chroma(up_chroma(small, (128,128)), factor=factor), small, atol=1e-3)
        err = [(o-ab).norm(dim=1).mean() for o in (F.interpolate(small, scale_factor=factor, mode='bicubic'), up_chroma(small, (128,128)), up_chroma(small, (128,128), L))]
        assert err[2]<err[1]<err[0]

def test_enlarging_many_samples_of_one_photograph():
    L,ab = 100*torch.rand(1,1,50,70, generator=gen()),20*torch.randn(3,2,8,8, generator=gen(1))
    out = up_chroma(ab, (50,70), L)
    assert torch.allclose(out[1:2], up_chroma(ab[1:2], (50,70), L), atol=1e-4)

@pytest.mark.parametrize('call, part', [
    (lambda: rgb_to_lab(torch.zeros(3,4,4)), 'rgb must have shape'), (lambda: lab_to_rgb(torch.zeros(1,2,4,4)), 'lab must have shape'),
    (lambda: join(torch.zeros(1,1,4,4), torch.zeros(1,2,4,5)), 'same height'), (lambda: up_chroma(torch.zeros(1,2,8,8), (4,4)), 'at least'),
    (lambda: down_chroma(torch.zeros(1,2,8,8)), 'either'), (lambda: up_chroma(torch.zeros(1,2,4,4), (8,8), torch.zeros(1,1,8,9)), 'L must have')])
def test_errors_name_the_argument(call, part):
    with pytest.raises(ValueError, match=part): call()
