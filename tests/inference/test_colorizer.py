"The colorizer: the same bytes in any process, every kind of photograph, the right weights"
import hashlib, json, shutil, subprocess, sys
from dataclasses import asdict
import numpy as np, pytest, torch
from PIL import Image
from safetensors.torch import save_file
from skimage import color
from colorized.inference import colorizer as C
from colorized.inference.colorizer import Colorizer, as_scan
from colorized.model.sampling import working_shape
from colorized.photo.reading import read_scan
from colorized.photo.scan import Scan, ScanError

torch.set_num_threads(1)

def digest(x): return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()
def chroma_at(result, i=0): return color.rgb2lab(result.array(i)/255)[...,1:]

# The same photograph, seed and settings: the same bytes

def test_a_sample_is_the_same_alone_and_among_others(colorizer, gray, four):
    assert len(four)==4 and four.seeds==[3, 4, 5, 6] and four.seed==3
    for i in (0, 2):
        alone = colorizer.colorize(gray, seed=3+i, steps=2)
        assert torch.equal(alone.ab[0], four.ab[i])
        assert np.array_equal(alone.array(), four.array(i))
    assert len({digest(four.array(i)) for i in range(4)})==4

def test_the_original_is_known_as_it_was_read(colorizer, gray, tmp_path):
    Image.fromarray(gray).save(tmp_path/'photo.png')
    sha = hashlib.sha256((tmp_path/'photo.png').read_bytes()).hexdigest()
    result = colorizer.colorize(tmp_path/'photo.png', steps=1)
    Image.fromarray(255-gray).save(tmp_path/'photo.png') # another photograph in its place
    assert result.file_provenance().settings['source_sha256']==sha

def test_the_same_bytes_in_another_process(gray, four, tmp_path):
    np.save(tmp_path/'gray.npy', gray)
    code = """
import hashlib, sys, torch, numpy as np
torch.set_num_threads(1)
torch.manual_seed(99)
from colorized import Colorizer
r = Colorizer.from_pretrained(device='cpu').colorize(np.load(sys.argv[1]), seed=4, steps=2)
print(hashlib.sha256(r.array().tobytes()).hexdigest())
assert not {'fastai', 'torchvision', 'torchmetrics', 'timm'} & set(sys.modules)"""
    command = [sys.executable, '-c', code, tmp_path/'gray.npy']
    r = subprocess.run(command, capture_output=True, text=True)
    assert r.returncode==0, r.stderr
    assert r.stdout.strip()==digest(four.array(1))

# Options and what becomes of them

def test_options_are_those_of_the_checkpoint_unless_named(colorizer):
    want = dict(seed=0, steps=6, temperature=0.6, saturation=1., working_size=384)
    assert colorizer.options()==want
    named = dict(seed=3, steps=2, temperature=0.5, saturation=2., working_size=256)
    assert colorizer.options(1, **named)==named
    own = Colorizer.from_pretrained(device='cpu', settings=dict(steps=4, working_size=128))
    assert own.options()=={**want, 'steps': 4, 'working_size': 128}

def test_provenance_names_every_setting_that_was_in_force(colorizer):
    "a default of another version may be another"
    plain = colorizer.provenance(colorizer.options(seed=7), bits=16)
    always = {**asdict(colorizer.settings), 'saturation': 1., 'hints': False}
    del always['steps'] # which has a property of its own
    assert plain.settings=={**always, 'bits': 16} and plain.seed==7 and plain.steps==6
    assert plain.settings['red_shrinkage']==1. and plain.settings['average_until']==1/3
    assert plain.model_sha256==colorizer.sha256 and plain.model=='colorized-default'
    changes = dict(average=False, steps=4, gain=1.5)
    own = Colorizer.from_pretrained(device='cpu', settings=changes)
    made = own.provenance(own.options(temperature=0.5), hints=True)
    other = dict(hints=True, average=False, gain=1.5, temperature=0.5)
    assert made.settings=={**always, **other} and made.steps==4

