"""`photographs.py`, `plates.py` and `long_run.py` of benchmarks: what is taken, what it becomes."""
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'benchmarks'))
import long_run
import photographs
import plates
from colorized.training.examples import Recipe
from photographs import Pack, Source

def colors(seed, size=(160,120)):
    "Something that passes for a photograph"
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6,8,3), dtype=np.uint8))
    soft = np.asarray(small.resize(size, Image.BICUBIC)).astype(int)
    return Image.fromarray((soft + rng.integers(-9, 10, soft.shape)).clip(0, 255).astype(np.uint8))

def clone(folder, name, pictures):
    "A repository with some pictures, where `photographs.py` looks for it"
    at = folder/name.replace('/', '+')
    at.mkdir(parents=True)
    who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'core.hooksPath=/dev/null']
    git = lambda *args: subprocess.run(['git', '-C', at, *who, *args], check=True,
                                       capture_output=True, text=True).stdout
    git('init', '-q')
    for path,im in pictures.items():
        (at/path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(im, bytes): (at/path).write_bytes(im)
        else: im.save(at/path)
    git('add', '-A')
    git('commit', '-qm', 'pictures')
    return git('rev-parse', 'HEAD').strip()

@pytest.fixture
def world(tmp_path, monkeypatch):
    "Clones with good and bad pictures; runs the script"
    drawing = Image.new('RGB', (160,120), 'white')
    for i,o in enumerate(('red', 'blue', 'green', 'yellow')):
        ImageDraw.Draw(drawing).rectangle((40*i,20,40*i+30,90), fill=o)
    pictures = {'in/1.jpg': colors(1), 'in/2.png': colors(2),
                'in/gray.jpg': colors(3).convert('L'), 'in/drawing.png': drawing,
                'in/small.jpg': colors(4, (70,120)),
                'in/mirror.jpg': ImageOps.mirror(colors(1)), 'in/held.jpg': colors(5),
                'in/val.jpg': colors(6), 'in/broken.jpg': b'no picture', 'other/7.jpg': colors(7)}
    clones = tmp_path/'clones'
    first = clone(clones, 'a/good', pictures)
    second = clone(clones, 'b/more', {'8.jpg': colors(8, (800,600)), '9.jpg': colors(2)})
    held = clone(clones, 'c/judged', {'x.png': ImageOps.mirror(colors(5))})
    (tmp_path/'val').mkdir()
    colors(6).save(tmp_path/'val/v.webp', quality=80)
    source = lambda name, commit, paths: Source(name, commit, paths, 1, 'things', 'none')
    sources = [source('a/good', first, '^in/'), source('b/more', second, '')]
    monkeypatch.setattr(photographs, 'APART', [('c/judged', held, r'\.png$', 1)])
    def run(n, *more):
        monkeypatch.setattr(photographs, 'SOURCES', sources[:n])
        argv = ['photographs.py', clones, tmp_path/'out', '--apart', tmp_path/'val', *more]
        monkeypatch.setattr(sys, 'argv', [*map(str, argv)])
        photographs.main()
        return tmp_path/'out'
    return run

def test_what_is_taken(world):
    out = world(1)
    name,commit,seen,*counts = photographs.rows_of(out/'sources.tsv')[0]
    assert dict(zip(photographs.KINDS, map(int, counts))) == dict(
        taken=2, small=1, gray=1, drawing=1, twin=1, apart=2, broken=1)
    assert int(seen)==9
    pack = Pack(out)
    for im,true in zip(pack, (colors(1), colors(2))):
        assert im.size==true.size
        assert np.abs(np.asarray(im).astype(int)-np.asarray(true)).mean()<6

def test_grows_and_survives_a_stop(world):
    out = world(1)
    before = (out/'pictures.bin').read_bytes()
    (out/'pictures.bin').write_bytes(before+b'half a picture') # a stop in the middle of a source
    with (out/'pictures.tsv').open('a') as f:
        f.write(f'{len(before)}\t14\t9\t9\t{"0"*32}\tb/more\t8.j')
    assert len(Pack(out))==2
    pack = Pack(world(2))
    assert (out/'pictures.bin').read_bytes().startswith(before)
    assert len(pack)==3, 'the second is known by the first source'
    assert pack[2].size==(384,288)
    table = (out/'pictures.tsv').read_text()
    world(2)
    assert (out/'pictures.tsv').read_text()==table

def test_what_is_kept_apart_is_kept_apart(world, tmp_path):
    "Hashes of other photographs are not taken for them"
    (tmp_path/'more').mkdir()
    colors(2).save(tmp_path/'more/a.png')
    out = world(0)
    assert len(Pack(world(1, tmp_path/'more')))==1, 'computed anew, as nothing was gathered yet'
    for more in ((), (tmp_path,)):
        with pytest.raises(SystemExit, match='other photographs were kept apart'): world(2, *more)
    assert len(Pack(world(2, tmp_path/'more')))==2
    (out/'apart.npy').unlink()
    world(2)
    assert 'more' not in (out/'apart.json').read_text()

def test_turned_photographs_are_kept_apart(tmp_path):
    "They are hashed as they are seen"
    exif = Image.Exif()
    exif[0x0112] = 6 # to be turned by a quarter
    upright = colors(1)
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path/'a.jpg', exif=exif, quality=95)
    assert photographs.Known(photographs.hashes_of([tmp_path])).near(photographs.hashes(upright), 6)

