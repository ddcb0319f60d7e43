"First guesses: the truth is told to them alone, later steps are held"
import csv, itertools, signal
from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace
import numpy as np, pytest, torch
from PIL import Image
from skimage import data as samples
from benchmarks.weights import acceleration, guesses, training
from colorized.model.checkpoint import load_checkpoint
from colorized.model.encoder import SameConv

pytestmark = pytest.mark.slow # a benchmark, by the packaged weights

@pytest.fixture(autouse=True)
def in_float32(monkeypatch):
    "bfloat16 rounds differently in batches of other sizes, and OpenVINO computes in it"
    monkeypatch.setattr(guesses, 'bf16', nullcontext)
    monkeypatch.setattr(acceleration, 'openvino', None)

@pytest.fixture(scope='module')
def photos(): return [Image.fromarray(o) for o in (samples.chelsea(), samples.coffee())]

@pytest.fixture(scope='module')
def batch(photos):
    examples = training.ColorizationDataset(photos, guesses.Recipe(size=128))
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

def moved(o, first):
    "Names of what differs from another module"
    return {k for (k,a),b in zip(o.named_parameters(), first.parameters()) if not torch.equal(a, b)}

def test_the_encoder_learns_only_where_asked(batch, tmp_path):
    first = guesses.start('default')[0]
    for rate in 0.,1e-3:
        o = guesses.Lessons('default', 1e-4, 5., rate)
        before,apart = losses(o, batch)
        assert apart<1e-9
        for _ in range(3): o.step(1e-4, batch)
        assert losses(o, batch)[0]<before
        names = moved(o.net.encoder, first.encoder)
        assert not moved(o.held_to, first) and moved(o.net.unet, first.unet)
        assert bool(names)==bool(rate)
    convs = {k: o for k,o in first.encoder.named_modules() if hasattr(o, 'groups')}
    assert names=={f'{k}.{kind}' for k,o in convs.items() for kind in ('weight', 'bias')
                   if k[:8] not in ('stages.0', 'stages.1', 'stem') and
                   not (o.groups>1 and kind=='weight')}
    assert moved(o.average.encoder, first.encoder)==names
    with torch.no_grad(): o.average.encoder.stem.weight.mul_(1.5)
    o.save(tmp_path/'a.safetensors')
    saved = load_checkpoint(tmp_path/'a.safetensors')[0].encoder
    assert 'stem.weight' in moved(saved, first.encoder)

@pytest.mark.parametrize('rate', [0., 1e-4])
def test_each_network_sees_with_its_own_encoder(batch, tmp_path, rate):
    first = guesses.Lessons('default', 1e-4, 5.)
    with torch.no_grad(): first.average.encoder.stem.weight.mul_(1.5)
    first.save(tmp_path/'a.safetensors')
    o = guesses.Lessons(tmp_path/'a.safetensors', 1e-4, 5., rate)
    L = batch[0]
    for net,x,said in zip((o.net, o.held_to), (L, L[guesses.GUESSES:]), o.features(L)):
        assert all(torch.allclose(said[k], v, atol=1e-3) for k,v in net.encoder(x).items())

def test_the_rate_of_the_encoder_is_its_own(batch):
    "Adam's first step is as long as the rate, whatever the gradient"
    o = guesses.Lessons('default', 1e-4, 5., 3e-4)
    first = o.net.encoder.stages[6][0].convs[2].weight.detach().clone()
    o.step(1e-5, batch)
    step = (o.net.encoder.stages[6][0].convs[2].weight-first).abs().median().item()
    assert step==pytest.approx(3e-5, rel=.05)

@pytest.mark.parametrize('k', [3, 5])
@pytest.mark.parametrize('stride', [1, 2])
def test_gradients_of_a_depthwise_convolution(k, stride):
    "are PyTorch's own"
    torch.manual_seed(0)
    conv = SameConv(6, 6, k, stride, groups=6).double()
    for side in 9,12:
        x = torch.randn(2, 6, side, side+1, dtype=torch.double, requires_grad=True)
        want = torch.autograd.grad(conv(x).square().sum(), (x, conv.bias))
        conv._conv_forward = lambda x, w, b: guesses.depthwise(conv, x, w, b)
        out = torch.autograd.grad(conv(x).square().sum(), (x, conv.bias))
        del conv._conv_forward
        assert all(torch.allclose(a, b) for a,b in zip(out, want))

def test_a_correction_lies_where_the_guess_is_most_wrong():
    "a disk in the true color there, paler where it is darker, as strokes of the page are"
    torch.manual_seed(0)
    x0 = torch.ones(2, 2, 16, 24)
    x0[1,1,4:9,10:15] = 3.
    guess = x0.clone()
    guess[0,:,8:13,18:23] = 9.
    guess[1,1,4:9,10:15] = 0.
    L = torch.full((2,1,16,24), 50.)
    L[1,:,:,12:] = 25.
    first,second = guesses.correction(guess, x0, L)
    for hint,(y,x) in ((first, (10, 20)), (second, (6, 12))):
        assert hint[2].nonzero().float().mean(0).tolist()==[y,x]
        assert 9<=hint[2].sum()<=49 and set(hint[2].unique().tolist())=={0.,1.}
        assert not hint[:2,hint[2]==0].any()
    assert (first[:2,first[2]>0]==1).all()
    light,dark = (second[:2,6,x] for x in (11, 13))
    assert torch.equal(light, second[:2,6,12-1]) and (dark<light).all()
    assert 1<light[1]<=3 and light[0]==1

