"Photographs to learn from: which are taken, what they become, how often each comes"
import sys
from functools import partial
from types import SimpleNamespace
import numpy as np, pytest, torch
from PIL import Image, ImageDraw, ImageOps
from benchmarks.weights import acceleration, photographs, training
from benchmarks.weights.photographs import Pack, Source
from clone_files import clone, colors

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

def test_kinds_come_as_often_as_asked(monkeypatch):
    names = [*['bearpaw/clothing-co-parsing']*9, *['some/flowers']*23, *['axelcarlier/lsp']*2,
             *['nhantd/CMU16720-Scene-Classification']*3]
    pack = SimpleNamespace(sources=names)
    monkeypatch.setattr(training, 'Pack', lambda folder, least: pack)
    monkeypatch.setattr(training, 'Subset', lambda pack, rows: rows)
    assert training.sources_of('set')==training.sources_of('set', people=0.)==[(1, pack)]
    assert training.sources_of('set', people=0.25, scenes=0.5)==[
        (0.25, pack), (0.25, [*range(9), 32, 33]), (0.5, [34, 35, 36])]

def test_small_photographs_can_be_left_out(world):
    "b/more has one of 800×600, kept at 384×288; the others are 160×120"
    pack = Pack(world(2), 200)
    assert len(pack)==1 and pack[0].size==(384, 288) and pack.sources==['b/more']

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
    conv._conv_forward = partial(acceleration.small_convolution, conv)
    for got,want in zip(gradients(), wanted):
        assert got.dtype==want.dtype==torch.float32
        assert (got-want).norm()<(0.01 if bf16 else 1e-5)*want.norm()

def test_openvino_sees_what_the_encoder_sees():
    pytest.importorskip('openvino')
    encoder = training.start('default')[0].encoder
    L = 100*torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(): true = encoder(L)
    encoder.forward = acceleration.OpenVINOEncoder(encoder)
    with torch.autocast('cpu', torch.bfloat16): seen = encoder(L)
    assert seen.keys()==true.keys()
    for k,o in seen.items(): # bfloat16 against float32
        assert (o-true[k]).norm()<0.05*true[k].norm()
