"The colorizer: the same bytes in any company, hints, every shape and mode, and weights that must be the right ones. Nothing here depends on what the weights have learnt"
import json, hashlib, shutil, subprocess, sys
from dataclasses import replace
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from safetensors.torch import save_file
from skimage import color
from colorized import colorizer as C
from colorized.inference.colorizer import Colorizer, as_scan, hint_grid, working_shape
from colorized.photo.scan import Scan, ScanError
from colorized.model.unet import ColorNet, ModelConfig, UNetConfig

torch.set_num_threads(1)
PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/campus-1910.jpg'

@pytest.fixture(scope='module')
def colorizer(): return Colorizer.from_pretrained(device='cpu')

@pytest.fixture(scope='module')
def gray(): return np.asarray(Image.open(PHOTO).convert('L').resize((200, 128), Image.Resampling.LANCZOS)) # worked at 256

@pytest.fixture(scope='module')
def four(colorizer, gray): return colorizer.colorize(gray, n_samples=4, seed=3, steps=2)

def digest(x): return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()

# The same photograph, seed and settings: the same bytes

def test_a_sample_is_the_same_alone_and_among_others(colorizer, gray, four):
    assert len(four)==4 and four.seeds==[3, 4, 5, 6] and four.seed==3
    for i in 0,2:
        alone = colorizer.colorize(gray, seed=3+i, steps=2)
        assert torch.equal(alone.ab[0], four.ab[i]) and np.array_equal(alone.array(), four.array(i))
    assert len({digest(four.array(i)) for i in range(4)})==4

def test_the_same_bytes_in_another_process(gray, four, tmp_path):
    np.save(tmp_path/'gray.npy', gray)
    code = f"""
import hashlib, sys, torch, numpy as np; torch.set_num_threads(1); torch.manual_seed(99)
from colorized.inference.colorizer import Colorizer
r = Colorizer.from_pretrained(device='cpu').colorize(np.load(sys.argv[1]), seed=4, steps=2)
print(hashlib.sha256(r.array().tobytes()).hexdigest())
assert not {{'fastai', 'torchvision', 'torchmetrics', 'timm', 'gradio'}} & set(sys.modules)"""
    r = subprocess.run([sys.executable, '-c', code, tmp_path/'gray.npy'], capture_output=True, text=True)
    assert r.returncode==0, r.stderr
    assert r.stdout.strip()==digest(four.array(1))

def test_global_randomness_is_left_alone(colorizer, gray):
    torch.manual_seed(1); np.random.seed(1); a = torch.get_rng_state(),np.random.get_state()[1].copy()
    colorizer.colorize(gray, steps=1)
    assert torch.equal(a[0], torch.get_rng_state()) and np.array_equal(a[1], np.random.get_state()[1])

