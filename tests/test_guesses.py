"`guesses.py` of benchmarks: the truth is told to first guesses alone, later steps are held"
import csv, itertools, signal, sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
import pytest, torch
from PIL import Image
from skimage import data as samples
sys.path.insert(0, str(Path(__file__).parents[1]/'benchmarks'))
import adversarial, guesses
from colorized.model.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow # a benchmark, by the packaged weights

@pytest.fixture(autouse=True)
def in_float32(monkeypatch):
    "bfloat16 rounds differently in batches of other sizes, by some 1e-5"
    monkeypatch.setattr(guesses, 'bf16', nullcontext)

@pytest.fixture(scope='module')
def photos(): return [Image.fromarray(o) for o in (samples.chelsea(), samples.coffee())]

@pytest.fixture(scope='module')
def batch(photos):
    examples = adversarial.ColorizationDataset(photos, adversarial.Recipe(size=128))
    return [torch.stack(o) for o in zip(*(examples[i%2,0,i] for i in range(guesses.BS)))]

def losses(lessons, batch, seed=0):
    torch.manual_seed(seed)
    return lessons.losses(*batch)

def test_first_guesses_learn_the_truth_and_later_steps_stay(batch):
    o = guesses.Lessons('default', 1e-4, 5.)
    before,apart = losses(o, batch)
    assert apart<1e-9 and before>0.1
    for _ in range(3): o.step(1e-4, batch)
    after,apart = losses(o, batch)
    assert after<before and 0<apart<0.1*(before-after)
    assert all(p.grad is None for p in o.held_to.unet.parameters())

def test_the_truth_is_told_to_first_guesses_alone(batch):
    o = guesses.Lessons('default', 1e-4, 5.)
    L,hints,ab = batch
    other = ab.clone()
    other[guesses.GUESSES:] += 20.
    first,apart = losses(o, (L, hints, other))
    assert first==losses(o, batch)[0] and apart<1e-9
    assert first==losses(o, batch, seed=1)[0] # they begin with nothing, always at the same step
    other[0] += 20.
    assert losses(o, (L, hints, other))[0]!=first

def test_it_is_drawn_back_to_the_packaged_weights_wherever_it_begins(batch, tmp_path):
    first = guesses.Lessons('default', 1e-4, 5.)
    with torch.no_grad():
        for p in first.average.parameters(): p.mul_(1.01)
    first.save(tmp_path/'a.safetensors')
    o = guesses.Lessons(tmp_path/'a.safetensors', 1e-5, 1e4)
    apart = losses(o, batch)[1]
    assert apart>1e-4
    for _ in range(5): o.step(1e-5, batch)
    assert losses(o, batch)[1]<0.9*apart

@pytest.mark.parametrize('steady', [False, True])
def test_a_run(photos, monkeypatch, tmp_path, steady):
    for name in 'EVERY', 'WEIGHTS', 'WARMUP':
        monkeypatch.setattr(guesses, name, 1)
    clock = SimpleNamespace(time=itertools.count(0., 0.5).__next__) # two looks for each batch
    monkeypatch.setattr(guesses, 'time', clock)
    monkeypatch.setattr(guesses, 'sources_of', lambda *args, **shares: [(1., photos*8)])
    sides = []
    step = guesses.Lessons.step
    def watched(self, lr, batch):
        sides.append(batch[0].shape[-1])
        return step(self, lr, batch)
    monkeypatch.setattr(guesses.Lessons, 'step', watched)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        guesses.run(SimpleNamespace(
            set=None, out=tmp_path, start='default', minutes=10/60, seed=0, lr=1e-4, keep=5,
            people=0, archival=0., sides=(64, 96), steady=steady))
    finally:
        signal.signal(signal.SIGTERM, handler)
    rows = list(csv.DictReader((tmp_path/'diary.csv').open()))
    assert len(rows)==len(sides) and int(rows[-1]['photographs'])==16*len(rows)
    assert set(sides)==({64} if steady else {64, 96}) and sides==sorted(sides)
    rates = [float(o['lr']) for o in rows]
    assert rates[:6]==[1e-4]*6 and rates==sorted(rates, reverse=True)
    assert rates[-1]==1e-4 if steady else rates[-1]<4e-5
    assert load_checkpoint(tmp_path/'model.safetensors')[1]==guesses.start('default')[1]
    assert (tmp_path/'16.safetensors').exists()
