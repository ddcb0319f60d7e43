"Agreement across keyframes: against the formula, in NumPy"
import numpy as np, pytest, torch
from colorized.film import agreement
from colorized.film.agreement import Decisions, ShotColorizer, in_groups, share_decisions
from colorized.inference.colorizer import Colorizer
from colorized.model.unet import Condition
from colorized.theory.schedule import make_schedule

def gen(seed): return torch.Generator().manual_seed(seed)

@pytest.fixture
def made():
    "Three frames of 16×24, cells of a 4×6 grid"
    first = torch.randn(3, 2, 16, 24, generator=gen(0))
    guess = torch.randn(3, 2, 16, 24, generator=gen(1))
    w = torch.rand(3, 4, 6, 3*24, generator=gen(2))
    w = w/w.sum(-1, keepdim=True)
    cond = Condition(torch.zeros(3, 1, 64, 96), {}, first_guess=first)
    return cond,guess,w,make_schedule(n_steps=100, zero_terminal=True)

def pooled(x): # (n,2,16,24) -> (n,2,4,6)
    n = len(x)
    return x.numpy().astype(float).reshape(n, 2, 4, 4, 6, 4).mean((3, 5))

def test_the_mean_of_every_cell_is_that_of_the_references(made):
    cond,guess,w,schedule = made
    known = Decisions({}, cond)
    f = share_decisions(lambda *_: guess, schedule, w, known, True, 0.7, 1/3)
    t = torch.full((3,), 99)
    out = f(None, t, cond)
    own = pooled(guess-cond.first_guess)
    cells = own.transpose(1, 0, 2, 3).reshape(2, -1)
    mean = np.stack([(cells@o.numpy().reshape(24, -1).T).reshape(2, 4, 6) for o in w])
    spread = lambda x: x.std((2, 3))
    ratio = np.exp(np.log(spread(own)/spread(mean)).mean(0))[:,None,None]**0.7 # one a channel
    change = torch.from_numpy(mean*ratio-own).float()
    want = guess+torch.nn.functional.interpolate(change, (16, 24), mode='bilinear',
                                                 align_corners=False)
    assert torch.allclose(out, want, atol=1e-4)
    assert np.allclose(known.steps[99][0].numpy(), cells, atol=1e-5)

def test_other_frames_listen_and_are_not_heard(made):
    cond,guess,w,schedule = made
    known = Decisions({}, cond)
    t = torch.full((3,), 99)
    share_decisions(lambda *_: guess, schedule, w, known, True, 0.7, 1/3)(None, t, cond)
    kept = known.steps[99][0].clone()
    alone = cond.first_guess[:1]+5
    g = share_decisions(lambda *_: alone, schedule, w[:1], known, False, 0.7, 1/3)
    out = g(None, t[:1], cond[:1])
    assert torch.equal(known.steps[99][0], kept)
    # what is its own decides about details only: its cells have the references' mean
    back = pooled(out-cond.first_guess[:1])
    want = (kept.numpy()@w[0].numpy().reshape(24, -1).T).reshape(2, 4, 6)
    assert np.corrcoef(back[0].ravel(), want.ravel())[0, 1]>0.5

def test_clean_states_are_left_to_each_cell(made):
    cond,guess,w,schedule = made
    f = share_decisions(lambda *_: guess, schedule, w, Decisions({}, cond), True, 0.7, 1/3)
    assert torch.equal(f(None, torch.full((3,), 0), cond), guess)

def test_groups_are_the_same_as_all_at_once():
    seen = []
    def denoise(x, t, cond):
        seen.append(len(x))
        return 2*x+cond.L[:,:1,:1,:1]
    x = torch.randn(5, 2, 4, 4, generator=gen(0))
    cond = Condition(torch.randn(5, 1, 8, 8, generator=gen(1)), {})
    t = torch.zeros(5, dtype=torch.long)
    assert torch.equal(in_groups(denoise, 2)(x, t, cond), denoise(x, t, cond))
    assert seen==[2, 2, 1, 5]

def test_hints_are_drawn_with_the_settings_of_the_shot(model):
    "As a sampler draws them that has these settings itself"
    L = torch.rand(1, 1, 64, 96, generator=gen(0))*100
    hints = torch.zeros(1, 3, 16, 24)
    hints[:,:,4:8,4:8] = torch.tensor([50., 20, 1])[:,None,None]
    changes = []
    for own in True, False:
        sampler = Colorizer.from_pretrained(model, 'cpu')
        settings = sampler.settings.changed(steps=3, temperature=0.5)
        if own:
            sampler.settings = settings
        shot = ShotColorizer(sampler, [L], settings=None if own else settings)
        shot.add_hints(L, hints)
        changes.append(shot.changes[0][1])
    assert torch.equal(*changes) and changes[0].abs().max()>0

def test_weak_reds_are_shrunk_in_films(tiny, monkeypatch):
    L = 100*torch.rand(1, 1, 64, 64, generator=gen(0))
    asked = []
    monkeypatch.setattr(agreement, 'shrink_reds', lambda ab, s: asked.append(s) or 0*ab+7)
    shot = ShotColorizer(tiny, [L], settings=tiny.settings.changed(red_shrinkage=.5))
    assert (shot.colorize(L)==7).all() and asked==[.5]

def test_without_saturation_all_is_gray(tiny):
    "Keyframes, and frames whose holes are filled"
    L = 100*torch.rand(1, 1, 64, 64, generator=gen(0))
    shot = ShotColorizer(tiny, [L], saturation=0.)
    gray = torch.zeros(1, 2, 16, 16)
    assert torch.equal(shot.colorize(L), gray) and torch.equal(shot.complete(L, gray), gray)