def test_provenance_does_not_tell_numbers_of_one_value_apart(colorizer):
    "or a run begun with gain=1 would not be continued with gain=1.0"
    a,b = [Colorizer.from_pretrained(device='cpu', settings=o) for o in
           (dict(gain=2, cells=512, average=0), dict(gain=2., cells=np.int64(512), average=False))]
    said = [json.dumps(o.provenance(o.options()).settings) for o in (a, b)]
    assert said[0]==said[1] and '"gain": 2.0' in said[0] and '"average": false' in said[0]

def test_settings_change_the_colors(colorizer, gray):
    own = Colorizer.from_pretrained(device='cpu', settings=dict(gain=2.))
    a,b = [c.colorize(gray, steps=1).ab for c in (colorizer, own)]
    assert torch.allclose(b, a*2/colorizer.settings.gain, atol=0.2)

@pytest.mark.parametrize('kw', [dict(n_samples=0), dict(steps=0), dict(steps=1001),
    dict(saturation=-1), dict(saturation=101), dict(seed=2**64), dict(seed=-2**64),
    dict(temperature=-1), dict(temperature=101)], ids=str)
def test_bad_options_are_named(colorizer, gray, kw):
    (name,value), = kw.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        colorizer.colorize(gray, **{'steps': 1, **kw})

@pytest.mark.parametrize('kw,said', [
    (dict(n_samples=0), 'n_samples must be at least 1, got 0'),
    (dict(n_samples=1.5), 'n_samples must be an integer, got 1.5'),
    (dict(steps=0), 'steps must lie in 1..1000, got 0'),
    (dict(steps=1001), 'steps must lie in 1..1000, got 1001'),
    (dict(seed=-2**63-1), f'seed must lie in -2**63..2**64-1, got {-2**63-1}'),
    (dict(seed=2**64-1, n_samples=2), f'seed must lie in -2**63..2**64-2, got {2**64-1}'),
    (dict(saturation=-0.1), 'saturation must lie in 0..100, got -0.1'),
    (dict(temperature=100.1), 'temperature must lie in 0..100, got 100.1')])
def test_options_that_cannot_be(colorizer, kw, said):
    with pytest.raises(ValueError) as e:
        colorizer.options(**kw)
    assert str(e.value)==said

@pytest.mark.parametrize('name,said', [
    ('saturation', "must lie in 0..100, got '1'"), ('steps', "must be an integer, got '1'"),
    ('temperature', "must be a finite number, got '1'"),
    ('working_size', "must be an integer, got '1'"), ('n_samples', "must be an integer, got '1'")])
def test_options_of_another_type(colorizer, name, said):
    with pytest.raises(ValueError, match=f'^{name} {said}$'):
        colorizer.options(**{name: '1'})

def test_settings_of_another_type():
    for settings in (dict(gain='1.5'), dict(cells='x'), dict(steps='6')):
        (name,value), = settings.items()
        with pytest.raises(ValueError, match=f'^{name} must be .*, got {value!r}$'):
            Colorizer.from_pretrained(device='cpu', settings=settings)

@pytest.mark.parametrize('kw', [
    dict(seed=-2**63), dict(seed=2**64-1), dict(seed=2**64-3, n_samples=3), dict(steps=1),
    dict(steps=1000), dict(temperature=0), dict(temperature=100), dict(saturation=0),
    dict(saturation=100)], ids=str)
def test_options_at_their_limits(colorizer, kw):
    assert {**colorizer.options(**kw), 'n_samples': kw.get('n_samples')}.items()>=kw.items()

def test_numbers_of_numpy(colorizer, gray):
    a = colorizer.colorize(gray, seed=3, steps=1)
    b = colorizer.colorize(gray, seed=np.int64(3), steps=np.int32(1), n_samples=1)
    assert torch.equal(a.ab, b.ab) and a.seeds==b.seeds and json.dumps(b.provenance.settings)
    for k in ('seed', 'steps', 'n_samples', 'working_size'):
        with pytest.raises(ValueError, match=f'{k} must be an integer'):
            colorizer.colorize(gray, **{k: 1.5})

