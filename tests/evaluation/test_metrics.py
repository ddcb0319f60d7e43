"Measures against independent oracles: scipy, NumPy, published tables, and the ranking of spoiled photographs."
import csv, json, math, os, runpy, subprocess, sys, warnings
import numpy as np, pytest, torch
from pathlib import Path
from PIL import Image
from scipy.linalg import sqrtm
from skimage import color, data
from sklearn.datasets import load_sample_image
from torch import nn
from colorized.photo.lab import rgb_to_L, rgb_to_lab, join
from colorized import metrics as M

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings('ignore:FID from')

def square(im, size):
    im = Image.fromarray(im); k = size/min(im.size)
    im = im.resize((round(im.width*k), round(im.height*k)), Image.Resampling.BICUBIC)
    x,y = (im.width-size)//2,(im.height-size)//2
    return torch.tensor(np.array(im.crop((x, y, x+size, y+size)))).permute(2,0,1)

SOURCES = (data.coffee, data.chelsea, data.astronaut, data.rocket, lambda: load_sample_image('china.jpg'), lambda: load_sample_image('flower.jpg'))

@pytest.fixture(scope='module')
def photos(): return torch.stack([square(o(), 256) for o in SOURCES])

@pytest.fixture(scope='module')
def small(photos): return photos[:,:,::4,::4].contiguous()

@pytest.fixture(scope='module')
def tiles(photos): return photos.unfold(2, 64, 48).unfold(3, 64, 48).permute(0,2,3,1,4,5).reshape(-1,3,64,64)

@pytest.fixture(scope='module')
def lite1(): return M.LiteExtractor('lite1')

def spoil(rgb, scale):
    lab = rgb_to_lab(rgb)
    return M.to_uint8(join(lab[:,:1], lab[:,1:]*scale))

class Thumbnail(nn.Module):
    name,num_features = 'thumbnail',48
    def forward(self, rgb): return nn.functional.adaptive_avg_pool2d(rgb.float()/255, 4).flatten(1)

class Narrow(nn.Module):
    "A tenth of the features: the eigenvalues of a 1280 by 1280 matrix take seconds"
    name,num_features = 'narrow',128
    def __init__(self, net): super().__init__(); self.net = net
    def forward(self, rgb): return self.net(rgb)[:,::10]

def save(folder, rgb, names=None, ext='png'):
    for i,o in enumerate(rgb):
        p = folder/f'{names[i] if names else i}.{ext}'
        p.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(o.permute(1,2,0).numpy()).save(p)
    return folder

# Sharma, Wu and Dalal 2005, "The CIEDE2000 color-difference formula", table 1: L a b of two colours, and their difference
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
    rows = np.array([[float(v) for v in l.split()] for l in SHARMA.splitlines()])
    np.testing.assert_allclose(color.deltaE_ciede2000(rows[:,:3], rows[:,3:6]), rows[:,6], atol=1e-4)

def test_delta_e_is_the_mean_over_pixels_in_both_orders(photos):
    a,b = photos[:2],spoil(photos[:2], 0.5)
    want = [color.deltaE_ciede2000(color.rgb2lab(x), color.rgb2lab(y)).mean()
            for x,y in zip(a.permute(0,2,3,1).numpy(), b.permute(0,2,3,1).numpy())]
    np.testing.assert_allclose(M.delta_e(b, a), want, rtol=1e-3)
    np.testing.assert_allclose(M.delta_e(a, b), M.delta_e(b, a), rtol=1e-6)

def test_colorfulness_by_hand(photos):
    for im,signed,absolute in zip(photos, M.colorfulness(photos), M.colorfulness(photos, absolute=True)):
        r,g,b = im.numpy().astype(float)
        rg,yb = r-g,0.5*(r+g)-b
        for x,y,got in ((rg, yb, signed), (abs(rg), abs(yb), absolute)):
            assert got.item()==pytest.approx(np.sqrt(x.std()**2+y.std()**2) + 0.3*np.sqrt(x.mean()**2+y.mean()**2))

