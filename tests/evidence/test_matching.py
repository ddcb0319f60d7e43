"Matching against an independent computation in NumPy and float64, and what the packaged weights do"
import numpy as np, pytest, torch
from colorized.evidence.matching import (Matcher, View, encoder_sha256, load_matcher, most_probable,
                                         save_matcher)
from colorized.inference.colorizer import WEIGHTS, Colorizer
from colorized.model.encoder import Encoder

def view(cells, grid, seed, gray=False):
    g = torch.Generator().manual_seed(seed)
    ab = None if gray else torch.randn(2, cells, generator=g)*25
    return View(torch.randn(1, 64, *grid, generator=g), torch.rand(cells, generator=g)*100, ab)

def softmax(x, axis):
    e = np.exp(x-x.max(axis, keepdims=True))
    return e/e.sum(axis, keepdims=True)

def histogram(ab):
    steps = np.arange(-60, 61, 20.)
    colors = np.array([(a, b) for a in steps for b in steps])
    return softmax(-((ab.T[:,None]-colors)**2).sum(-1)/200, 1)

def mean_around(x, grid):
    "The mean of the 5×5 cells around each, as far as they exist"
    x,out = x.reshape(grid),np.empty(grid)
    for i in range(grid[0]):
        for j in range(grid[1]):
            out[i,j] = x[max(0,i-2):i+3,max(0,j-2):j+3].mean()
    return out.ravel()

def odds_in_numpy(m, q, k):
    "Equations (1), (2) and (4) of the chapter, written again"
    w = {n: x.double().numpy() for n,x in m.state_dict().items()}
    flat = lambda v: v.embedding[0].flatten(1).double().numpy().T
    a,b = (flat(o)/np.linalg.norm(flat(o), axis=1, keepdims=True) for o in (q, k))
    light = (q.L.double().numpy()[:,None]-k.L.double().numpy())/100
    s = np.exp(w['log_scale'])*a@b.T - np.exp(w['log_light'])*light**2
    everything = np.log(np.exp(s-s.max(1, keepdims=True)).sum(1)) + s.max(1)
    f = histogram(k.ab.double().numpy())
    there,back = softmax(s, 1),softmax(s, 0)
    own = (f**2).sum(1)
    success = there@(((back.T@(there@f))*f).sum(1)/own)
    chance = there@((f@f.mean(0))/own)
    reach,same = everything-np.log(s.shape[1]),np.ones(len(s))
    facts = [reach/4, mean_around(reach, q.grid)/4, reach.mean()/4*same, success,
             mean_around(success, q.grid), success.mean()*same, chance, ((there@f)**2).sum(1)]
    kind = w['kind.weight'][:,:,0,0]@flat(q).T + w['kind.bias'][:,None]
    x = w['gate.0.weight']@np.concatenate([np.stack(facts), kind]) + w['gate.0.bias'][:,None]
    gate = w['gate.2.weight']@(x/(1+np.exp(-x))) + w['gate.2.bias']
    return s - everything[:,None] + gate[0][:,None]

def test_scores_are_those_of_the_equations():
    torch.manual_seed(3)
    m = Matcher().eval()
    q,k = view(30, (5,6), 1, gray=True),view(28, (4,7), 2)
    with torch.no_grad(): got = m.scores(q, k).numpy()
    np.testing.assert_allclose(got, odds_in_numpy(m, q, k), atol=2e-4)

def test_the_most_probable_chroma_is_that_of_a_count_by_hand():
    rng = np.random.default_rng(0)
    centers = np.array([[0., 0.], [40., 10.], [-30., 30.], [6., 0.]])
    which,odds = rng.integers(4, size=60),rng.normal(size=(25, 60))
    ab = centers[which].T
    chroma,p,empty = most_probable(torch.tensor(odds), torch.tensor(ab))
    share = np.exp(odds)/(1+np.exp(odds).sum(1, keepdims=True))
    near = np.linalg.norm(centers[:,None]-centers, axis=-1)<10
    for i in range(25):
        mass = np.array([share[i,which==c].sum() for c in range(4)])
        best = (near@mass).argmax()
        assert p[i]==pytest.approx((near@mass)[best], abs=1e-9)
        np.testing.assert_allclose(chroma[:,i], mass*near[best]@centers/(mass*near[best]).sum())
        assert empty[i]==pytest.approx(1-share[i].sum(), abs=1e-9)

def test_equal_colors_are_one_answer_however_many_cells_they_have():
    odds = torch.zeros(1, 5)
    _,p,empty = most_probable(odds, torch.tensor([[30.]*5, [0.]*5]))
    assert p.item()==pytest.approx(5/6) and empty.item()==pytest.approx(1/6)

def test_the_packaged_matcher_is_for_the_packaged_encoder(tmp_path):
    c = Colorizer.from_pretrained(device='cpu')
    matcher = load_matcher(WEIGHTS/'matching.safetensors', c.net.encoder)
    assert all(o.isfinite().all() for o in matcher.state_dict().values())
    changed = Encoder()
    changed.load_state_dict(c.net.encoder.state_dict())
    assert encoder_sha256(changed)==encoder_sha256(c.net.encoder)
    next(changed.parameters()).data[0] += 0.01
    with pytest.raises(ValueError, match='another one'):
        load_matcher(WEIGHTS/'matching.safetensors', changed)
    save_matcher(tmp_path/'m.safetensors', matcher, changed)
    load_matcher(tmp_path/'m.safetensors', changed)

@pytest.mark.parametrize('size', [0, 10, 5000])
def test_a_cut_file_is_refused(tmp_path, size):
    (tmp_path/'m').write_bytes((WEIGHTS/'matching.safetensors').read_bytes()[:size])
    with pytest.raises(ValueError, match='is no matcher'):
        load_matcher(tmp_path/'m', Encoder())

def test_calibration_is_a_line_in_log_odds():
    m,p = Matcher(),torch.tensor([0.01, 0.3, 0.5, 0.99])
    torch.testing.assert_close(m.calibrated(p), p) # untrained: as it is
    m.calibration.copy_(torch.tensor([2., 1.]))
    odds = (p/(1-p))**2*np.e
    torch.testing.assert_close(m.calibrated(p), odds/(1+odds), rtol=1e-4, atol=1e-5)
    assert m.calibrated(torch.tensor([0., 1.])).isfinite().all()