def test_a_set_that_grew_begins_a_new_epoch(tmp_path):
    state = dict(number_of_photographs=64, epoch0=3, batch0=1, photos=9, steps=5,
                 average=dict(n_averaged=torch.tensor(7)))
    read = lambda: torch.load(tmp_path/'state.pt', weights_only=True)
    torch.save(state, tmp_path/'state.pt')
    long_run.follow(tmp_path, 64)
    assert read()==state
    long_run.follow(tmp_path, 96)
    assert (read()['epoch0'], read()['batch0'], read()['photos'])==(4, 0, 9)
    assert read()['average']['n_averaged']==7
    long_run.follow(tmp_path, 96, photos=0)
    assert (read()['epoch0'], read()['photos'])==(4, 0)
    assert read()['average']['n_averaged']==0, 'a branch is averaged anew'

def test_kinds_come_as_often_as_asked(monkeypatch):
    names = [*['bearpaw/clothing-co-parsing']*9, *['some/flowers']*23, *['axelcarlier/lsp']*2,
             *['nhantd/CMU16720-Scene-Classification']*3]
    monkeypatch.setattr(long_run, 'source', lambda folder: list(range(len(names))))
    monkeypatch.setattr(long_run, 'Pack', lambda folder: SimpleNamespace(sources=names))
    monkeypatch.setattr(long_run, 'Subset', lambda pack, rows: rows)
    any_ = list(range(37))
    assert long_run.sources_of('set')==long_run.sources_of('set', people=0.)==[(1, any_)]
    assert long_run.sources_of('set', people=0.25, scenes=0.5)==[
        (0.25, any_), (0.25, [*range(9), 32, 33]), (0.5, [34, 35, 36])]

def test_a_share_is_seen_large():
    run = SimpleNamespace(dls=SimpleNamespace(train_ds=SimpleNamespace(recipe=Recipe())))
    sides = []
    for run.photos in range(0, 2*long_run.PERIOD, 320): sides.append(long_run.size(run))
    assert sides[0]==128 and sides[-1]==256
    assert abs(sides.count(256)/len(sides)-0.15)<0.01

@pytest.mark.parametrize('side', [4, 8, 16])
@pytest.mark.parametrize('bf16', [False, True])
def test_faster_gradients_are_the_gradients(side, bf16):
    torch.manual_seed(side)
    conv = torch.nn.Conv2d(24, 16, 3, padding=1)
    x,grad = torch.randn(5, 24, side, side, requires_grad=True),torch.randn(5, 16, side, side)
    def gradients():
        with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
            y = conv(x)
        return torch.autograd.grad(y, [x, conv.weight, conv.bias], grad.to(y.dtype))
    wanted = gradients()
    conv._conv_forward = partial(long_run.small_convolution, conv)
    for got,want in zip(gradients(), wanted):
        assert got.dtype==want.dtype==torch.float32
        assert (got-want).norm()<(0.01 if bf16 else 1e-5)*want.norm()