def test_psnr_ssim_luminance_against_skimage(photos):
    photos = photos[:2,:,:128,:128]
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    out = spoil(photos, 0.3)
    for a,b,p,s,l in zip(photos.permute(0,2,3,1).numpy(), out.permute(0,2,3,1).numpy(), M.psnr(out, photos), M.ssim(out, photos), M.luminance_error(out, photos)):
        assert p.item()==pytest.approx(peak_signal_noise_ratio(a, b))
        assert s.item()==pytest.approx(structural_similarity(a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False), abs=2e-2)
        assert l.item()==pytest.approx(abs(color.rgb2lab(a)-color.rgb2lab(b))[...,0].mean(), abs=1e-3)
    brighter = (photos.float()/255*0.9).clamp(0, 1)
    assert (M.luminance_error(brighter, photos, 0.999) > M.luminance_error(brighter, photos)).all()

@pytest.mark.parametrize('measure', [M.psnr, M.ssim, M.luminance_error, lambda a,b: M.luminance_error(a, b, 0.999), lambda a,b: M.diversity(torch.stack([a, b]))])
def test_each_photograph_is_measured_for_itself(tiles, measure):
    "However many there are: more than are measured at once, and not a multiple of that"
    a,b = tiles[:37],spoil(tiles[:37], 0.5)
    assert torch.allclose(measure(a, b), torch.cat([measure(*o) for o in zip(a.split(1), b.split(1))]), rtol=1e-5)

@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='counts in KiB on Linux only')
def test_judging_many_photographs_keeps_its_memory():
    "400 photographs of 256 px are 79 MB as bytes and 630 MB in float64: that much more must not be held at once"
    code = """
import resource, torch
from colorized import metrics as M
a = torch.zeros(400, 3, 256, 256, dtype=torch.uint8); b = a+1
M.psnr(a[:1], b[:1]); M.luminance_error(a[:1], b[:1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
M.psnr(a, b); M.luminance_error(a, b); M.diversity(torch.stack([a, b]))
class Eye(torch.nn.Module):
    name = 'eye'
    def forward(self, rgb): return rgb[:,:,::128,::128].flatten(1).float()
M.delta_e = M.ssim = lambda a, b: torch.zeros(len(a)) # they look at one photograph, or a few, at a time, and take long
M.Judge(a.random_(), Eye(), None).report({})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-before)//1024)"""
    mib = int(subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout)
    assert mib<400, f'{mib} MiB more'

def test_rounding_as_a_viewer_sees_it():
    x = torch.tensor([0., 0.4999/255, 0.5001/255, 1.]).view(1,1,1,4).expand(1,3,1,4)
    assert M.to_uint8(x)[0,0,0].tolist()==[0, 0, 1, 255]
    for bad in (x*255, x-1, x*float('nan'), x[0], x.mul(255).int()):
        with pytest.raises(ValueError): M.to_uint8(bad)

def test_fid_closed_form():
    rng = np.random.default_rng(0)
    a,b = rng.normal(size=(3000, 12))@rng.normal(size=(12, 12)),rng.normal(size=(2500, 12))@rng.normal(size=(12, 12))+rng.normal(size=12)
    sa,sb = np.cov(a.T),np.cov(b.T)
    want = ((a.mean(0)-b.mean(0))**2).sum() + np.trace(sa+sb-2*sqrtm(sa@sb).real)
    assert M.fid(torch.tensor(a), torch.tensor(b))==pytest.approx(want, rel=1e-8)

def test_fid_with_fewer_photographs_than_features():
    "The trace of the root is the sum of the singular values of the centred sets' product: no covariance needed"
    rng = np.random.default_rng(1)
    a,b = rng.normal(size=(40, 100)),rng.normal(size=(40, 100))+.2
    A,B = a-a.mean(0),b-b.mean(0)
    want = ((a.mean(0)-b.mean(0))**2).sum() + ((A**2).sum()+(B**2).sum()-2*np.linalg.svd(A@B.T, compute_uv=False).sum())/39
    assert M.fid(torch.tensor(a), torch.tensor(b))==pytest.approx(want, rel=1e-5)