def test_saturation(colorizer, gray):
    r = colorizer.colorize(gray, steps=1, saturation=0)
    x = r.array()
    assert not r.ab.any() and (x.max(2)==x.min(2)).all() and np.array_equal(x[...,0], gray)
    a,b = [colorizer.colorize(gray, steps=1, saturation=s).ab for s in (1, 0.5)]
    assert torch.allclose(a/2, b)
    assert colorizer.colorize(gray, steps=1, saturation=.5).provenance.settings['saturation']==0.5

def test_what_rests_on_all_samples_says_how_many_and_of_what(colorizer, gray, tmp_path):
    "as maps and contact sheets do; the file of a sample is the same alone and among others"
    Image.fromarray(gray).save(tmp_path/'a.png')
    one,three = (colorizer.colorize(tmp_path/'a.png', n, steps=1) for n in (1, np.int64(3)))
    sha = hashlib.sha256((tmp_path/'a.png').read_bytes()).hexdigest()
    more = dict(samples=3, source_sha256=sha)
    assert three.provenance.settings=={**one.provenance.settings, **more}
    assert 'samples' not in one.provenance.settings
    assert three.file_provenance()==one.file_provenance()
    assert json.loads(three.provenance.properties['colorized', 'Settings'])['samples']==3

# Hints

@pytest.mark.parametrize('hue', [(200, 40, 40), (40, 60, 190)])
def test_hints_are_obeyed_where_they_are_given(colorizer, hue):
    flat = np.full((256, 320), 140, np.uint8)
    flat[:,160:] = 150
    x,y,r = 80,128,10
    L,*want = color.rgb2lab(np.array(hue, float).reshape(1,1,3)/255)[0,0]
    here_L = color.rgb2lab(np.full((1,1,3), 140/255))[0,0,0]
    want = np.array(want)*min(1, here_L/L) # the saturation asked for, at this lightness
    plain = colorizer.colorize(flat, steps=4)
    hinted = colorizer.colorize(flat, steps=4, hints=[(x, y, hue, r)])
    a,b = chroma_at(plain),chroma_at(hinted)
    h,w = hinted.ab.shape[2:]
    cell = hinted.ab[0,:,int(y*h/256),int(x*w/320)].numpy()
    assert np.abs(cell-want).max()<1.5 # on the grid of the network, to the letter
    here = np.s_[y-4:y+5,x-4:x+5]
    direction = want/np.linalg.norm(want)
    # in the picture, as far as sRGB holds it at this lightness
    assert b[here].reshape(-1,2).mean(0)@direction>0.5*np.linalg.norm(want)
    ring = np.zeros(flat.shape, bool)
    ring[y-40:y+41,x-40:x+41] = True
    ring[y-14:y+15,x-14:x+15] = False
    assert (b[ring].mean(0)-a[ring].mean(0))@direction>0 # its neighborhood leans the same way

def test_hints_of_every_kind(colorizer, gray, tmp_path):
    over = np.zeros((*gray.shape, 4), np.uint8)
    over[40:80,40:90] = 0,0,255,255
    Image.fromarray(over).save(tmp_path/'h.png')
    kinds = over,Image.fromarray(over),tmp_path/'h.png'
    a,b,c = [colorizer.colorize(gray, steps=1, hints=h) for h in kinds]
    assert torch.equal(a.ab, b.ab) and torch.equal(a.ab, c.ab)
    assert all(o.provenance.settings['hints'] is True for o in (a, b, c))
    sha = hashlib.sha256((tmp_path/'h.png').read_bytes()).hexdigest()
    assert [o.provenance.settings.get('hints_sha256') for o in (a, b, c)]==[None, None, sha]
    none = colorizer.colorize(gray, steps=1)
    points = [(40, 50, 'navy'), (np.float32(80.5), 60, (200, 30, 30), 12)]
    plain = [[40, 50, '#000080'], [80.5, 60, '#c81e1e', 12]]
    (tmp_path/'h.json').write_text(json.dumps(plain))
    for o in points, iter(points), plain, tmp_path/'h.json':
        r = colorizer.colorize(gray, steps=1, hints=o)
        assert r.provenance.settings['hints']==plain
        assert not torch.equal(r.ab, none.ab)
        assert torch.equal(r.ab, colorizer.colorize(gray, steps=1, hints=points).ab)
    for n,stated in {200: True, 201: False}.items(): # a JPEG has room for 64 kB of metadata
        r = colorizer.colorize(gray, steps=1, hints=[(40, 50, 'navy')]*n)
        assert (r.provenance.settings['hints'] is not True)==stated
    assert not torch.equal(a.ab, none.ab) and none.provenance.settings['hints'] is False
    for empty in ([], (), None):
        r = colorizer.colorize(gray, steps=1, hints=empty)
        assert torch.equal(r.ab, none.ab) and r.provenance.settings['hints'] is False
    with pytest.raises(ValueError, match='covers nothing'):
        colorizer.colorize(gray, steps=1, hints=Image.new('RGBA', gray.shape[::-1]))

