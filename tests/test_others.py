"`others.py` of benchmarks: whose colors are in which square, and which results are taken"
import numpy as np
import pytest
from PIL import Image, ImageOps
from test_photographs import clone, colors
import others

TINTS = ('red', 'orange', 'lime', 'cyan', 'blue', 'magenta')

def lab(im): return others.as_lab(im)[0]

def comparison(true, tints):
    "Six squares as the README shows them: the true one, then others with a tint and another gray"
    out = Image.new('RGB', (1090,767), 'white')
    for k,tint in enumerate(tints):
        im = Image.blend(true, Image.new('RGB', true.size, tint), 0.4) if k else true
        at = others.LEFT[k%3],others.TOP[k//3]
        out.paste(ImageOps.expand(im, 1, 'black'), (at[0]-1, at[1]-1))
    return out

@pytest.fixture
def modern(tmp_path, monkeypatch):
    "What is cut out of the comparisons of one photograph, and that photograph"
    monkeypatch.setattr(others, 'SIDE', 80)
    true = colors(0, (80,80))
    pictures = {'test_images/Image_01_test.jpg': comparison(true, TINTS),
                'test_images_ex/Image_01_test_ex.jpg': comparison(true, TINTS[::-1])}
    monkeypatch.setattr(others, 'PHOTOGRAPHS', 1)
    clone(tmp_path, 'havc', pictures)
    others.modern(tmp_path/'havc/.git', tmp_path/'out')
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
                f'{others.DRAWING}.png': beside(results['b'])}
    clone(tmp_path, 'deoldify', {f'result_images/{k}': o for k,o in pictures.items()})
    others.old(tmp_path/'deoldify/.git', tmp_path/'out')
    found = {o.stem: Image.open(o) for o in (tmp_path/'out').iterdir()}
    assert set(found)=={'one', 'two'}
    for name,letter in (('one', 'a'), ('two', 'd')):
        assert np.array_equal(np.asarray(found[name]), np.asarray(results[letter]))