def test_fid_small_n_warns_large_does_not():
    x = torch.randn(2048, 4, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match='FID from 100 photographs'): M.fid(x[:100], x)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        assert M.fid(x, x)==pytest.approx(0, abs=1e-6)

def kernel_sums(x, y, paired):
    k = lambda u,v: (float(u@v)/len(u)+1)**3
    n = len(x)
    off = [(i, j) for i in range(n) for j in range(n) if i!=j]
    mean = lambda u,v,idx: np.mean([k(u[i], v[j]) for i,j in idx])
    return mean(x, x, off)+mean(y, y, off)-2*mean(x, y, off if paired else [(i, j) for i in range(n) for j in range(n)])

@pytest.mark.parametrize('paired', [False, True])
def test_kid_formula(paired):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 7)); y = x+rng.normal(size=(30, 7))*.5+.1
    assert M.kid(torch.tensor(x), torch.tensor(y), paired=paired)==pytest.approx(kernel_sums(x, y, paired), rel=1e-9)

def test_kid_properties():
    g = torch.Generator().manual_seed(3)
    x,y = torch.randn(200, 16, generator=g),torch.randn(200, 16, generator=g)
    assert M.kid(x, x, paired=True)==0 and M.kid(x, x)<0
    low,high = M.kid_interval(x, y)
    assert low < M.kid(x, y, paired=True) < high and low < 0 < high
    assert M.kid_interval(x, y)==(low, high)!=M.kid_interval(x, y, seed=1)
    assert M.kid(x, y+.5) > M.kid(x, y+.2)
    assert M.kid(x, y+.5, subset_size=50, subsets=20)==pytest.approx(M.kid(x, y+.5), rel=0.3)
    before = torch.get_rng_state(); M.kid(x, y, subset_size=50, subsets=2)
    assert torch.equal(before, torch.get_rng_state())
    for kw in (dict(real=x[:100], fake=y), dict(real=x[:100], fake=y, paired=True), dict(real=x, fake=y[:,:3]), dict(real=x, fake=y, paired=True, subset_size=9)):
        with pytest.raises(ValueError): M.kid(**kw)

def test_kid_interval_covers():
    "Of 60 draws from equal distributions, about 95 % of the intervals hold the true distance, zero"
    g = torch.Generator().manual_seed(4)
    z = lambda: torch.randn(60, 8, generator=g)
    assert sum(l<=0<=h for l,h in (M.kid_interval(z(), z(), n_boot=200) for _ in range(60))) >= 50

def test_two_sample():
    g = torch.Generator().manual_seed(5)
    x,y = torch.randn(120, 10, generator=g),torch.randn(120, 10, generator=g)
    assert abs(M.two_sample(x, x).mean()-0.5)<0.12 # the same scenes on both sides must not help it
    assert abs(M.two_sample(x, y).mean()-0.5)<0.12
    assert M.two_sample(x, y+3).mean()>0.97
    assert torch.equal(M.two_sample(x, y), M.two_sample(x, y)) and len(M.two_sample(x, y))==120
    with pytest.raises(ValueError): M.two_sample(x[:8], y[:8])

def test_bootstrap_covers():
    rng = np.random.default_rng(6)
    hits = [l<=0<=h for l,h in (M.bootstrap(torch.tensor(rng.normal(size=50)), n_boot=300) for _ in range(200))]
    assert 0.88 < np.mean(hits) < 0.99

def test_a_mean_that_may_be_zero(small):
    "The interval of a mean's size reaches zero where that of the mean holds it, and always holds the figure"
    judge = M.Judge(small, Thumbnail(), None)
    rng = np.random.default_rng(0)
    for shift in np.linspace(-0.5, 0.5, 11):
        f = judge._mean('delta_colorfulness', torch.tensor(rng.normal(shift, 1, 20)), abs)
        assert f.low<=f.value<=f.high
        if abs(shift)<0.1: assert f.low==0
    far = torch.tensor(rng.normal(-5, 1, 20)); f = judge._mean('delta_colorfulness', far, abs)
    assert (f.low, f.high)==tuple(-o for o in M.bootstrap(far)[::-1])