@pytest.mark.parametrize('n', [1, 4, 5])
def test_chunks_of_several_photographs(colorizer, gray, n, monkeypatch):
    "As on a graphics card: padding fills the last chunk and is thrown away; bfloat16 may sum in another order there, hence the tolerance"
    want = colorizer.colorize(gray, n_samples=n, steps=2)
    monkeypatch.setattr(colorizer, 'chunk', 4); monkeypatch.setattr(colorizer, 'padded', True)
    calls,real = [],colorizer.denoise
    monkeypatch.setattr(colorizer, 'denoise', lambda x_t, t, cond: calls.append((len(x_t), len(cond))) or real(x_t, t, cond))
    got = colorizer.colorize(gray, n_samples=n, steps=2)
    assert got.ab.shape==want.ab.shape and len(got)==n and calls==[(4,4)]*(1 + -(-n//4)), "the first step is common to all"
    scale = max(1., want.ab.abs().max().item())
    assert (got.ab-want.ab).abs().max()<0.06*scale and (got.ab-want.ab).abs().mean()<0.01*scale

@pytest.mark.parametrize('shape,hints', [((128, 200), None), ((256, 256), [(60, 60, 'red')])], ids=['3:2', 'hint'])
def test_the_same_bytes_in_any_batch_with_any_number_of_threads(gray, shape, hints):
    "Five samples: four in one call, one alone. On a CPU without bfloat16 all go alone, and threads do matter"
    c = Colorizer.from_pretrained(device='cpu')
    x = np.asarray(Image.fromarray(gray).resize(shape[::-1]))
    try:
        one = {i: c.colorize(x, seed=i, steps=2, hints=hints).ab[0] for i in (0, 3, 4)}
        assert not c.exact # nothing to be tried for a single one
        for threads in (1, 2) if c.bf16 else (1,):
            torch.set_num_threads(threads)
            five = c.colorize(x, n_samples=5, steps=2, hints=hints).ab
            assert all(torch.equal(five[i], o) for i,o in one.items()), threads
        assert c.chunk==(4 if c.bf16 else 1)
    finally: torch.set_num_threads(1)

def test_a_machine_that_rounds_otherwise_in_a_batch(gray, monkeypatch):
    "is found out, and colours one by one"
    c = Colorizer.from_pretrained(device='cpu')
    want = torch.cat([c.colorize(gray, seed=i, steps=2).ab for i in range(4)])
    monkeypatch.setattr(c, 'chunk', 4)
    calls,real = [],c.denoise
    monkeypatch.setattr(c, 'denoise', lambda x_t, t, cond: calls.append(len(x_t)) or real(x_t, t, cond)*(1+1e-2*(len(x_t)>1)))
    assert torch.equal(c.colorize(gray, n_samples=4, steps=2).ab, want) and not any(c.exact.values()) and calls==[1]+[4, 1]+[1]*4
    calls.clear(); c.colorize(gray, n_samples=4, steps=2)
    assert calls==[1]*5 # tried once

def test_different_photographs_in_one_call(colorizer, gray):
    "As `batch` does it: each photograph comes out as if alone"
    L = [as_scan(g).thumbnail_L((256, 384)) for g in (gray, gray[::-1].copy(), 255-gray)]
    together = colorizer.chroma(colorizer.condition(torch.cat(L)), [7, 8, 9], 2)
    for i,o in enumerate(L):
        alone = colorizer.chroma(colorizer.condition(o), [7+i], 2)
        assert (alone[0]-together[i]).abs().max()<0.06*max(1., alone.abs().max().item())
    for seeds in ([1, 2], [1, 2, 3, 4], []):
        with pytest.raises(ValueError, match=f'3 photographs.*got {len(seeds)}'): colorizer.chroma(colorizer.condition(torch.cat(L)), seeds, 1)

def test_several_seeds_for_each_of_several_photographs(colorizer, gray):
    "The seeds of a photograph lie side by side"
    L = torch.cat([as_scan(g).thumbnail_L((256, 384)) for g in (gray, 255-gray)])
    cond = colorizer.condition(L)
    both = colorizer.chroma(cond, [7, 8, 7, 9], 2)
    for i,(k,seed) in enumerate([(0,7), (0,8), (1,7), (1,9)]):
        alone = colorizer.chroma(cond[k:k+1], [seed], 2)[0]
        assert (alone-both[i]).abs().max()<0.06*max(1., alone.abs().max().item())
    assert (both[0]-both[1]).abs().max()>1 and (both[0]-both[2]).abs().max()>1

def test_a_schedule_that_ends_before_pure_noise_shares_no_step():
    "A first guess is common to all samples only where the first state holds nothing but noise"
    for zero,steps in ((True, 2), (False, 3)):
        config = replace(ModelConfig(UNetConfig(widths=(32,64,64))), param='v', schedule=dict(kind='cosine', n_steps=20, zero_terminal=zero))
        torch.manual_seed(0); c = Colorizer(ColorNet(config.net), config, device='cpu')
        calls,real = [],c.denoise; c.denoise = lambda x_t, t, cond: calls.append(t[0].item()) or real(x_t, t, cond)
        c.chunk = 1; c.chroma(c.condition(torch.rand(1, 1, 64, 64)*100), [1, 2], steps)
        assert calls.count(19)==(1 if zero else 2)

# Hints

def test_the_gain_multiplies_the_first_guess_and_spares_hints(colorizer, gray):
    "One step is the first guess. What it makes of hints is multiplied, too, so it gets to see them divided by the gain; where they lie, they come out as they went in"
    own = Colorizer.from_pretrained(device='cpu')
    def one(gain, ab=None):
        own.config = replace(own.config, gain=gain); hints = None
        if ab is not None: hints = torch.zeros(1, 3, 40, 64); hints[:,2,10:14,20:24] = 1.; hints[:,:2,10:14,20:24] = torch.tensor(ab).view(1, 2, 1, 1)
        L = as_scan(gray).thumbnail_L((160, 256))
        return own.chroma(own.condition(L, hints), [0], 1)
    assert torch.equal(one(2.), 2*one(1.)) and not torch.equal(one(2.), one(1.))
    gained,plain = one(2., [40.,-30.]),one(1., [20.,-15.])
    there = torch.zeros_like(gained, dtype=torch.bool); there[...,10:14,20:24] = True
    assert torch.equal(gained[~there], 2*plain[~there])
    assert torch.allclose(gained[there].view(2, -1), torch.tensor([[40.],[-30.]]), atol=1e-3)

def chroma_at(result, i=0): return color.rgb2lab(result.array(i)/255)[...,1:]

# Small things

def test_sureness_is_what_its_formula_says():
    "Place by place, by hand: chroma over 3×3 places, and the mean of s over a square of a sixth of the shorter side"
    first = torch.randn(1, 2, 20, 33, generator=torch.Generator().manual_seed(2))*12
    c2 = (first[0].numpy()**2).sum(0)
    around = lambda x, n: np.array([[x[max(0,i-n):i+n+1, max(0,j-n):j+n+1].mean() for j in range(x.shape[1])] for i in range(x.shape[0])])
    c2 = around(c2, 1); s = c2/(c2+64)
    np.testing.assert_allclose(C.sureness(first)[0,0].numpy(), s*(1-around(s, 1)), rtol=1e-4) # 20 // 6 = 3 places wide

@pytest.mark.parametrize('hints', [False, True])
def test_small_things_keep_the_colour_of_the_first_guess(colorizer, gray, monkeypatch, hints):
    "Unsure of everything: the same bytes as without. Sure of it all: what seeds differ in is only what the last step, which is left alone, makes of it. As it is: in between"
    L = as_scan(gray).thumbnail_L(working_shape(gray.shape))
    cond = colorizer.condition(L, hint_grid([(100,64,'red',4)], gray.shape, [o//4 for o in L.shape[2:]]) if hints else None)
    first,free,kept = colorizer.chroma(cond, [0], 1),colorizer.chroma(cond, [0,1,2], keep=False),colorizer.chroma(cond, [0,1,2])
    monkeypatch.setattr(C, 'sureness', lambda o: torch.zeros(len(o), 1, *o.shape[2:]))
    assert torch.equal(colorizer.chroma(cond, [0,1,2]), free) and not torch.equal(kept, free)
    monkeypatch.setattr(C, 'sureness', lambda o: torch.ones(len(o), 1, *o.shape[2:]))
    all_kept = colorizer.chroma(cond, [0,1,2])
    for far in (lambda ab: (ab-first).pow(2).mean().sqrt(), lambda ab: ab.var(0).mean().sqrt()):
        assert far(all_kept)<far(kept)<far(free)

@pytest.mark.parametrize('hue', [(200, 40, 40), (40, 60, 190)])
def test_hints_are_obeyed_where_they_are_given(colorizer, hue):
    flat = np.full((256, 320), 140, np.uint8); flat[:,160:] = 150
    x,y,r = 80,128,10
    L,*want = color.rgb2lab(np.array(hue, float).reshape(1,1,3)/255)[0,0]
    want = np.array(want)*min(1, color.rgb2lab(np.full((1,1,3), 140/255))[0,0,0]/L) # the saturation asked for, at this lightness
    plain,hinted = colorizer.colorize(flat, steps=4),colorizer.colorize(flat, steps=4, hints=[(x, y, hue, r)])
    a,b = chroma_at(plain),chroma_at(hinted)
    cell = hinted.ab[0,:,int(y*hinted.ab.shape[2]/256),int(x*hinted.ab.shape[3]/320)].numpy()
    assert np.abs(cell-want).max()<1.5                                    # on the grid of the network, to the letter
    here = np.s_[y-4:y+5,x-4:x+5]
    direction = want/np.linalg.norm(want)
    assert b[here].reshape(-1,2).mean(0)@direction>0.5*np.linalg.norm(want) # in the picture, as far as sRGB holds it at this lightness
    ring = np.zeros(flat.shape, bool); ring[y-40:y+41,x-40:x+41] = True; ring[y-14:y+15,x-14:x+15] = False
    assert (b[ring].mean(0)-a[ring].mean(0))@direction>0                    # and its neighbourhood leans the same way

def test_a_hint_reaches_what_looks_alike(colorizer):
    "A dark and a bright half: what the network makes of a hint in one of them counts there; the other stays as it is without hints"
    L = torch.full((1, 1, 256, 384), 25.); L[...,192:] = 88.
    cond = colorizer.condition(L, hint_grid([(60, 128, 'navy', 12)], (256, 384), (64, 96), L[...,::4,::4]))
    plain,hinted = [colorizer.chroma(o, [0], 4) for o in (cond.with_hints(None), cond)]
    alone = colorizer._chroma(cond, [0], 1, 4, 1., C.dpmpp_2m, True, True)
    moved = lambda ab, *part: (ab-plain).norm(dim=1)[0][part].mean()
    near,far = (slice(28, 36), slice(8, 22)),(slice(None), slice(60, None))
    assert moved(alone, *far)>3 # the network takes it for a word on the light
    assert moved(hinted, *far)<0.35*moved(alone, *far)
    k,on,change = C.reach(cond),cond.hints[:,2:],alone-plain
    size = change.norm(dim=1, keepdim=True)
    most = size[on>0].max()
    assert moved(hinted, *near)>0.9*most and moved(alone, *near)>1.1*most # around the hint as much as at it, where the network exaggerates
    assert torch.allclose(hinted, plain+k*change*torch.where(size>most, most/size, 1.), atol=1e-3) and k.amax()==1
    assert (hinted-plain).norm(dim=1).max()<=most*1.0001 and torch.allclose(hinted[0][:,on[0,0]>0], alone[0][:,on[0,0]>0], atol=1e-4) # obeyed to the letter

def test_in_company_only_those_with_hints_follow_them(colorizer, gray):
    L = Scan(gray).thumbnail_L((128, 192))
    with_hint = colorizer.condition(L, hint_grid([(60, 60, 'red')], gray.shape, (32, 48)))
    none = torch.zeros_like(with_hint.hints)
    both = colorizer.condition(torch.cat([L, L])).with_hints(torch.cat([with_hint.hints, none]))
    a,b = colorizer.chroma(both, [0, 0], 2)
    assert torch.equal(b, colorizer.chroma(colorizer.condition(L), [0], 2)[0]) and not torch.equal(a, b)
    known = colorizer.chroma(colorizer.condition(L), [0], 2)
    assert torch.equal(colorizer.chroma(with_hint, [0], 2, plain=known), colorizer.chroma(with_hint, [0], 2))

def test_an_overlay_and_points_say_the_same(colorizer, gray, tmp_path):
    over = Image.new('RGBA', gray.shape[::-1]); over.paste((0, 128, 0, 255), (100, 60, 140, 100)); over.save(tmp_path/'h.png')
    a,b = [colorizer.colorize(gray, steps=1, hints=h) for h in (over, tmp_path/'h.png')]
    assert torch.equal(a.ab, b.ab) and a.provenance.settings['hints'] is True
    assert not torch.equal(a.ab, colorizer.colorize(gray, steps=1).ab)
    clear = Image.new('RGBA', gray.shape[::-1])
    grid = hint_grid(clear, gray.shape, (64, 96))
    assert grid.shape==(1,3,64,96) and not grid.any()
    for name in 'green',(0, 128, 0),'#008000':
        g = hint_grid([(120, 80, name)], gray.shape, (64, 96))
        assert g[0,2].any() and torch.allclose(g[0,:2,g[0,2]>0].mean(1), torch.tensor(color.rgb2lab([[[0, 128/255, 0]]])[0,0,1:]).float(), atol=0.5)

@pytest.mark.parametrize('hint,word', [((320, 10, 'red'), '320'), ((10, -1, 'red'), 'outside'), ((1, 1, 'crimsonish'), 'crimsonish'), ((1, 1, (300, 0, 0)), '300'), ((1, 1, (1, 2)), '0..255'), ((1, 1, (-1, 0, 0)), '0..255'),
    ((1, 1, (.2, .3, .4)), 'integer in 0..255'), ((1, 1), 'must be .x, y, colour'), (60, 'hint 60 must be'), ((1, 1, 'red', 'large'), 'radius'), ('red', 'hint .red. must be')])
def test_hints_that_do_not_fit(colorizer, gray, hint, word):
    with pytest.raises(ValueError, match=word): colorizer.colorize(gray, steps=1, hints=[hint])

def test_an_overlay_without_transparency_is_no_overlay(colorizer, gray):
    "As painting programs save it; taken for hints, its ground would make all the photograph white"
    with pytest.raises(ValueError, match='transparent'): colorizer.colorize(gray, steps=1, hints=Image.new('RGB', gray.shape[::-1], 'white'))

def test_no_hint_is_lost(colorizer, gray):
    "A point smaller than a cell counts as one; an overlay without paint is refused; no hints are none; an array is an overlay"
    deep = np.zeros((4000, 3000), np.uint8)
    assert hint_grid([(1800, 2975, 'red', 5)], deep.shape, (128, 96))[0,2].any()
    with pytest.raises(ValueError, match='covers nothing'): colorizer.colorize(gray, steps=1, hints=Image.new('RGBA', gray.shape[::-1]))
    assert colorizer.colorize(gray, steps=1, hints=[]).provenance.settings['hints'] is False
    over = np.zeros((*gray.shape, 4), np.uint8); over[40:80,40:90] = 0,0,255,255
    a,b = [colorizer.colorize(gray, steps=1, hints=h) for h in (over, Image.fromarray(over))]
    assert torch.equal(a.ab, b.ab) and a.provenance.settings['hints'] is True

def test_numbers_of_numpy(colorizer, gray):
    a,b = [colorizer.colorize(gray, seed=s, steps=k, n_samples=1) for s,k in ((3, 1), (np.int64(3), np.int32(1)))]
    assert torch.equal(a.ab, b.ab) and a.seeds==b.seeds and json.dumps(b.provenance.settings)
    for k in 'seed','steps','n_samples','working_size':
        with pytest.raises(ValueError, match=f'{k} must be an integer'): colorizer.colorize(gray, **{k: 1.5})

def test_overlay_of_another_size(colorizer, gray):
    with pytest.raises(ValueError, match='10×10.*200×128'): colorizer.colorize(gray, steps=1, hints=Image.new('RGBA', (10, 10)))

# Disagreement

def test_uncertainty(colorizer, gray, four):
    u = four.uncertainty
    assert u.shape==gray.shape and u.dtype==np.float32 and np.isfinite(u).all() and (u>=0).all() and u.mean()>0
    ab = four.ab.double().numpy()
    assert np.allclose(four.spread, np.sqrt(ab.var(0, ddof=1).sum(0)), atol=1e-3)
    m = four.uncertainty_map()
    assert m.size==gray.shape[::-1] and m.mode=='RGB' and max(four.uncertainty_map(side=100).size)==100
    one = colorizer.colorize(gray, steps=1)
    for ask in lambda: one.uncertainty,lambda: one.uncertainty_map():
        with pytest.raises(ValueError, match='at least 2 samples'): ask()

def test_notebook_display_and_sheet(four):
    sheet = four.sheet(160)
    assert sheet.mode=='RGB' and sheet.width>160 and '<img' in four._repr_html_() and 'seed 3 to 6' in four._repr_html_()
    with pytest.raises(IndexError, match='4 samples'): four.array(4)

# Every shape

@pytest.mark.parametrize('shape', [(1,2000), (2000,1), (16,16), (1,1), (33,31), (17,640)])
@pytest.mark.filterwarnings('error')
def test_any_shape(colorizer, shape):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    r = colorizer.colorize(x, n_samples=2, steps=1, working_size=64)
    assert r.array().shape==(*shape, 3) and r.uncertainty.shape==shape and torch.isfinite(r.ab).all()
    L = color.rgb2lab(np.stack([x]*3, -1)/255.)[...,0]
    assert np.percentile(np.abs(color.rgb2lab(r.array()/255.)[...,0]-L), 99.9)<=0.5
    assert r.sheet().width>0

def test_extreme_aspect_at_the_default_size(colorizer):
    r = colorizer.colorize(np.full((1,2000), 99, np.uint8), steps=1)
    assert r.array().shape==(1,2000,3) and r.ab.shape==(1,2,64,1024)

def test_working_size(colorizer, gray):
    "At most so large, and a fifth more than the photograph, unless that is smaller than a lesson"
    middle,large = [np.asarray(Image.fromarray(gray).resize(o)) for o in ((450, 288), (960, 615))]
    for photo,size,side in ((large, 512, 512), (large, 640, 640), (large, 1024, 736), (middle, 512, 320), (middle, 384, 320), (gray, 384, 256), (gray, 64, 64)):
        r = colorizer.colorize(photo, steps=1, working_size=size)
        assert r.ab.shape[-2:]==tuple(n//4 for n in working_shape(photo.shape, size)) and min(r.ab.shape[-2:])==side//4
        assert r.array().shape==(*photo.shape, 3) and r.provenance.settings['working_size']==size
    assert min(colorizer.colorize(large, steps=1).ab.shape[-2:])==96
    for bad in 0,100,-256:
        with pytest.raises(ValueError, match=f'working_size.*{bad}'): colorizer.colorize(gray, working_size=bad)

def test_saturation(colorizer, gray):
    r = colorizer.colorize(gray, steps=1, saturation=0)
    x = r.array()
    assert not r.ab.any() and (x.max(2)==x.min(2)).all() and np.array_equal(x[...,0], gray)
    a,b = [colorizer.colorize(gray, steps=1, saturation=s).ab for s in (1, 0.5)]
    assert torch.allclose(a/2, b)

@pytest.mark.parametrize('kw', [dict(n_samples=0), dict(steps=0), dict(steps=1001), dict(saturation=-1), dict(seed=2**64), dict(seed=-2**64), dict(temperature=-1)], ids=str)
def test_bad_settings_are_named(colorizer, gray, kw):
    with pytest.raises(ValueError, match=f"{next(iter(kw))}.*{next(iter(kw.values()))}"): colorizer.colorize(gray, **{'steps':1, **kw})

# Every way to hold a photograph

def deep(gray): return gray.astype(np.uint16)*257

MODES = {'1':lambda g: g.convert('1'), 'L':lambda g: g, 'LA':lambda g: g.convert('LA'), 'P':lambda g: g.convert('RGB').quantize(64), 'RGB':lambda g: g.convert('RGB'),
         'RGBA':lambda g: g.convert('RGBA'), 'CMYK':lambda g: g.convert('CMYK'), 'I;16':lambda g: Image.fromarray(deep(np.asarray(g))), 'I':lambda g: Image.fromarray(deep(np.asarray(g)).astype(np.int32))}

@pytest.mark.parametrize('mode', MODES)
def test_pil_images(colorizer, gray, mode):
    im = MODES[mode](Image.fromarray(gray))
    assert im.mode==mode
    s = as_scan(im)
    assert s.bits==(16 if mode.startswith('I') else 8) and s.shape==gray.shape
    want = np.asarray(im.convert('L')) if mode in ('1','P','CMYK') else gray
    assert np.abs(s.L()[0,0].numpy()-color.rgb2lab(np.stack([want]*3, -1)/255.)[...,0]).max()<1.5
    if mode in ('1', 'LA', 'I;16'):
        x = colorizer.colorize(im, steps=1, working_size=64).array()
        assert x.shape==(*gray.shape, 3) and x.dtype==(np.uint16 if mode=='I;16' else np.uint8)

def test_paths_arrays_and_scans_agree(colorizer, gray, tmp_path):
    Image.fromarray(gray).save(tmp_path/'g.png')
    paint = lambda o: colorizer.colorize(o, steps=1, working_size=64).array()
    kinds = tmp_path/'g.png',str(tmp_path/'g.png'),gray,Scan(gray),Image.fromarray(gray),gray[::-1][::-1]
    one,*others = map(paint, kinds)
    assert {digest(o) for o in others}=={digest(one)}
    assert np.abs(paint(np.stack([gray]*3, -1)).astype(int)-one).max()<=2 # gray in colour clothes: its L is rounded differently
    assert colorizer.colorize(deep(gray), steps=1, working_size=64).array().dtype==np.uint16

@pytest.mark.parametrize('x', [np.zeros((4,4), np.float32), np.zeros((4,4), np.int64), np.zeros((4,4), bool), np.zeros((4,4), np.int16)], ids=lambda x: str(x.dtype))
def test_arrays_of_another_type(colorizer, x):
    with pytest.raises((TypeError, ValueError), match=str(x.dtype)): colorizer.colorize(x)

@pytest.mark.parametrize('x', [np.zeros((4,4,4), np.uint8), np.zeros((4,4,2), np.uint8), np.zeros((0,4), np.uint8), np.zeros(4, np.uint8)], ids=lambda x: str(x.shape))
def test_arrays_of_another_shape(colorizer, x):
    with pytest.raises(ValueError, match=str(x.shape).replace('(', r'\(').replace(')', r'\)')): colorizer.colorize(x)

@pytest.mark.parametrize('x', [None, 3, [[1, 2], [3, 4]], torch.zeros(4, 4)], ids=lambda x: type(x).__name__)
def test_things_that_are_no_photograph(colorizer, x):
    with pytest.raises(TypeError, match=type(x).__name__): colorizer.colorize(x)

def test_files_that_are_none(colorizer, tmp_path):
    (tmp_path/'t.jpg').write_text('text')
    with pytest.raises(ScanError, match='t.jpg'): colorizer.colorize(tmp_path/'t.jpg')
    with pytest.raises((ScanError, FileNotFoundError), match='missing.jpg'): colorizer.colorize(tmp_path/'missing.jpg')

def test_sixteen_bits_keep_their_lightness(colorizer, gray):
    g = deep(gray)+np.random.default_rng(0).integers(-60, 60, gray.shape).astype(np.uint16)*(gray>0)*(gray<255)
    x = colorizer.colorize(g, steps=1, working_size=64).array()
    assert np.abs(color.rgb2lab(x/65535)[...,0]-color.rgb2lab(np.stack([g]*3, -1)/65535)[...,0]).max()<0.05

# Weights

@pytest.fixture
def packaged(tmp_path, monkeypatch):
    for f in 'default.safetensors','default.sha256': shutil.copy(C.WEIGHTS/f, tmp_path)
    monkeypatch.setattr(C, 'WEIGHTS', tmp_path)
    return tmp_path/'default.safetensors'

@pytest.mark.parametrize('damage', ['a bit of the last weight', 'the header', 'cut short', 'other weights'])
def test_packaged_weights_must_be_those_that_were_packaged(packaged, damage):
    assert Colorizer.from_pretrained().sha256==hashlib.sha256(packaged.read_bytes()).hexdigest()
    x = bytearray(packaged.read_bytes())
    if damage=='a bit of the last weight': x[-1] ^= 1
    if damage=='the header': x[9] ^= 0xff
    if damage=='cut short': del x[len(x)//2:]
    if damage=='other weights': save_file(dict(w=torch.zeros(3)), packaged); x = packaged.read_bytes()
    packaged.write_bytes(x)
    with pytest.raises(ValueError, match='default.safetensors'): Colorizer.from_pretrained()

def test_missing_weights(packaged):
    packaged.unlink()
    with pytest.raises(FileNotFoundError, match='default.safetensors'): Colorizer.from_pretrained()

def test_a_checkpoint_of_ones_own(colorizer, packaged, tmp_path):
    own = tmp_path/'mine.safetensors'; packaged.rename(own)
    c = Colorizer.from_pretrained(own)
    assert (c.name, c.sha256)==('mine', colorizer.sha256) and 'mine' in repr(c)
    with pytest.raises(FileNotFoundError, match='yours'): Colorizer.from_pretrained(tmp_path/'yours.safetensors')
    with pytest.raises(ValueError, match='campus-1910'): Colorizer.from_pretrained(PHOTO)

class Hub:
    "huggingface_hub, as far as it is used"
    def __init__(self, path): self.path,self.asked = path,[]
    def hf_hub_download(self, repo_id, filename, **kwargs): self.asked.append((repo_id, filename)); return str(self.path)

@pytest.mark.parametrize('repo', ['archive/colour', 'archive/colour-v1.0'])
def test_from_hugging_face(packaged, repo, colorizer, monkeypatch):
    hub = Hub(packaged); monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    c = Colorizer.from_pretrained(repo)
    assert hub.asked==[(repo, 'model.safetensors')] and c.name==repo and c.sha256==colorizer.sha256

def test_hugging_face_is_not_asked_for_paths(packaged, monkeypatch):
    hub = Hub(packaged); monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    Colorizer.from_pretrained(); Colorizer.from_pretrained(packaged)
    with pytest.raises(FileNotFoundError): Colorizer.from_pretrained('runs/model.safetensors')
    assert not hub.asked

def test_without_hugging_face(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match='pip install huggingface_hub'): Colorizer.from_pretrained('archive/colour')
