"Area averages against repeated pixels, bicubic against Pillow, guidance against the truth"
import numpy as np, pytest, torch
import torch.nn.functional as F
from PIL import Image
from skimage import data
from colorized.photo.lab import rgb_to_lab
from colorized.photo.resampling import (
    down_chroma, matrix_blocks, resample, resampling_matrix, up_chroma)

torch.set_num_threads(1)
def gen(seed=0): return torch.Generator().manual_seed(seed)

@pytest.mark.parametrize('size', [(24,20), (5,7), (1,1), (11,20), (24,1)])
def test_area_average(size):
    x = torch.rand(1, 2, 24, 20, generator=gen(), dtype=torch.float64)
    # every output cell is now made of whole pixels
    fine = x.repeat_interleave(size[0], 2).repeat_interleave(size[1], 3)
    assert torch.allclose(down_chroma(x, size), F.avg_pool2d(fine, (24,20)), atol=1e-12)

def test_sizes():
    x = torch.rand(1, 2, 24, 20, generator=gen())
    assert down_chroma(x, 5).shape==(1,2,5,5)
    assert down_chroma(x, factor=6).shape==(1,2,4,3)
    assert down_chroma(x, factor=50).shape==(1,2,1,1)

def test_bicubic_matches_pillow():
    x = torch.rand(23, generator=gen())
    rows = Image.fromarray(x.numpy()[None].repeat(2, 0))
    ref = np.asarray(rows.resize((115,2), Image.BICUBIC))[0]
    ours = (resampling_matrix(23, 115, 'bicubic')@x.double()).numpy()
    assert np.abs(ours-ref)[10:-10].max()<1e-5

def test_bicubic_repeats_the_border():
    "as NumPy's padding does, over which Pillow may go"
    x = torch.rand(23, generator=gen())
    padded = np.pad(x.numpy(), 5, mode='edge')[None].repeat(2, 0)
    ref = np.asarray(Image.fromarray(padded).resize((165,2), Image.BICUBIC))[0][25:-25]
    assert np.abs((resampling_matrix(23, 115, 'bicubic')@x.double()).numpy()-ref).max()<1e-5

@pytest.mark.parametrize('kind, n', [('area', 7), ('bicubic', 40)])
def test_rows_are_rows_of_the_whole(kind, n):
    whole = resampling_matrix(17, n, kind)
    assert whole.shape==(n,17) and torch.allclose(whole.sum(1), torch.ones(n, dtype=torch.float64))
    assert torch.equal(resampling_matrix(17, n, kind, (2,6)), whole[2:6])