def test_diversity_by_hand(photos):
    labs = [color.rgb2lab(o[0].permute(1,2,0).numpy())[...,1:] for o in (photos[:1], spoil(photos[:1], .5), spoil(photos[:1], 0.))]
    want = np.mean([np.sqrt(((labs[i]-labs[j])**2).sum(-1)).mean() for i,j in ((0, 1), (0, 2), (1, 2))])
    got = M.diversity(torch.stack([photos[:1], spoil(photos[:1], .5), spoil(photos[:1], 0.)]))
    assert got.item()==pytest.approx(want, rel=1e-3)

@pytest.mark.parametrize('name', ['lite1', 'lite2'])
def test_extractors_recognise_photographs(photos, name):
    "Espresso, a tabby or Egyptian cat, a palace, a daisy: the order of the state dict is right, and the features are those of the logits"
    net = M.get_extractor(name)
    feats = M.extract_features(photos[[0,1,4,5]], net)
    assert feats.shape==(4, 1280) and feats.dtype==torch.float64
    coffee,cat,china,flower = net.logits(feats).argmax(1).tolist()
    assert coffee==967 and cat in (281, 282, 285) and china in (698, 832)
    assert flower==985 or name=='lite2' # which takes it for a honeycomb
    assert not net.training and not any(p.requires_grad for p in net.parameters())

def test_extractor_input_is_eight_bit(photos, lite1):
    x = photos[:1]
    assert torch.equal(M.extract_features(x, lite1), M.extract_features(x.float()/255, lite1))
    assert torch.equal(M.extract_features(x, lite1), M.extract_features(x.float()/255+0.3/255*(x<200), lite1)) # 0.3 of a step rounds away

def test_missing_things_are_named(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="'lite0'"): M.get_extractor('lite0')
    with pytest.raises(FileNotFoundError, match='weights-inception-2015-12-05'): M.InceptionExtractor(tmp_path/'no.pth')
    (tmp_path/'other.pth').write_bytes(b'something else')
    with pytest.raises(ValueError, match='SHA-256'): M.InceptionExtractor(tmp_path/'other.pth')
    monkeypatch.setitem(__import__('sys').modules, 'timm', None)
    with pytest.raises(ImportError, match=r'timm is missing.*colorized\[evaluate\]'): M.LiteExtractor('lite1')

def test_inception(monkeypatch, photos):
    "With random weights in place of the download: the right network, fed with eight-bit photographs; and a clear error offline"
    fx = pytest.importorskip('torch_fidelity.feature_extractor_inceptionv3')
    def offline(*args, **kw): raise OSError('no network')
    monkeypatch.setattr(fx, 'load_state_dict_from_url', offline)
    with pytest.raises(OSError, match='weights-inception-2015-12-05.*checkpoints.*lite1'): M.get_extractor('inception')
    monkeypatch.setattr(fx, 'load_state_dict_from_url', lambda *a, **k: {})
    monkeypatch.setattr(fx.FeatureExtractorInceptionV3, 'load_state_dict', lambda self, state: None)
    feats = M.extract_features(photos[:1].float()/255, 'inception')
    assert feats.shape==(1, 2048) and feats.isfinite().all()

def test_figures_refuse_to_be_compared():
    a = M.Figure(1., 'kid', 'lite1', 500, 'val')
    assert a < M.Figure(2., 'kid', 'lite1', 500, 'val') and a >= M.Figure(1., 'kid', 'lite1', 500, 'val') and sorted([a, M.Figure(0., 'kid', 'lite1', 500, 'val')])[1] is a
    for other in (M.Figure(2., 'fid', 'lite1', 500, 'val'), M.Figure(2., 'kid', 'lite2', 500, 'val'), M.Figure(2., 'kid', 'lite1', 499, 'val'), M.Figure(2., 'kid', 'lite1', 500, 'test')):
        for f in (lambda: a<other, lambda: a>other, lambda: a<=other, lambda: a-other, lambda: max(a, other)):
            with pytest.raises(ValueError, match='measured differently'): f()