def test_three_plates_become_one_picture(tmp_path):
    "As in the scans: blue above green above red, none of them quite where the next one is"
    images = Path(__file__).resolve().parent.parent/'nbs/images'
    gray = np.asarray(Image.open(images/'campus-1910.jpg').convert('L').resize((400,340)))/255
    rgb = np.stack([255*gray**o for o in (0.7,1,1.4)], 2).astype(np.uint8) # a warm one
    moved = [np.roll(rgb[...,k], o, (0,1)) for k,o in ((2, (-9,4)), (1, (0,0)), (0, (7,-12)))]
    scan = tmp_path/'scan.png'
    Image.fromarray(np.concatenate(moved)).save(scan)
    im,fit = plates.picture(*plates.plates(scan.read_bytes()))
    m = round((plates.REACH+0.01)*400)
    true = rgb[m:-m,m:-m]
    assert fit>0.9 and im.size==true.shape[1::-1]
    for k in range(3): # nothing but the stretching is left between the two
        assert np.corrcoef(np.asarray(im)[...,k].ravel(), true[...,k].ravel())[0,1]>0.99

def test_what_is_no_scan_of_plates_is_left_alone(tmp_path):
    for name,im in dict(wide=colors(1).convert('L'), colored=colors(1, (120,320))).items():
        im.save(tmp_path/f'{name}.png')
        assert plates.plates((tmp_path/f'{name}.png').read_bytes()) is None

def test_openvino_sees_what_the_encoder_sees():
    pytest.importorskip('openvino')
    encoder = long_run.start('default')[0].encoder
    L = 100*torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(): true = encoder(L)
    encoder.forward = long_run.OpenVINOEncoder(encoder)
    with torch.autocast('cpu', torch.bfloat16): seen = encoder(L)
    assert seen.keys()==true.keys()
    for k,o in seen.items(): # bfloat16 against float32
        assert (o-true[k]).norm()<0.05*true[k].norm()

class Halved:
    "In place of a colorizer: half of the true chroma of `of`, and of the blue plate nothing"
    def __init__(self, of): self.of,self.asked = of,0
    def colorize(self, gray):
        self.asked += 1
        true = plates.rgb_to_lab(self.of[(self.asked-1)//3])[:,1:]
        return SimpleNamespace(ab=true*(0. if self.asked%3==0 else 0.5))

def test_plates_are_measured_against_their_true_colors(tmp_path, monkeypatch, capsys):
    pictures = [colors(i, (128,96)) for i in (1, 2)]
    for i,o in enumerate(pictures): o.save(tmp_path/f'{i}.png')
    as_tensor = lambda im: torch.from_numpy(np.array(im)).permute(2,0,1)[None]/255
    halved = Halved([*map(as_tensor, pictures)])
    monkeypatch.setattr(plates.Colorizer, 'from_pretrained', lambda model: halved)
    plates.measure(SimpleNamespace(out=tmp_path, model='m'))
    table = [o.split(' | ') for o in capsys.readouterr().out.splitlines() if o[:2]=='| ']
    rows = {o[0].strip('| '): o[1:] for o in table[1:]}
    assert [*rows]==['lightness', 'green', 'blue', 'no color', 'truth']
    half,none = float(rows['lightness'][0]),float(rows['no color'][0].split()[0])
    assert half==pytest.approx(none/2, abs=0.01) and none>5
    assert rows['green'][0]==f'{half:.2f} (+0.000 [+0.000, +0.000])'
    assert float(rows['lightness'][1])==1 and rows['blue'][1].startswith('0.000 (-1.000')
    assert float(rows['lightness'][2].strip(' |'))==pytest.approx(
        float(rows['truth'][2].strip(' |'))/2, abs=0.06)
