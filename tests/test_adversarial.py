"`adversarial.py` of benchmarks: what the discriminator wants, where it looks, what is learned when"
import sys
from pathlib import Path
from types import SimpleNamespace
import pytest, torch
from PIL import Image
from skimage import data as samples
sys.path.insert(0, str(Path(__file__).parents[1]/'benchmarks'))
import adversarial
from colorized.model.checkpoint import load_checkpoint

ARGS = dict(start='default', hold=None, seed=0, keep=10, lr=5e-5, judge_lr=5e-4, noise=500,
            frozen=False, warmup=1, steps='0,0,0,0,1', temperatures=(.8, 1.), also=None,
            share=.35, archival=.5, sides=(64, 96))

@pytest.fixture(scope='module')
def batch():
    "Two photographs as the training sees them"
    photos = [Image.fromarray(o) for o in (samples.chelsea(), samples.coffee())]
    examples = adversarial.ColorizationDataset(photos, adversarial.Recipe(size=128))
    return [torch.stack(o) for o in zip(*(examples[i,0,0] for i in range(2)))]

def game(**changes): return adversarial.Game(SimpleNamespace(**ARGS|changes))

def test_the_walk_ends_before_the_step_that_is_asked_for(batch):
    g,L = game(),batch[0]
    features = g.encode(L)
    for k in 1,5:
        x_t,t = g.walk(L, features, k)
        assert t.tolist()==[int(g.chain.timesteps[-1-k])]*2 and x_t.shape==(2,2,32,32)

def test_what_the_discriminator_wants_makes_it_surer(batch):
    torch.manual_seed(0) # the heads begin at random
    g,(L,_,ab) = game(judge_lr=0.),batch
    x0,features = ab/g.config.chroma_scale,g.encode(L)
    def said(guess):
        torch.manual_seed(1)
        loss,_,wish = g.discriminate(x0, guess, L, features)
        return loss,wish
    for group in g.judge_optimizer.param_groups: group.update(lr=0., weight_decay=0.)
    guess = torch.zeros_like(x0)
    before,wish = said(guess)
    after,_ = said(guess-wish/wish.norm()/10) # a small step
    assert after>before # its loss grows where the guess passes for true

def test_the_heads_begin_and_the_network_follows(batch):
    g = game()
    first = next(g.net.unet.parameters()).clone()
    copy = next(g.judge.unet.parameters()).clone()
    g.step(0, 1e-3, *batch)
    assert torch.equal(next(g.net.unet.parameters()), first)
    assert not torch.equal(next(g.judge.unet.parameters()), copy)
    g.step(1, 1e-3, *batch)
    assert not torch.equal(next(g.net.unet.parameters()), first)
    assert torch.equal(next(g.before.unet.parameters()), first)
    assert not torch.equal(next(g.average.parameters()), first)

def test_a_frozen_copy_stays(batch, tmp_path):
    g = game(frozen=True)
    copy = [o.clone() for o in g.judge.unet.parameters()]
    head = next(g.judge.heads.parameters()).clone()
    g.step(0, 1e-3, *batch)
    assert all(map(torch.equal, g.judge.unet.parameters(), copy))
    assert not torch.equal(next(g.judge.heads.parameters()), head)
    g.save(tmp_path/'a.safetensors')
    assert load_checkpoint(tmp_path/'a.safetensors')[1]==g.config

def test_slides_are_drawn_as_often_as_asked_and_half_of_them_never(monkeypatch, tmp_path):
    for i in range(100):
        Image.new('RGB', (99, 99), 'blue' if i<50 else 'red').save(tmp_path/f'{i:03}.png')
    monkeypatch.setattr(adversarial, 'source', lambda _: [Image.new('RGB', (99, 99), 'lime')])
    args = SimpleNamespace(**ARGS|dict(also=tmp_path, set=None))
    side = SimpleNamespace(value=64)
    batches = iter(adversarial.examples_of(args, side))
    mean = torch.cat([next(batches)[2] for _ in range(25)]).mean((2,3)) # of a and b
    is_blue,is_lime = mean[:,1]<-70,mean[:,0]<-60
    assert (is_blue|is_lime).all() and 50<=is_blue.sum()<=90
    side.value = 96
    assert next(batches)[0].shape==(adversarial.BS,1,96,96)

def test_the_walk_begins_from_as_much_noise_as_asked(batch):
    g = game(temperatures=(0., 0.))
    features = g.encode(batch[0])
    assert torch.equal(g.walk(batch[0], features, 1)[0], g.walk(batch[0], features, 1)[0])
    strength = []
    for temperature in .3,.6:
        g.args.temperatures = temperature,temperature
        strength.append(g.walk(batch[0], features, 0)[0].std().item())
    assert strength==pytest.approx([.3, .6], rel=.05)

def test_it_may_be_held_to_other_weights_than_it_begins_with(batch, tmp_path):
    first = game()
    with torch.no_grad(): next(first.average.parameters()).add_(1)
    first.save(tmp_path/'a.safetensors')
    g = game(start=tmp_path/'a.safetensors', hold='default')
    begun,held,judge = (next(o.parameters()) for o in (g.net.unet, g.before.unet, g.judge.unet))
    assert torch.equal(held, judge) and (begun-held).mean().item()==pytest.approx(1, abs=.01)
