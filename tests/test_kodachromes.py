"`kodachromes.py` of benchmarks: frames are cut off, slides apart are the odd blocks, gain tells"
import re
from types import SimpleNamespace
import numpy as np
import pytest, torch
from PIL import Image, ImageOps
from test_photographs import clone, colors
import kodachromes

pytestmark = pytest.mark.slow # a benchmark, by the packaged weights

def slide(seed, tint):
    "A slide in its black frame, 10 % of each side, with much of one tint"
    soft = Image.blend(colors(seed, (128,96)), Image.new('RGB', (128,96), tint), 0.6)
    return ImageOps.expand(soft, border=(16,12))

@pytest.fixture
def gathered(tmp_path, monkeypatch):
    "Ten slides: two reds, two blues and so on"
    pictures = {f'data/fsac/thm/{i}.png': slide(i, ('red','blue')[i//2%2]) for i in range(10)}
    monkeypatch.setattr(kodachromes, 'COMMIT', clone(tmp_path, 'slides', pictures))
    monkeypatch.setattr(kodachromes, 'BLOCK', 2)
    kodachromes.gather(SimpleNamespace(clone=tmp_path/'slides/.git', out=tmp_path/'out'))
    return tmp_path/'out'

def said(capsys, out, *models, every=1, apart=False):
    "The lines that `measure` prints"
    kodachromes.measure(SimpleNamespace(out=out, models=models, every=every, apart=apart))
    return capsys.readouterr().out.splitlines()

def numbers(line): return [float(o) for o in re.findall(r'(?<!\w)[+-]?\d+\.\d+', line)]

def test_frames_are_cut_off(gathered):
    files = sorted(gathered.glob('*.png'))
    assert len(files)==10
    for o in map(Image.open, files):
        assert o.size==(128,96) and np.asarray(o).max(2).min()>0

def test_apart_are_the_odd_blocks(gathered, capsys):
    everything = said(capsys, gathered)
    blues = said(capsys, gathered, apart=True)
    assert 'n=10' in everything[0] and 'n=4' in blues[0]
    assert numbers(blues[0])[1]<-20<numbers(everything[0])[1] # b*

def test_gain_is_seen_and_paired(gathered, capsys):
    models = 'default:1','default:1','default:1.5'
    _,first,same,strong = said(capsys, gathered, *models, every=2)
    assert numbers(same)[-6:]==[0]*6 # both differences, with their intervals
    assert numbers(strong)[2]>1.2*numbers(first)[2] # chroma
    drawn,guess = numbers(strong)[-6:-3],numbers(strong)[-3:]
    assert abs(guess[0])<0.01 and drawn[1]<=drawn[0]<=drawn[2]
    assert drawn[0]==pytest.approx(numbers(strong)[-8]-numbers(first)[-2], abs=0.011)

def test_what_is_true_of_each_hue():
    true = torch.zeros(2, 8, 8)
    true[0],true[1,4:] = 5.,10. # red above, orange below
    ab = torch.zeros(2, 8, 8)
    ab[0,:4],ab[1,4:] = 10.,20. # red drawn above, yellow below
    ab[:,0,0] = torch.tensor([0., 40.]) # too strong to be asked about
    n,drawn,found = kodachromes.by_hue(ab, true)
    assert n.nonzero().flatten().tolist()==[0,3] and n[[0,3]].tolist()==[31,32]
    assert (found/drawn)[[0,3]].tolist()==pytest.approx([.5, .5])

def test_hues_of_the_half_that_was_asked_for(gathered, capsys):
    for apart,n in (False, 3), (True, 2):
        kodachromes.hues(SimpleNamespace(out=gathered, model='default', every=2, apart=apart))
        lines = capsys.readouterr().out.splitlines()
        assert lines[0]==f'n={n}' and len(lines)==13
        shares = [float(o.split()[1]) for o in lines[1:]]
        assert sum(shares)==pytest.approx(1, abs=.01)
