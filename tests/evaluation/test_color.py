"Measures of single photographs against scikit-image, NumPy and published tables."
import subprocess, sys
import numpy as np, pytest, torch
from skimage import color
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from colorized.evaluation import color as C
from colorized.photo.lab import colorfulness, to_uint8
from .samples import hwc, spoil

# Sharma, Wu and Dalal 2005, "The CIEDE2000 color-difference formula", table 1:
# L a b of two colors, and their difference
SHARMA = """50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.0200 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1.0000
50 -1.1848 -84.8006 50 0 -82.7485 1.0000
50 -0.9009 -85.5211 50 0 -82.7485 1.0000
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.4900 -0.0010 50 -2.4900 0.0009 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0011 7.2195
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030
50 2.5 0 58 24 15 19.4535
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082"""

def test_ciede2000_table():
    rows = np.array([[float(v) for v in o.split()] for o in SHARMA.splitlines()])
    got = color.deltaE_ciede2000(rows[:,:3], rows[:,3:6])
    np.testing.assert_allclose(got, rows[:,6], atol=1e-4)

def test_delta_e_is_the_mean_over_pixels_in_both_orders(photos):
    a,b = photos[:2],spoil(photos[:2], 0.5)
    want = [color.deltaE_ciede2000(color.rgb2lab(x), color.rgb2lab(y)).mean()
            for x,y in zip(hwc(a), hwc(b))]
    np.testing.assert_allclose(C.delta_e(b, a), want, rtol=1e-3)
    np.testing.assert_allclose(C.delta_e(a, b), C.delta_e(b, a), rtol=1e-6)

def test_colorfulness_by_hand(photos):
    both = zip(photos, colorfulness(photos), colorfulness(photos, absolute=True))
    for im,signed,absolute in both:
        r,g,b = im.numpy().astype(float)
        rg,yb = r-g,0.5*(r+g)-b
        for x,y,got in ((rg, yb, signed), (abs(rg), abs(yb), absolute)):
            spread,mean = np.sqrt(x.std()**2+y.std()**2),np.sqrt(x.mean()**2+y.mean()**2)
            assert got.item()==pytest.approx(spread+0.3*mean)

