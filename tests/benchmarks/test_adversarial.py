"Training against a discriminator: what it wants, where it looks, what is learned when"
from types import SimpleNamespace
import pytest, torch
from PIL import Image
from skimage import data as samples
from benchmarks.weights import adversarial, held, training
from colorized.model.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow # a benchmark, by the packaged weights

ARGS = dict(start='default', hold=None, seed=0, keep=10, lr=5e-5, judge_lr=5e-4, noise=500,
            warmup=1, steps='0,0,0,0,1', temperatures=(.8, 1.), scenes=0., least=0, archival=.5,
            sides=(64, 96), old=None, hold_old=None, keep_old=60)

@pytest.fixture(scope='module')
def batch():
    "Two photographs as the training sees them"
    photos = [Image.fromarray(o) for o in (samples.chelsea(), samples.coffee())]
    examples = training.ColorizationDataset(photos, adversarial.Recipe(size=128))
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

def test_what_is_saved_has_the_same_configuration(batch, tmp_path):
    g = game()
    g.save(tmp_path/'a.safetensors')
    assert load_checkpoint(tmp_path/'a.safetensors')[1]==g.config

def test_scenes_are_drawn_as_often_as_asked(monkeypatch):
    def sources_of(folder, least, scenes):
        lime,yellow = ([Image.new('RGB', (99, 99), o)] for o in ('lime', 'yellow'))
        return [(1-scenes, lime), (scenes, yellow)]
    monkeypatch.setattr(adversarial, 'sources_of', sources_of)
    args = SimpleNamespace(**ARGS|dict(scenes=.3, set=None))
    side = SimpleNamespace(value=64)
    batches = iter(adversarial.examples_of(args, side))
    mean = torch.cat([next(batches)[2] for _ in range(25)]).mean((2,3)) # of a and b
    is_lime,is_yellow = mean[:,0]<-60,mean[:,1].gt(60)&mean[:,0].gt(-40)
    assert (is_lime|is_yellow).all() and 40<=is_yellow.sum()<=80, '0.3 of 200'
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

@pytest.fixture
def old(tmp_path):
    "Two old photographs, one dark and one light, each with a bright spot at its left"
    for i in range(2):
        im = Image.new('L', (300, 200), 40+160*i)
        im.paste(255-20*i, (0, 0, 150, 200))
        im.save(tmp_path/f'{i}.png')
    return tmp_path

def test_squares_of_old_photographs(old):
    "of every photograph, mirrored or not, from anywhere; the same again for the same seed"
    drawn = [held.OldPhotographs(old, 64, 0).lightness(40) for _ in range(2)]
    assert drawn[0].shape==(40,1,64,64) and torch.equal(*drawn)
    left,right = drawn[0][...,0].mean((1,2)),drawn[0][...,-1].mean((1,2))
    assert (left>right+5).any() and (left<right-5).any() # one as it is, one mirrored
    assert (drawn[0].amin((1,2,3))<30).any() and (drawn[0].amin((1,2,3))>70).any()
    assert ((left-right).abs()<1).any() # a part beside the spot, or within it
    with pytest.raises(FileNotFoundError, match='--old .*nothing'):
        held.OldPhotographs(old/'nothing', 64, 0)

def test_on_old_photographs_it_is_drawn_back_to_what_it_said(old):
    torch.manual_seed(0)
    g = game(old=old)
    L = g.old.lightness(4)
    assert held.deviation(g, L).item()<1e-9
    with torch.no_grad():
        for o in g.net.unet.out[-1].parameters(): o.mul_(1.2)
    first = held.deviation(g, L).item()
    assert first>1e-3
    for _ in range(8):
        g.optimizer.zero_grad()
        held.deviation(g, L).backward()
        g.optimizer.step()
    assert held.deviation(g, L).item()<first
    assert all(o.grad is None for o in g.before.unet.parameters())

@pytest.fixture
def other(tmp_path):
    "The packaged weights with another encoder and another last layer"
    net,config = adversarial.start('default')
    with torch.no_grad():
        for o in net.encoder.stem,net.unet.out[-1]: o.weight.mul_(1.5)
    adversarial.save_checkpoint(tmp_path/'other.safetensors', net, config)
    return tmp_path/'other.safetensors'

def test_on_old_photographs_it_is_drawn_to_what_another_one_says(old, other):
    torch.manual_seed(0)
    g = game(old=old, hold_old=other)
    L = g.old.lightness(4)
    assert g.drew is not g.before
    assert held.deviation(g, L).item()>1e-4
    g.net.unet.load_state_dict(g.drew.unet.state_dict())
    assert held.deviation(g, L).item()>1e-4 # each sees with its own encoder
    g.encode = g.encode_drew
    assert held.deviation(g, L).item()<1e-9

def test_the_encoder_is_saved_and_another_one_is_no_measure(other, tmp_path):
    g = game(start=other)
    g.save(tmp_path/'a.safetensors')
    saved,want = [load_checkpoint(o)[0].encoder for o in (tmp_path/'a.safetensors', other)]
    assert torch.equal(saved.stem.weight, want.stem.weight)
    with pytest.raises(ValueError, match='--hold default has another encoder'):
        game(start=other, hold='default')

def test_what_is_held_is_part_of_a_step(batch, old, monkeypatch):
    seen = []
    def deviation(game, L):
        seen.append(L.shape)
        return 1e6*next(game.net.unet.parameters()).sum() # outweighs all else: each is to fall
    monkeypatch.setattr(adversarial, 'deviation', deviation)
    g = game(old=old)
    weights = next(g.net.unet.parameters())
    before = weights.detach().clone()
    g.step(1, 1e-3, *batch)
    assert torch.allclose(before-weights.detach(), torch.tensor(1e-3), rtol=.02)
    assert seen==[(adversarial.BS//2,1,64,64)]

def test_it_may_be_held_to_other_weights_than_it_begins_with(batch, tmp_path):
    first = game()
    with torch.no_grad(): next(first.average.parameters()).add_(1)
    first.save(tmp_path/'a.safetensors')
    g = game(start=tmp_path/'a.safetensors', hold='default')
    begun,held,judge = (next(o.parameters()) for o in (g.net.unet, g.before.unet, g.judge.unet))
    assert torch.equal(held, judge) and (begun-held).mean().item()==pytest.approx(1, abs=.01)