@pytest.mark.parametrize('n_in, n_out', [(100, 33), (33, 1000), (7, 7), (5000, 64), (1, 9)])
def test_blocks_are_the_matrix(n_in, n_out):
    kind = 'area' if n_out<=n_in else 'bicubic'
    whole = torch.zeros(n_out, n_in, dtype=torch.float64)
    for rows,columns,m in matrix_blocks(n_in, n_out):
        whole[rows,columns] += m
    assert torch.equal(whole, resampling_matrix(n_in, n_out, kind))
    x = torch.rand(n_in, 1, generator=gen(), dtype=torch.float64)
    part = resample(x, (n_out, 1), (n_out//3, n_out))
    assert torch.allclose(part, (whole@x)[n_out//3:], atol=1e-12)

@pytest.mark.parametrize('n_in, n_out', [(100_000, 6144), (1536, 100_000)])
def test_blocks_of_a_panorama_are_small(n_in, n_out):
    "The whole matrix of 100,000 pixels would have 600 or 150 million numbers"
    assert sum(m.numel() for *_,m in matrix_blocks(n_in, n_out))<1e7

def test_enlarging_is_consistent_and_guidance_helps_at_edges():
    crop = np.ascontiguousarray(data.coffee()[60:316:2,150:406:2])
    L,ab = rgb_to_lab(torch.from_numpy(crop).permute(2,0,1)[None]).split([1,2], 1)
    for factor in (4, 8):
        small = down_chroma(ab, factor=factor)
        plain,guided = up_chroma(small, (128,128)),up_chroma(small, (128,128), L)
        torchs = F.interpolate(small, scale_factor=factor, mode='bicubic')
        assert torch.allclose(down_chroma(plain, factor=factor), small, atol=1e-3)
        err = [(o-ab).norm(dim=1).mean() for o in (torchs, plain, guided)]
        assert err[2]<err[1]<err[0]

def test_enlarging_many_samples_of_one_photograph():
    L,ab = 100*torch.rand(1,1,50,70, generator=gen()),20*torch.randn(3,2,8,8, generator=gen(1))
    out = up_chroma(ab, (50,70), L)
    assert torch.allclose(out[1:2], up_chroma(ab[1:2], (50,70), L), atol=1e-4)

def test_guidance_is_the_equation():
    "in float64 NumPy, windows written out"
    L,ab = 100*torch.rand(1,1,12,15, generator=gen()),20*torch.randn(1,1,4,5, generator=gen(1))
    small = down_chroma(L, (4,5))
    k = np.exp(-np.arange(-2, 3)**2/(2*0.7**2))
    k = np.outer(k, k)/k.sum()**2
    def mean(x):
        padded = np.pad(x, 2, mode='edge')
        return np.array([[(padded[i:i+5,j:j+5]*k).sum() for j in range(5)] for i in range(4)])
    a,l = ab[0,0].double().numpy(),small[0,0].double().numpy()
    g = (mean(a*l)-mean(a)*mean(l))/(mean(l*l)-mean(l)**2+256)
    enlarge = lambda x: up_chroma(torch.from_numpy(x)[None,None], (12,15))[0,0].numpy()
    rows,columns = [resampling_matrix(n, 3*n, 'bicubic').numpy() for n in (4,5)]
    want = enlarge(a)+rows@g@columns.T*(L[0,0].double().numpy()-enlarge(l))
    assert np.abs(up_chroma(ab, (12,15), L)[0,0].numpy()-want).max()<1e-3

@pytest.mark.parametrize('call, part', [
    (lambda: down_chroma(torch.zeros(1,2,8,8)), 'either'),
    (lambda: down_chroma(torch.zeros(1,2,8,8), 4, 2), 'either'),
    (lambda: down_chroma(torch.zeros(1,2,8,8), (8,9)), 'must not exceed'),
    (lambda: down_chroma(torch.zeros(1,2,8,8), (9,8)), 'must not exceed'),
    (lambda: up_chroma(torch.zeros(1,2,8,8), (4,4)), 'at least'),
    (lambda: up_chroma(torch.zeros(1,2,8,8), (8,4)), 'at least'),
    (lambda: up_chroma(torch.zeros(1,2,4,4), (8,8), torch.zeros(1,1,8,9)), 'L must have'),
    (lambda: up_chroma(torch.zeros(1,2,4,4), (8,8), torch.zeros(1,1,4,8), rows=(0,4)), 'L_small')])
def test_errors_name_the_argument(call, part):
    with pytest.raises(ValueError, match=part): call()

def test_what_lies_on_a_gpu_stays_there():
    "On one that is made up: it computes nothing, but minds where tensors lie"
    from torch._subclasses.fake_tensor import FakeTensorMode
    from colorized.photo.resampling import _sharpened
    _sharpened(torch.zeros(1,2,8,8), (30,20)) # the matrices are kept
    with FakeTensorMode(allow_non_fake_inputs=True):
        out = _sharpened(torch.zeros(1,2,8,8, device='cuda'), (30,20))
    assert out.device.type=='cuda' and out.dtype==torch.float32

def test_no_number_is_too_small_for_float32():
    "A matrix with denormal numbers takes a processor ten times the time (342 columns: a film's)"
    from colorized.photo.resampling import _inverse_of_averaged
    m = _inverse_of_averaged(342, 427)
    assert m.abs()[m!=0].min()>torch.finfo(torch.float32).tiny
    U = resampling_matrix(342, 427, 'bicubic')
    averaged = resampling_matrix(427, 342, 'area')@U
    assert (m@averaged-torch.eye(342)).abs().max()<1e-12
