"The wrappers around a denoiser: each against its formula, every sample by its own step"
from types import SimpleNamespace
import numpy as np, pytest, torch
from colorized.theory.guidance import (amplify, anchor_small_regions, average_similar, clamp_hints,
    compose, reuse_first_guess)
from colorized.theory.schedule import make_schedule

torch.set_num_threads(1)
CHAIN = make_schedule('cosine', 1000, shift=2.5, zero_terminal=True)

class Known(SimpleNamespace):
    "A condition, as far as wrappers look at it"
    hints = first_guess = confidence = similarity = None
    def with_hints(self, hints): return Known(**{**vars(self), 'hints': hints})

def gen(seed=0): return torch.Generator().manual_seed(seed)
def at(*steps): return torch.tensor(steps)
def step_of(snr):
    "The first step with less signal than that"
    return int((CHAIN.snr<snr).nonzero()[0])

@pytest.fixture
def x(): return torch.randn(3, 2, 8, 12, generator=gen())

@pytest.fixture
def estimate(): return torch.randn(3, 2, 8, 12, generator=gen(1))

def test_compose_goes_from_the_inside_out(x):
    add,double = (lambda d: lambda *a: d(*a)+1),(lambda d: lambda *a: 2*d(*a))
    network = lambda x_t, t, cond: x_t
    assert torch.equal(compose(network, add, double)(x, None, None), 2*(x+1))
    assert torch.equal(compose(network, double, add)(x, None, None), 2*x+1)
    assert compose(network) is network

def test_known_chroma_is_held(x, estimate):
    mask = torch.rand(3, 1, 8, 12, generator=gen(2))>0.7
    known = torch.randn(3, 2, 8, 12, generator=gen(3))
    cond = Known(hints=torch.cat([known, mask.float()], 1))
    out = clamp_hints(lambda *_: estimate)(x, at(5, 5, 5), cond)
    assert torch.equal(out, torch.where(mask, known, estimate)) and mask.any() and not mask.all()
    assert clamp_hints(lambda *_: estimate)(x, at(5, 5, 5), Known()) is estimate
    half = clamp_hints(lambda *_: estimate.bfloat16())(x, at(5, 5, 5), cond)
    there = mask.expand_as(known)
    assert half.dtype==torch.float32 and torch.equal(half[there], known[there])

def test_a_gain_spares_hints(x):
    "The network sees hints divided by the gain: what it copies from them comes out as it went in"
    hints = torch.randn(3, 3, 8, 12, generator=gen(2))
    seen = []
    def network(x_t, t, cond):
        seen.append(cond.hints)
        return x_t if cond.hints is None else cond.hints[:,:-1]
    out = amplify(network, 1.25)(x, at(9, 9, 9), Known(hints=hints))
    torch.testing.assert_close(out, hints[:,:-1])
    assert torch.equal(seen[0][:,-1:], hints[:,-1:])
    assert torch.equal(amplify(network, 1.25)(x, at(9, 9, 9), Known()), 1.25*x)

def test_the_first_guess_is_not_asked_for_again(x, estimate):
    calls = []
    def network(x_t, t, cond):
        calls.append(t.tolist())
        return estimate
    first = x+10
    reused = reuse_first_guess(network, CHAIN)
    assert torch.equal(reused(x, at(999, 999, 999), Known(first_guess=first)), first) and not calls
    mixed = reused(x, at(998, 999, 0), Known(first_guess=first))
    assert torch.equal(mixed, torch.stack([estimate[0], first[1], estimate[2]]))
    assert torch.equal(reused(x, at(998, 500, 0), Known(first_guess=first)), estimate)
    assert torch.equal(reused(x, at(999, 999, 999), Known()), estimate) and len(calls)==3
    short = reuse_first_guess(network, make_schedule('cosine', 20, zero_terminal=True))
    assert torch.equal(short(x, at(19, 19, 19), Known(first_guess=first)), first)

def averaged(estimate, first, weights, restored):
    "The formula in NumPy, on a grid as fine as the estimate"
    own = (estimate-first).double().numpy()
    n,c,h,w = own.shape
    mean = np.stack([(W.double().numpy().reshape(h*w, h*w)@o.reshape(c, h*w).T).T.reshape(c, h, w)
                     for W,o in zip(weights, own)])
    spread = lambda o: o.std((2, 3), keepdims=True)
    return estimate.double().numpy() + mean*(spread(own)/spread(mean))**restored - own