# Every shape

@pytest.mark.parametrize('shape', [(1,2000), (2000,1), (16,16), (1,1), (33,31), (17,640)])
@pytest.mark.filterwarnings('error', 'ignore::DeprecationWarning:matplotlib')
def test_any_shape(colorizer, shape):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    r = colorizer.colorize(x, n_samples=2, steps=1, working_size=64)
    assert r.array().shape==(*shape, 3) and r.uncertainty.shape==shape
    assert torch.isfinite(r.ab).all()
    L = color.rgb2lab(np.stack([x]*3, -1)/255.)[...,0]
    assert np.percentile(np.abs(color.rgb2lab(r.array()/255.)[...,0]-L), 99.9)<=0.5
    assert r.sheet().width>0

def test_extreme_aspect_at_the_default_size(colorizer):
    r = colorizer.colorize(np.full((1,2000), 99, np.uint8), steps=1)
    assert r.array().shape==(1,2000,3) and r.ab.shape==(1,2,64,1024)

def test_working_size(colorizer, gray):
    "At most so large, and a fifth more than the photograph, unless that is below the training size"
    middle,large = [np.asarray(Image.fromarray(gray).resize(o)) for o in ((450, 288), (960, 615))]
    cases = [(large, 512, 512), (large, 640, 640), (large, 1024, 736), (middle, 512, 320),
             (middle, 384, 320), (gray, 384, 256), (gray, 64, 64)]
    for photo,size,side in cases:
        r = colorizer.colorize(photo, steps=1, working_size=size)
        want = working_shape(photo.shape, size)
        assert r.ab.shape[-2:]==tuple(n//4 for n in want) and min(want)==side
        assert working_shape(photo.shape, **colorizer.grid(size))==want
        assert r.array().shape==(*photo.shape, 3)
        assert r.provenance.settings['working_size']==size
    assert min(colorizer.colorize(large, steps=1).ab.shape[-2:])==96
    for bad in (0, 100, -256):
        with pytest.raises(ValueError, match=f'working_size.*{bad}'):
            colorizer.colorize(gray, working_size=bad)

# Every way to hold a photograph

def deep(gray): return gray.astype(np.uint16)*257
def as_deep(im, dtype): return Image.fromarray(deep(np.asarray(im)).astype(dtype))

MODES = {'1': lambda g: g.convert('1'), 'L': lambda g: g, 'LA': lambda g: g.convert('LA'),
         'P': lambda g: g.convert('RGB').quantize(64), 'RGB': lambda g: g.convert('RGB'),
         'RGBA': lambda g: g.convert('RGBA'), 'CMYK': lambda g: g.convert('CMYK'),
         'I;16': lambda g: as_deep(g, np.uint16), 'I': lambda g: as_deep(g, np.int32)}

@pytest.mark.parametrize('mode', MODES)
def test_pil_images(colorizer, gray, mode):
    im = MODES[mode](Image.fromarray(gray))
    assert im.mode==mode
    s = as_scan(im)
    assert s.bits==(16 if mode.startswith('I') else 8) and s.shape==gray.shape
    want = np.asarray(im.convert('L')) if mode in ('1','P','CMYK') else gray
    L = color.rgb2lab(np.stack([want]*3, -1)/255.)[...,0]
    assert np.abs(s.L()[0,0].numpy()-L).max()<1.5
    if mode in ('1', 'LA', 'I;16'):
        x = colorizer.colorize(im, steps=1, working_size=64).array()
        assert x.shape==(*gray.shape, 3) and x.dtype==(np.uint16 if mode=='I;16' else np.uint8)

def test_paths_arrays_and_scans_agree(colorizer, gray, tmp_path):
    path = tmp_path/'g.png'
    Image.fromarray(gray).save(path)
    quick = lambda o: colorizer.colorize(o, steps=1, working_size=64).array()
    kinds = path,str(path),gray,Scan(gray),Image.fromarray(gray),gray[::-1][::-1]
    one,*others = map(quick, kinds)
    assert {digest(o) for o in others}=={digest(one)}
    as_rgb = np.stack([gray]*3, -1) # its L is rounded differently
    assert np.abs(quick(as_rgb).astype(int)-one).max()<=2
    assert quick(deep(gray)).dtype==np.uint16

@pytest.mark.parametrize('dtype', [np.float32, np.int64, bool, np.int16],
                         ids=lambda o: np.dtype(o).name)
def test_arrays_of_another_type(colorizer, dtype):
    with pytest.raises((TypeError, ValueError), match=np.dtype(dtype).name):
        colorizer.colorize(np.zeros((4,4), dtype))

@pytest.mark.parametrize('shape', [(4,4,4), (4,4,2), (0,4), (4,)], ids=str)
def test_arrays_of_another_shape(colorizer, shape):
    word = str(shape).replace('(', r'\(').replace(')', r'\)')
    with pytest.raises(ValueError, match=word):
        colorizer.colorize(np.zeros(shape, np.uint8))

@pytest.mark.parametrize('x', [None, 3, [[1, 2], [3, 4]], torch.zeros(4, 4)],
                         ids=lambda x: type(x).__name__)
def test_things_that_are_no_photograph(colorizer, x):
    with pytest.raises(TypeError, match=type(x).__name__):
        colorizer.colorize(x)

def test_files_that_are_none(colorizer, tmp_path):
    (tmp_path/'t.jpg').write_text('text')
    with pytest.raises(ScanError, match='t.jpg'):
        colorizer.colorize(tmp_path/'t.jpg')
    with pytest.raises((ScanError, FileNotFoundError), match='missing.jpg'):
        colorizer.colorize(tmp_path/'missing.jpg')

def test_sixteen_bits_keep_their_lightness(colorizer, gray):
    noise = np.random.default_rng(0).integers(-60, 60, gray.shape).astype(np.uint16)
    g = deep(gray)+noise*(gray>0)*(gray<255)
    x = colorizer.colorize(g, steps=1, working_size=64).array()
    L = lambda o: color.rgb2lab(o/65535)[...,0]
    assert np.abs(L(x)-L(np.stack([g]*3, -1))).max()<0.05

@pytest.mark.parametrize('name', ['campus-1910', 'taos-pueblo-1941']) # The least, the most
def test_saved_files_keep_the_lightness(colorizer, photo, tmp_path, name):
    scan = read_scan(photo.with_name(f'{name}.jpg'))
    result = colorizer.colorize(scan)
    def moved(suffix, **kwargs):
        file = tmp_path/f'x.{suffix}'
        result.save(file, overwrite=True, **kwargs)
        o = (read_scan(file).L()-scan.L()).abs().flatten()
        return o.mean().item(),o.max().item()
    for suffix in 'tif', 'png':
        mean,most = moved(suffix)
        assert round(mean, 2) in (0.06, 0.07, 0.08) and most<0.25 # as the first tutorial says
    assert moved('tif', bits=16)[1]<0.005
    for suffix in 'jpg', 'webp': # so does this; encoders differ a little
        mean,most = moved(suffix)
        assert 0.15<mean<0.45 and 1<most<5

# Weights

@pytest.fixture
def packaged(tmp_path, monkeypatch):
    "A copy of the packaged weights that may be spoiled"
    for f in ('default.safetensors', 'default.sha256'):
        shutil.copy(C.WEIGHTS/f, tmp_path)
    monkeypatch.setattr(C, 'WEIGHTS', tmp_path)
    return tmp_path/'default.safetensors'

def flip_last_bit(x): return x[:-1]+bytes([x[-1]^1])
def spoil_header(x): return x[:9]+bytes([x[9]^0xff])+x[10:]
def cut(x): return x[:len(x)//2]

@pytest.mark.parametrize('damage', [flip_last_bit, spoil_header, cut], ids=lambda f: f.__name__)
def test_packaged_weights_must_be_those_that_were_packaged(packaged, damage):
    whole = packaged.read_bytes()
    assert Colorizer.from_pretrained().sha256==hashlib.sha256(whole).hexdigest()
    packaged.write_bytes(damage(whole))
    with pytest.raises(ValueError, match='default.safetensors'):
        Colorizer.from_pretrained()

def test_other_weights_in_their_place(packaged):
    save_file(dict(w=torch.zeros(3)), packaged)
    with pytest.raises(ValueError, match='default.safetensors'):
        Colorizer.from_pretrained()

def test_missing_weights(packaged):
    packaged.unlink()
    with pytest.raises(FileNotFoundError, match='default.safetensors'):
        Colorizer.from_pretrained()

def test_the_packaged_weights_have_a_name(packaged, tmp_path, monkeypatch):
    "As everywhere on the command line; a file of that name is a file"
    monkeypatch.chdir(tmp_path)
    assert Colorizer.from_pretrained('default').name=='colorized-default'
    packaged.rename(tmp_path/'default')
    assert Colorizer.from_pretrained('default').name=='default'

def test_a_checkpoint_of_ones_own(colorizer, packaged, tmp_path, photo):
    own = tmp_path/'mine.safetensors'
    packaged.rename(own)
    c = Colorizer.from_pretrained(own)
    assert (c.name, c.sha256)==('mine', colorizer.sha256) and 'mine' in repr(c)
    with pytest.raises(FileNotFoundError, match='yours'):
        Colorizer.from_pretrained(tmp_path/'yours.safetensors')
    with pytest.raises(ValueError, match='campus-1910'):
        Colorizer.from_pretrained(photo)

class Hub:
    "huggingface_hub, as far as it is used"
    def __init__(self, path): self.path,self.asked = path,[]
    def hf_hub_download(self, repo_id, filename, **kwargs):
        self.asked.append((repo_id, filename))
        return str(self.path)

@pytest.mark.parametrize('repo', ['archive/color', 'archive/color-v1.0', 'archive/color.v2'])
def test_from_hugging_face(packaged, repo, colorizer, monkeypatch):
    hub = Hub(packaged)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    c = Colorizer.from_pretrained(repo)
    assert hub.asked==[(repo, 'model.safetensors')]
    assert c.name==repo and c.sha256==colorizer.sha256

def test_hugging_face_is_not_asked_for_paths(packaged, monkeypatch):
    hub = Hub(packaged)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    Colorizer.from_pretrained()
    Colorizer.from_pretrained(packaged)
    monkeypatch.chdir(packaged.parent)
    (packaged.parent/'runs').mkdir()
    for path in ('runs/model.safetensors', './nothere', '../nothere', 'runs/nothere', 'a b/c',
                 'nothere', '/nothere', 'a/b/c', 'ä/b', '~/nothere'):
        with pytest.raises(FileNotFoundError, match='^no checkpoint at .*(nothere|model|b|c)'):
            Colorizer.from_pretrained(path)
    assert not hub.asked

@pytest.mark.parametrize('error', [OSError('no network\nat all'), ValueError('no network\nhere')])
def test_neither_here_nor_on_hugging_face(monkeypatch, error):
    class Away(Hub):
        def hf_hub_download(self, *args): raise error
    monkeypatch.setitem(sys.modules, 'huggingface_hub', Away(None))
    said = '^no checkpoint at owner/nothere, and none came from Hugging Face: no network$'
    with pytest.raises(FileNotFoundError, match=said):
        Colorizer.from_pretrained('owner/nothere')

def test_without_hugging_face(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match='pip install huggingface_hub'):
        Colorizer.from_pretrained('archive/color')