def test_spoiled_colours_are_ranked(tiles, lite1):
    "Truth, half the chroma, grey: every measure that should see it does"
    judge = M.Judge(tiles, Narrow(lite1), classifier='lite1', protocol='tiles')
    cols = [judge.column(spoil(tiles, s)) for s in (1., 0.5, 0.)]
    for k in ('kid', 'fid', 'delta_colorfulness', 'colorfulness_error', 'delta_e2000'): assert cols[0][k] < cols[1][k] < cols[2][k], k
    for k in ('psnr', 'ssim', 'colorfulness', 'colorfulness_abs'): assert cols[0][k] > cols[1][k] > cols[2][k], k
    assert cols[0]['two_sample'].value < 0.65 < 0.7 < cols[2]['two_sample'].value
    assert cols[0]['top1_agreement'].value > cols[2]['top1_agreement'].value
    assert cols[2]['delta_L_p999'].value < 0.5

def test_identical_folders(small, tmp_path):
    save(tmp_path/'a', small, list('abcdef')); save(tmp_path/'b', small, list('abcdef'))
    r = M.evaluate_folders(tmp_path/'a', tmp_path/'b', Thumbnail(), classifier=None, size=64)
    c = r['colorized']
    assert c['fid'].value==pytest.approx(0, abs=1e-4) and c['kid'].value==0 and c['delta_e2000'].value==0 and c['ssim'].value==pytest.approx(1)
    assert c['psnr'].value==pytest.approx(58.92, abs=0.01) and 'top1_agreement' not in c and 'diversity' not in c
    assert set(r.columns)=={'colorized', 'grey', 'mean chroma', 'truth'} and r['truth']['fid'].n==3
    assert r['grey']['colorfulness'].value==0

def test_folders_are_matched_and_counted(photos, tmp_path):
    true = save(tmp_path/'true', photos[:4], ['x/1', 'x/2', 'y/1', '3'], 'webp')
    out = save(tmp_path/'out', photos[1:5], ['x/2_c', 'y/1_c', '3_c', 'z_c'])
    r = M.evaluate_folders(true, out, Thumbnail(), classifier=None, ending='_c', size=64)
    assert r.only_true==['x/1'] and r.only_colorized==['z'] and r['colorized']['psnr'].n==3
    assert 'x/1' in r.markdown() and '3 photographs' in r.protocol and 'central 64×64' in r.protocol
    back = json.loads(r.to_json())
    assert back['only_true']==['x/1'] and back['columns']['colorized']['kid']['extractor']=='thumbnail' and back['columns']['grey']['fid']['n']==3

def test_two_systems_are_compared_photograph_by_photograph(tiles, tmp_path):
    "The difference is that of the columns; between systems that err on the same photographs its interval is narrower than theirs, and of a system and itself it is zero"
    tiles = tiles[::2]
    true,a,b = save(tmp_path/'true', tiles),save(tmp_path/'a', spoil(tiles, 0.5)),save(tmp_path/'b', spoil(tiles, 0.4))
    kw = dict(classifier=None, size=64)
    r = M.evaluate_folders(true, a, Thumbnail(), other_dir=b, **kw)
    assert set(r.columns)=={'colorized', 'other', 'grey', 'mean chroma', 'truth', 'colorized − other'}
    apart = r['colorized − other']
    for k,f in apart.items(): assert f.value==pytest.approx(r['colorized'][k].value-r['other'][k].value, abs=1e-9), k
    for k in ('kid', 'delta_e2000', 'colorfulness_error'): assert apart[k].low < apart[k].value < apart[k].high < 0, k
    assert apart['delta_e2000'].high-apart['delta_e2000'].low < (r['other']['delta_e2000'].high-r['other']['delta_e2000'].low)/2
    alone = M.evaluate_folders(true, a, Thumbnail(), **kw)
    assert alone['colorized']==r['colorized'] and 'diversity' not in r['colorized']
    same = M.evaluate_folders(true, a, Thumbnail(), other_dir=a, **kw)['colorized − other']
    assert all((f.value, f.low, f.high)==(0, 0, 0) for f in same.values())
    (b/'0.png').unlink()
    assert M.evaluate_folders(true, a, Thumbnail(), other_dir=b, **kw).only_true==['0']