@pytest.fixture
def alike():
    "Weights of cells, rows add up to one"
    W = torch.rand(3, 96, 96, generator=gen(4))**4
    return [o.view(8, 12, 96) for o in W/W.sum(-1, keepdim=True)]

@pytest.mark.parametrize('restored', [0., 0.7, 1.])
def test_averaging_is_its_formula(x, estimate, alike, restored):
    first = torch.randn(3, 2, 8, 12, generator=gen(5))
    cond = Known(first_guess=first, similarity=alike)
    out = average_similar(lambda *_: estimate, CHAIN, restored)(x, at(900, 900, 900), cond)
    want = averaged(estimate, first, alike, restored)
    np.testing.assert_allclose(out.numpy(), want, atol=1e-5)
    if restored==1: # all spread is given back
        spread = lambda o: (o-first).std((2, 3), correction=0)
        torch.testing.assert_close(spread(out), spread(estimate), atol=1e-4, rtol=1e-4)

def test_averaging_ends_where_there_is_signal(x, estimate, alike):
    cond = Known(first_guess=0*x, similarity=alike)
    noisy = average_similar(lambda *_: estimate, CHAIN)
    last = step_of(1/3)
    assert torch.equal(noisy(x, at(*[last-1]*3), cond), estimate)
    assert not torch.equal(noisy(x, at(*[last]*3), cond), estimate)
    longer = average_similar(lambda *_: estimate, CHAIN, until_snr=1.)
    assert not torch.equal(longer(x, at(*[last-1]*3), cond), estimate)
    whole = noisy(x, at(900, 900, 900), cond)
    mixed = noisy(x, at(900, 0, 900), cond)
    assert torch.equal(mixed[[0, 2]], whole[[0, 2]]) and torch.equal(mixed[1], estimate[1])
    assert torch.equal(noisy(x, at(900, 900, 900), Known(first_guess=0*x)), estimate)

def test_averaging_on_a_coarser_grid_keeps_the_detail(x):
    "The change is smooth: what is finer than a cell stays"
    twice = lambda o: o.repeat_interleave(2, -2).repeat_interleave(2, -1)
    pool = lambda o: torch.nn.functional.avg_pool2d(o, 2)
    fine = torch.randn(3, 2, 8, 12, generator=gen(6))
    fine = fine - twice(pool(fine))
    coarse = twice(torch.arange(6.).repeat(4, 1)).expand(3, 2, 8, 12)
    same = [torch.full((4, 6, 24), 1/24)]*3
    cond = Known(first_guess=0*fine, similarity=same)
    out = average_similar(lambda *_: fine+coarse, CHAIN, restored=0.)(x, at(900, 900, 900), cond)
    rest = pool(out)
    assert rest.std()<0.35*pool(coarse).std() # all cells agree
    torch.testing.assert_close(rest.mean(), coarse.mean(), atol=1e-4, rtol=1e-4)

def test_company_changes_no_bit(x, estimate, alike):
    cond = lambda *i: Known(first_guess=(0*x)[list(i)], similarity=[alike[k] for k in i])
    wrap = lambda e: average_similar(lambda *_: e, CHAIN)
    together = wrap(estimate)(x, at(900, 900, 900), cond(0, 1, 2))
    for i in range(3):
        alone = wrap(estimate[i:i+1])(x[i:i+1], at(900), cond(i))
        assert torch.equal(alone[0], together[i])

def test_small_regions_are_anchored_as_far_as_the_guess_is_sure(x, estimate):
    first = torch.randn(3, 2, 8, 12, generator=gen(5))
    sure = torch.rand(3, 1, 8, 12, generator=gen(6))
    cond = Known(first_guess=first, confidence=sure)
    for gain in (1., 1.2):
        out = anchor_small_regions(lambda *_: estimate, CHAIN, gain)(x, at(900, 900, 900), cond)
        torch.testing.assert_close(out, (1-sure)*estimate+sure*gain*first)
    anchored = anchor_small_regions(lambda *_: estimate, CHAIN)
    last = step_of(1.)
    assert torch.equal(anchored(x, at(*[last-1]*3), cond), estimate)
    assert not torch.equal(anchored(x, at(*[last]*3), cond), estimate)
    mixed = anchored(x, at(900, 0, 900), cond)
    assert torch.equal(mixed[1], estimate[1])
    torch.testing.assert_close(mixed[0], ((1-sure)*estimate+sure*1.2*first)[0])
    assert torch.equal(anchored(x, at(900, 900, 900), Known(first_guess=first)), estimate)
