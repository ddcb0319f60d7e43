"What looks alike, how far hints act, what is small: against the formulas, in NumPy"
import math
from dataclasses import replace
import numpy as np, pytest, torch, torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from colorized.model.similarity import (hint_influence, shared_similarity, similarity_matrix,
    small_region_confidence)
from colorized.model.unet import Condition
from colorized.theory.guidance import anchor_small_regions, average_similar
from colorized.theory.schedule import make_schedule

torch.set_num_threads(1)

def gen(seed=0): return torch.Generator().manual_seed(seed)

def points(cond, grid):
    "Place in quarters of the shorter side, lightness in units of 20, features / sqrt(0.3)"
    gh,gw = grid
    L = cond.L[0,0].numpy()
    H,W = L.shape
    y,x = np.mgrid[:gh,:gw]*4/min(grid)
    cells = L.reshape(gh, H//gh, gw, W//gw).mean((1, 3))*50/20
    p = [y.ravel(), x.ravel(), cells.ravel()]
    if 16 in cond.features:
        up = torch.nn.functional.interpolate(cond.features[16], grid, mode='bilinear')
        f = up[0].numpy().reshape(len(up[0]), -1)
        f = (f-f.mean(1, keepdims=True))/f.std(1, keepdims=True)
        p += list(f/np.linalg.norm(f, axis=0)/math.sqrt(0.3))
    return np.stack(p, 1)

@pytest.fixture
def cond():
    L = torch.rand(1, 1, 64, 96, generator=gen())*2-1
    return Condition(L, {16: torch.randn(1, 7, 4, 6, generator=gen(1))})

@pytest.mark.parametrize('with_features', [True, False])
def test_weights_are_those_of_the_formula(cond, with_features):
    if not with_features:
        cond.features = {}
    p = points(cond, (8, 12))
    d2 = ((p[:,None]-p[None])**2).sum(2)
    want = np.exp(-d2/2)/np.exp(-d2/2).sum(1, keepdims=True)
    got = similarity_matrix(cond)
    assert got.shape==(1, 8, 12, 96)
    np.testing.assert_allclose(got[0].flatten(0, 1).numpy(), want, atol=2e-4)

def picture(seed):
    L = torch.rand(1, 1, 64, 96, generator=gen(seed))*2-1
    return Condition(L, {16: torch.randn(1, 7, 4, 6, generator=gen(seed+10))})

def test_pictures_listen_to_each_other_by_the_formula():
    "The weights of a cell go over the cells of all the others, one picture after another"
    two,three = [Condition.cat([picture(o) for o in seeds]) for seeds in ((0, 1), (2, 3, 4))]
    q = np.concatenate([points(picture(o), (8, 12)) for o in (2, 3, 4)])
    got = shared_similarity(two, three)
    assert got.shape==(2, 8, 12, 3*96)
    for i in (0, 1):
        d2 = ((points(picture(i), (8, 12))[:,None]-q[None])**2).sum(2)
        want = np.exp(-d2/2)/np.exp(-d2/2).sum(1, keepdims=True)
        np.testing.assert_allclose(got[i].flatten(0, 1).numpy(), want, atol=2e-4)

def test_cells_grow_where_there_would_be_too_many():
    sizes = {(64, 96): (8, 12), (384, 576): (36, 55), (512, 512): (45, 45), (64, 9000): (3, 536)}
    for shape,grid in sizes.items():
        got = similarity_matrix(Condition(torch.zeros(1, 1, *shape), {}))
        assert tuple(got.shape[1:3])==grid and grid[0]*grid[1]<=2048
    few = similarity_matrix(Condition(torch.zeros(1, 1, 64, 96), {}), cells=24)
    assert tuple(few.shape[1:])==(4, 6, 24)

def test_influence_is_that_of_the_nearest_hint(cond):
    hints = torch.zeros(1, 3, 16, 24)
    hints[0,2,2:4,2:4] = hints[0,2,12:14,20:22] = 1
    cond.hints = hints
    p = points(cond, (8, 12))
    hinted = p[[1*12+1, 6*12+10]]
    d2 = ((p[:,None]-hinted[None])**2).sum(2).min(1)
    for tau in (1., 4.):
        k = hint_influence(cond, tau)
        assert k.shape==(1, 1, 16, 24) and (k[hints[:,2:]>0]==1).all()
        centers = torch.nn.functional.avg_pool2d(k, 2)[0,0].numpy().ravel()
        want = np.exp(-d2/2/tau)
        inner = np.ones(96, bool)
        inner[[13, 82]] = False
        assert np.abs(centers-want)[inner].mean()<0.03 # enlarged from 8×12
    assert hint_influence(cond, 8.).mean()>hint_influence(cond, 2.).mean()

def test_influence_without_a_hint_is_none(cond):
    two = Condition(cond.L.repeat(2, 1, 1, 1), {}, torch.zeros(2, 3, 16, 24))
    two.hints[1,2,0,0] = 1
    k = hint_influence(two)
    assert not k[0].any() and k[1].max()==1

def test_confidence_is_what_its_formula_says():
    "Chroma over 3×3 places, and the mean of s over a square of a sixth of the shorter side"
    first = torch.randn(1, 2, 20, 33, generator=gen(2))*12
    c2 = (first[0].numpy()**2).sum(0)
    def around(x, n):
        part = lambda i,j: x[max(0,i-n):i+n+1, max(0,j-n):j+n+1]
        return np.array([[part(i, j).mean() for j in range(x.shape[1])] for i in range(x.shape[0])])
    for chroma in (8., 20.):
        c = around(c2, 1)
        s = c/(c+chroma**2)
        want = s*(1-around(s, 1)) # 20 // 6 = 3 places wide
        got = small_region_confidence(first, chroma)[0,0].numpy()
        np.testing.assert_allclose(got, want, rtol=1e-4)
    wide = small_region_confidence(first, around=0.5)[0,0].numpy()
    s = around(c2, 1)/(around(c2, 1)+64)
    np.testing.assert_allclose(wide, s*(1-around(s, 5)), rtol=1e-4) # 10 // 2 * 2 + 1 = 11 places

CPU,MPS = torch.device('cpu'),torch.device('mps')

class LikeMPS(TorchFunctionMode):
    "Tensors say that they are on MPS, unless they were fetched, and refuse what it cannot do"
    def __torch_function__(self, f, types, args=(), kwargs=None):
        kwargs = {k: v for k,v in (kwargs or {}).items() if k!='device'}
        if f==torch.Tensor.device.__get__:
            return CPU if getattr(args[0], 'fetched', False) else MPS
        if f in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
            assert getattr(args[0], 'fetched', False), 'sides that do not divide'
        if f is torch.Tensor.to and MPS in args[1:]:
            assert args[0].dtype!=torch.float64, 'MPS has no float64'
            return f(args[0], CPU)
        out = f(*args, **kwargs)
        if f is torch.Tensor.cpu:
            out = out.clone()
            out.fetched = True
        return out

def test_nothing_is_asked_of_mps_that_it_cannot_do():
    "Cells that do not divide the photograph, and the schedule's float64"
    L = torch.rand(1, 1, 100, 204, generator=gen())*2-1
    cond = Condition(L, {}, torch.zeros(1, 3, 25, 51), torch.zeros(1, 2, 25, 51))
    cond.hints[:,2,3:5,7:9] = 1.
    chain,x_t,t = make_schedule(zero_terminal=True),torch.ones(1, 2, 25, 51),torch.tensor([900])
    def all_of_it():
        similarity = similarity_matrix(cond)
        averaged = average_similar(lambda x_t, t, cond: x_t, chain)
        anchored = anchor_small_regions(averaged, chain)
        known = replace(cond, similarity=[similarity[0]], confidence=torch.full_like(x_t, 0.5))
        return similarity,hint_influence(cond),anchored(x_t, t, known)
    want = all_of_it()
    with LikeMPS():
        got = all_of_it()
    assert all(torch.equal(a, b) for a,b in zip(want, got))
