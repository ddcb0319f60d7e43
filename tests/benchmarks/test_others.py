"Colorings of other systems: whose are in which square, which are taken, how far from the truth"
import numpy as np, pytest, torch
from PIL import Image, ImageOps
from benchmarks import others
from benchmarks.support import comparisons
from benchmarks.support.coloring import render
from clone_files import clone, colors

TINTS = ('red', 'orange', 'lime', 'cyan', 'blue', 'magenta')

def lab(im): return comparisons.as_lab(im)[0]

def comparison(true, tints):
    "Six squares as the README shows them: the true one, then others with a tint and another gray"
    out = Image.new('RGB', (1090,767), 'white')
    for k,tint in enumerate(tints):
        im = Image.blend(true, Image.new('RGB', true.size, tint), 0.4) if k else true
        at = comparisons.LEFT[k%3],comparisons.TOP[k//3]
        out.paste(ImageOps.expand(im, 1, 'black'), (at[0]-1, at[1]-1))
    return out

@pytest.fixture
def modern(tmp_path, monkeypatch):
    "What is cut out of the comparisons of one photograph, and that photograph"
    monkeypatch.setattr(comparisons, 'SIDE', 80)
    true = colors(0, (80,80))
    pictures = {'test_images/Image_01_test.jpg': comparison(true, TINTS),
                'test_images_ex/Image_01_test_ex.jpg': comparison(true, TINTS[::-1])}
    monkeypatch.setattr(comparisons, 'PHOTOGRAPHS', 1)
    clone(tmp_path, 'havc', pictures)
    comparisons.modern(tmp_path/'havc/.git', tmp_path/'out')
    return tmp_path/'out',true

def hue_of(path, true):
    "Which tint the colors of a file lean to"
    ab = lab(Image.open(path))[1:].mean((1, 2))-lab(true)[1:].mean((1, 2))
    tints = [lab(Image.new('RGB', (1,1), o))[1:,0,0] for o in TINTS]
    return TINTS[max(range(6), key=lambda i: (ab@tints[i]/tints[i].norm()).item())]

def test_colors_get_their_names_and_the_true_lightness(modern):
    out,true = modern
    expected = dict(both='orange', ddcolor_artistic='lime', deoldify_stable='cyan',
                    deoldify_video='blue', coltran='magenta', deoldify_artistic='blue',
                    ddcolor_modelscope='orange')
    assert {o.name for o in out.iterdir()}=={'true', *expected}
    L = lab(Image.open(out/'true/01.png'))[0]
    assert (L-lab(true)[0]).abs().mean()<2 # JPEG
    for name,tint in expected.items():
        path = out/name/'01.png'
        assert hue_of(path, true)==tint
        assert (lab(Image.open(path))[0]-L).abs().mean()<0.5

def beside(result, gap=101):
    out = Image.new('RGB', (2*result.width+gap, result.height))
    out.paste(result.convert('L').convert('RGB'), (0, 0))
    out.paste(result, (result.width+gap, 0))
    return out

def test_which_results_are_taken(tmp_path):
    results = {o: colors(i, (200,150)) for i,o in enumerate('abcd')}
    pictures = {'one.PNG': beside(results['a']), 'one.jpg': beside(results['b']),
                'two.png': beside(results['c']), 'twoRetry.png': beside(results['d']),
                'alone.png': results['a'], 'near.png': beside(results['b'], gap=40),
                'link.jpg': b'version https://git-lfs.github.com/spec/v1\nsize 4\n',
                f'{comparisons.DRAWING}.png': beside(results['b'])}
    clone(tmp_path, 'deoldify', {f'result_images/{k}': o for k,o in pictures.items()})
    comparisons.old(tmp_path/'deoldify/.git', tmp_path/'out')
    found = {o.stem: Image.open(o) for o in (tmp_path/'out').iterdir()}
    assert set(found)=={'one', 'two'}
    for name,letter in (('one', 'a'), ('two', 'd')):
        assert np.array_equal(np.asarray(found[name]), np.asarray(results[letter]))

# How far from the truth

def paint(folder, *chromas):
    "A picture of each chroma (2,64,64), at a lightness that shows all of it"
    folder.mkdir()
    for i,ab in enumerate(chromas):
        rgb = render(torch.full((1, 1, 256, 256), 60.), torch.from_numpy(ab)[None])[0]
        Image.fromarray(rgb.permute(1, 2, 0).numpy()).save(folder/f'{i}.png')
    return folder

@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, (2, 1, 1)).repeat(64, 1).repeat(64, 2).astype(np.float32)*o
            for o in (20, 15, 25, 10)]

def turned(ab, degrees):
    c,s = np.cos(np.radians(degrees)),np.sin(np.radians(degrees))
    return np.stack([c*ab[0]-s*ab[1], s*ab[0]+c*ab[1]]).astype(np.float32)

def test_strength_is_told_apart_from_direction(tmp_path, truth):
    true = paint(tmp_path/'true', *truth)
    def products(name, *chromas): return others.Products(true, paint(tmp_path/name, *chromas))
    weak = products('weak', *[0.5*o for o in truth])
    assert weak.unexplained()<0.01 and weak.best()==pytest.approx(2, abs=0.1)
    assert weak.chroma==pytest.approx(weak.true_chroma/2, rel=0.1)
    assert weak.true_chroma==pytest.approx(np.mean([np.hypot(*o[:,0,0]) for o in truth]), rel=0.05)
    turns = {o: products(f'{o}', *[turned(ab, o) for ab in truth]) for o in (30, 60, 90)}
    for degrees,o in turns.items(): # by one angle: its sine squared
        assert o.unexplained()==pytest.approx(np.sin(np.radians(degrees))**2, abs=0.03)
    assert turns[30].best()==pytest.approx(3**0.5/2, abs=0.03)

def test_differences_are_paired(tmp_path, truth):
    "What is the same in each picture has no interval; what helps in one of four has a wide one"
    true = paint(tmp_path/'true', *truth)
    worse = [turned(truth[0], 80), *truth[1:]]
    a = others.Products(true, paint(tmp_path/'a', *worse))
    same = others.Products(true, paint(tmp_path/'same', *[0.9*o for o in worse]))
    better = others.Products(true, paint(tmp_path/'better', *truth))
    assert np.abs(others.difference(same, a)).max()<0.02
    middle,low,high = others.difference(better, a)
    assert middle==better.unexplained()-a.unexplained()<-0.1
    assert low<middle-0.1 and high>middle+0.1 and high<=0.01

def test_both_folders_hold_the_same_names(tmp_path, truth):
    true = paint(tmp_path/'true', *truth)
    with pytest.raises(ValueError, match=r'^3 is in one of .*true and .*few only$'):
        others.Products(true, paint(tmp_path/'few', *truth[:3]))