def test_folders_that_do_not_fit(photos, tmp_path):
    true = save(tmp_path/'true', photos[:3])
    (tmp_path/'empty').mkdir()
    kw = dict(extractor=Thumbnail(), classifier=None, size=64)
    with pytest.raises(ValueError, match='has 0 of the 3'): M.evaluate_folders(true, tmp_path/'empty', **kw)
    with pytest.raises(NotADirectoryError, match='nowhere'): M.evaluate_folders(true, tmp_path/'nowhere', **kw)
    with pytest.raises(ValueError, match=r'0.png has 128×256 pixels, but .*0.png has 256×256'): M.evaluate_folders(true, save(tmp_path/'small', photos[:3,:,:,:128]), **kw)
    bad = save(tmp_path/'bad', photos[:3]); (bad/'1.png').write_bytes((bad/'1.png').read_bytes()[:2000])
    with pytest.raises(ValueError, match='bad/1.png: truncated'): M.evaluate_folders(true, bad, **kw)
    twice = save(tmp_path/'twice', photos[:3]); save(twice, photos[:1], ext='jpg')
    with pytest.raises(ValueError, match='one name'): M.evaluate_folders(true, twice, **kw)
    with pytest.raises(ValueError, match='labels'): M.evaluate_folders(true, true, **{**kw, 'labels': {'cat': 3}})
    with pytest.raises(ValueError, match='n_samples must be at least 1, got 0'): M.evaluate_model(None, true, n_samples=0)

def test_names_that_are_no_text(small, tmp_path):
    names = [os.fsdecode(b'caf\xe9'), 'b', 'c']
    try: true = save(tmp_path/'true', small[:3], names)
    except OSError: pytest.skip('this file system takes valid names only')
    assert M.evaluate_folders(true, true, Thumbnail(), classifier=None, size=64)['colorized']['psnr'].n==3

def test_load_crop(photos, tmp_path):
    wide = np.zeros((100, 300, 3), np.uint8); wide[:,100:200] = 200
    Image.fromarray(wide).save(tmp_path/'w.png')
    crop,size = M.load_crop(tmp_path/'w.png', 100)
    assert size==(300, 100) and crop.shape==(3, 100, 100) and (crop==200).all()
    exif = Image.Exif(); exif[0x112] = 6
    Image.fromarray(wide).save(tmp_path/'r.jpg', exif=exif)
    assert M.load_crop(tmp_path/'r.jpg', 64)[1]==(100, 300)
    Image.fromarray(np.full((70, 70), 257*90, np.uint16)).save(tmp_path/'g.png')
    assert (M.load_crop(tmp_path/'g.png', 64)[0]==90).all()

def test_model_and_folder_agree(small, tmp_path):
    "The same colours through a function and through files: the same figures"
    true = save(tmp_path/'true', small)
    tint = lambda L: join(L, torch.tensor([10., 20.]).view(1,2,1,1).expand(len(L), 2, *L.shape[2:]))
    out = save(tmp_path/'out', M.to_uint8(tint(rgb_to_L(small))))
    gray = save(tmp_path/'gray', spoil(small, 0.))
    kw = dict(extractor=Thumbnail(), classifier=None, size=64)
    model,folder = M.evaluate_model(tint, true, **kw, n_samples=2),M.evaluate_folders(true, out, **kw, more=(gray,))
    for k,f in folder['colorized'].items():
        if k!='diversity': assert f-model['colorized'][k]==pytest.approx(0, abs=1e-9), k
    assert model['colorized']['diversity'].value==0
    assert folder['colorized']['diversity'].value==pytest.approx(math.hypot(10, 20), rel=0.15)

def test_top1_with_and_without_labels(photos, tmp_path):
    true = save(tmp_path/'true', photos, ['coffee', 'cat', 'astronaut', 'rocket', 'china', 'flower'])
    said = M.evaluate_model(lambda L: (L/100).expand(-1,3,-1,-1), true, Thumbnail(), bs=2)
    labelled = M.evaluate_model(lambda L: (L/100).expand(-1,3,-1,-1), true, Thumbnail(), labels=dict(coffee=967, flower=985))
    assert 'top1_accuracy' not in said['truth'] and said['truth']['top1_agreement'].value==1 and said['truth']['top1_agreement'].n==6
    assert 'top1_agreement' not in labelled['truth'] and labelled['truth']['top1_accuracy'].value==1 and labelled['truth']['top1_accuracy'].n==2
    with pytest.raises(ValueError, match='measured differently'): said['grey']['top1_agreement'] < labelled['grey']['top1_accuracy']