def test_psnr_ssim_luminance_against_skimage(photos):
    photos = photos[:2,:,:128,:128]
    out = spoil(photos, 0.3)
    window = dict(channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    for i,(a,b) in enumerate(zip(hwc(photos), hwc(out))):
        assert C.psnr(out, photos)[i].item()==pytest.approx(peak_signal_noise_ratio(a, b))
        want = structural_similarity(a, b, **window)
        assert C.ssim(out, photos)[i].item()==pytest.approx(want, abs=2e-2)
        moved = abs(color.rgb2lab(a)-color.rgb2lab(b))[...,0]
        assert C.luminance_error(out, photos)[i].item()==pytest.approx(moved.mean(), abs=1e-3)
        for q in (0.5, 0.999):
            got = C.luminance_error(out, photos, q)[i].item()
            assert got==pytest.approx(np.quantile(moved, q), abs=2e-3)
    brighter = (photos.float()/255*0.9).clamp(0, 1)
    moved = C.luminance_error(brighter, photos)
    assert (C.luminance_error(brighter, photos, 0.999) > moved).all()

def test_more_pixels_than_pytorch_sorts():
    "17 megapixels, of which one in a thousand is brighter"
    black = torch.zeros(1, 3, 4100, 4100, dtype=torch.uint8)
    some = black.clone()
    some[:,:,:41,:410] = 255
    assert C.luminance_error(some, black, 0.9995).item()==pytest.approx(100, abs=1e-3)

def test_photographs_smaller_than_the_window_of_ssim(photos):
    assert C.ssim(photos[:1,:,:11,:11], photos[:1,:,:11,:11]).item()==pytest.approx(1)
    for h,w in ((10, 64), (64, 4)):
        small = photos[:1,:,:h,:w]
        with pytest.raises(ValueError, match=f'at least 11×11 pixels, got {w}×{h}'):
            C.ssim(small, small)

def test_equal_photographs(photos):
    same = photos[:2,:,:32,:32]
    assert C.psnr(same, same).tolist()==pytest.approx([58.92]*2, abs=0.01)
    assert C.ssim(same, same).tolist()==pytest.approx([1]*2)
    assert not C.delta_e(same, same).any() and not C.luminance_error(same, same).any()

MEASURES = dict(
    psnr=C.psnr, ssim=C.ssim, luminance_error=C.luminance_error,
    quantile=lambda a,b: C.luminance_error(a, b, 0.999),
    diversity=lambda a,b: C.diversity(torch.stack([a, b])))

@pytest.mark.parametrize('name', MEASURES)
def test_each_photograph_is_measured_for_itself(tiles, name):
    "However many there are: more than are measured at once, and not a multiple of that"
    measure = MEASURES[name]
    a,b = tiles[:37],spoil(tiles[:37], 0.5)
    single = torch.cat([measure(*o) for o in zip(a.split(1), b.split(1))])
    assert torch.allclose(measure(a, b), single, rtol=1e-5)
    assert measure(a, b).dtype==torch.float64

@pytest.mark.parametrize('measure', [C.psnr, C.ssim, C.delta_e, C.luminance_error])
def test_photographs_of_another_shape_are_refused(photos, measure):
    for other in (photos[:1], photos[:2,:,:128]):
        with pytest.raises(ValueError, match='must have one shape'):
            measure(other, photos[:2])

@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='counts in KiB on Linux only')
def test_judging_many_photographs_keeps_its_memory():
    """400 photographs of 256 px are 79 MB as bytes and 630 MB in float64: that much more must not
    be held at once"""
    code = """
import resource, torch
from colorized.evaluation import color, report
a = torch.zeros(400, 3, 256, 256, dtype=torch.uint8)
b = a+1
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
color.psnr(a[:1], b[:1])
color.luminance_error(a[:1], b[:1])
before = peak()
color.psnr(a, b)
color.luminance_error(a, b)
color.diversity(torch.stack([a, b]))
class Eye(torch.nn.Module):
    name = 'eye'
    def forward(self, rgb): return rgb[:,:,::128,::128].flatten(1).float()
# these look at one photograph, or a few, at a time, and take long
report.delta_e = report.ssim = lambda a, b: torch.zeros(len(a))
report.Evaluator(a.random_(), Eye(), None).report({})
print((peak()-before)//1024)"""
    run = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    assert int(run.stdout)<400, f'{run.stdout.strip()} MiB more'

def test_rounding_as_a_viewer_sees_it():
    x = torch.tensor([0., 0.4999/255, 0.5001/255, 1.]).view(1,1,1,4).expand(1,3,1,4)
    assert to_uint8(x)[0,0,0].tolist()==[0, 0, 1, 255]
    assert [o.dtype for o in C.uint8_pair(x, to_uint8(x))]==[torch.uint8]*2
    for bad in (x*255, x-1, x*float('nan'), x[0], x.mul(255).int()):
        with pytest.raises(ValueError): to_uint8(bad)
        with pytest.raises(ValueError): C.uint8_pair(bad, bad)

def test_diversity_by_hand(photos):
    samples = [photos[:1], spoil(photos[:1], .5), spoil(photos[:1], 0.)]
    chroma = [color.rgb2lab(hwc(o)[0])[...,1:] for o in samples]
    want = np.mean([np.sqrt(((chroma[i]-chroma[j])**2).sum(-1)).mean()
                    for i,j in ((0, 1), (0, 2), (1, 2))])
    assert C.diversity(torch.stack(samples)).item()==pytest.approx(want, rel=1e-3)
    for bad in (photos, photos[None]):
        with pytest.raises(ValueError, match='S at least 2'): C.diversity(bad)