def test_some_first_guesses_are_corrected_and_no_others(batch):
    o = guesses.Lessons('default', 1e-4, 5., corrections=3)
    seen = []
    says = o.says
    def watched(net, x_t, t, L, features, hints):
        seen.append(hints.clone())
        return says(net, x_t, t, L, features, hints)
    o.says = watched
    L,hints,ab = batch
    o.losses(L, hints.clone(), ab)
    plain,all_,held = seen
    given = o.config.scale_hints(hints)
    assert not plain.any() and len(plain)==3
    assert (all_[:3,2].sum((1,2))>0).all() and torch.equal(all_[3:], given[3:])
    assert not torch.equal(all_[:3], given[:3]) and torch.equal(held, given[guesses.GUESSES:])
    first = losses(o, batch)[0]
    assert first!=losses(guesses.Lessons('default', 1e-4, 5.), batch)[0]

def test_rare_kinds_are_drawn_more_often(monkeypatch, tmp_path):
    "16 photographs of one kind and one of another: by the roots, four times as often to once"
    monkeypatch.setattr(guesses, 'Pack', lambda folder: [f'{i}' for i in range(17)])
    usual = [(.7, 'all'), (.3, 'people')]
    monkeypatch.setattr(guesses, 'sources_of', lambda folder, people: usual)
    np.save(tmp_path/'kinds.npy', [3]*16+[7])
    args = SimpleNamespace(set=tmp_path, people=.3, rare=.5)
    (share,drawn),*rest = guesses.sources(args)
    assert share==.5 and rest==[(.35, 'all'), (.15, 'people')]
    n = Counter(drawn[i] for i in range(len(drawn)))
    assert n['16']/len(drawn)==pytest.approx(.2, abs=.01)
    assert all(n[f'{i}']/len(drawn)==pytest.approx(.05, abs=.01) for i in range(16))
    args.rare = 0.
    assert guesses.sources(args)==usual
    np.save(tmp_path/'kinds.npy', [3]*16)
    with pytest.raises(ValueError, match='16 kinds for 17 photographs'):
        guesses.sources(SimpleNamespace(set=tmp_path, people=.3, rare=.5))

@pytest.mark.parametrize('steady', [False, True])
def test_a_run(photos, monkeypatch, tmp_path, steady):
    for name in 'EVERY', 'SAVE', 'WARMUP':
        monkeypatch.setattr(guesses, name, 1)
    clock = SimpleNamespace(time=itertools.count(0., 0.5).__next__) # two looks for each batch
    monkeypatch.setattr(guesses, 'time', clock)
    monkeypatch.setattr(guesses, 'sources', lambda args: [(1., photos*8)])
    sides = []
    step = guesses.Lessons.step
    def watched(self, lr, batch):
        sides.append(batch[0].shape[-1])
        return step(self, lr, batch)
    monkeypatch.setattr(guesses.Lessons, 'step', watched)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        guesses.run(SimpleNamespace(
            set=None, out=tmp_path, start='default', minutes=10/60, seed=0, lr=1e-4, encoder_lr=0,
            corrections=2, rare=0., keep=5, people=0, archival=0., sides=(64, 96), falling=0.3,
            steady=steady, muon=False, hold='default'))
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

def test_muon_moves_kernels_by_orthogonal_steps_and_nothing_else(batch):
    lr = 1e-3
    o = guesses.Lessons('default', lr, 5., muon=True)
    kernels = guesses.kernels_of(o.net.unet)
    names = [k for k,p in o.net.unet.named_parameters() if any(p is q for q in kernels)]
    assert {'mid.conv1.weight', 'up.1.attn.0.qkv.weight', 'down.2.feat.1.weight'}<=set(names)
    assert not {'inp.weight', 'out.2.weight', 'emb.0.weight'}&set(names)
    before = {k: v.clone() for k,v in o.net.unet.state_dict().items()}
    o.step(lr, batch)
    moved = {k: v-before[k] for k,v in o.net.unet.state_dict().items()}
    kernel_of = dict(o.net.unet.named_parameters())
    for k in names: # the gradient with all that matters in it made equally strong
        u,strength,v = torch.linalg.svd(kernel_of[k].grad.flatten(1), full_matrices=False)
        m = moved[k].flatten(1)/(-0.2*lr*max(kernel_of[k].flatten(1).shape)**0.5)
        matters = strength/strength.norm()>0.02
        along = torch.einsum('ik,ij,kj->k', u, m, v)[matters]
        assert 0.6<along.min() and along.max()<1.3, (k, along)
        assert torch.linalg.matrix_norm(m, 2)<1.3, k
    # AdamW's first step has the length of its rate
    assert moved['emb.0.weight'].abs().max()==pytest.approx(lr, rel=0.01)