def learner(cbs=(), seed=0):
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.learner import Learner
    from fastai.torch_core import set_seed
    set_seed(seed) # fastai's loaders shuffle with Python's generator, from their creation on
    x = torch.randn(8, 3)
    return Learner(DataLoaders(*[DataLoader(list(zip(x, x)), bs=4, shuffle=True) for _ in range(2)]), nn.Linear(3, 3), loss_func=nn.MSELoss(), cbs=cbs)

def test_callback_records_and_does_not_disturb(photos, tmp_path):
    from fastai.callback.progress import CSVLogger
    noisy = lambda learn, L, gen: (L/100 + 0.1*torch.rand(L.shape, generator=gen)).clamp(0, 1).expand(-1,3,-1,-1)
    cb = M.FIDCallback(noisy, photos[:,:,:64,:64], every=2, extractor=Thumbnail(), bs=4)
    log = tmp_path/'log.csv'
    with_cb,without = learner([cb, CSVLogger(log)]),learner()
    for learn in (with_cb, without):
        with learn.no_bar(), learn.no_logging(): learn.fit(3, 1e-2)
    assert torch.equal(with_cb.model.weight, without.model.weight) # a run that is measured is the same run
    head,*rows = log.read_text().splitlines()
    assert head=='epoch,train_loss,valid_loss,fid_thumbnail,kid_thumbnail,colorfulness,time'
    assert [o.split(',')[3]=='nan' for o in rows]==[True, False, False]
    assert len(cb.figures)==2 and cb.figures[0]['kid']-cb.figures[1]['kid']==0 # the same noise, and a model that does not matter
    assert cb.figures[0]['fid'].extractor=='thumbnail' and cb.figures[0]['fid'].n==6
    assert len(with_cb.metrics)==0
    with with_cb.no_bar(): with_cb.validate() # outside of `fit` nothing is measured
    assert len(cb.figures)==2
    with pytest.raises(ValueError, match='every'): M.FIDCallback(noisy, photos, every=0, extractor=Thumbnail())

@pytest.mark.filterwarnings('ignore')
def test_steps_measured_otherwise_are_measured_again(tiles, tmp_path, monkeypatch):
    "benchmarks/steps.py: figures over another reference, or of other photographs, are other lines of the file; one without their column is refused"
    bench = Path(__file__).parents[2]/'benchmarks'; monkeypatch.syspath_prepend(str(bench))
    for k,f in dict(two_sample=lambda real, fake, seed: torch.full((len(real),), 0.5), fid=lambda *_: 0., delta_e=lambda rgb, _: torch.zeros(len(rgb))).items(): monkeypatch.setattr(M, k, f) # they take seconds
    true,out = save(tmp_path/'true', tiles[:10]),tmp_path/'steps.csv'
    def steps(*more):
        monkeypatch.setattr(sys, 'argv', ['steps.py', 'gray', '--valid', str(true), '--out', str(out), '--reference', 'gray', *more])
        runpy.run_path(str(bench/'steps.py'), run_name='__main__')
        return list(csv.DictReader(out.open()))
    assert len(steps())==len(steps())==1
    assert [o['how'].split(', ')[2] for o in steps('--least', '60')]==['least 1', 'least 60']
    out.write_text('model,set,spec,extractor,n,top1_agreement_low\n')
    with pytest.raises(SystemExit, match='other columns'): steps()

def test_import_is_light():
    "Importing the module loads none of the heavy optional packages (but fastai loads scikit-learn)"
    import subprocess, sys
    code = "import sys, colorized.evaluation.report; print([m for m in ('torchmetrics', 'timm', 'skimage', 'torch_fidelity') if m in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip()=='[]'
