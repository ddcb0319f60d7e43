"`unexplained.py` of benchmarks: strength is not counted, direction is, and pictures must agree"
import sys
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'benchmarks'))
from shared import render
import unexplained

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
    def products(name, *chromas): return unexplained.Products(true, paint(tmp_path/name, *chromas))
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
    a = unexplained.Products(true, paint(tmp_path/'a', *worse))
    same = unexplained.Products(true, paint(tmp_path/'same', *[0.9*o for o in worse]))
    better = unexplained.Products(true, paint(tmp_path/'better', *truth))
    assert np.abs(unexplained.difference(same, a)).max()<0.02
    middle,low,high = unexplained.difference(better, a)
    assert middle==better.unexplained()-a.unexplained()<-0.1
    assert low<middle-0.1 and high>middle+0.1 and high<=0.01

def test_both_folders_hold_the_same_names(tmp_path, truth):
    true = paint(tmp_path/'true', *truth)
    with pytest.raises(ValueError, match=r'^3 is in one of .*true and .*few only$'):
        unexplained.Products(true, paint(tmp_path/'few', *truth[:3]))
