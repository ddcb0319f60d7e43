"Distances between sets of features against closed forms, and intervals that cover."
import warnings
import numpy as np, pytest, torch
from scipy.linalg import sqrtm
from torch.utils._python_dispatch import TorchDispatchMode
from colorized.evaluation import distances as D

pytestmark = pytest.mark.filterwarnings('ignore:FID from')

def normal(n, d, seed, dtype=None):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)

def test_fid_closed_form():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3000, 12))@rng.normal(size=(12, 12))
    b = rng.normal(size=(2500, 12))@rng.normal(size=(12, 12))+rng.normal(size=12)
    sa,sb = np.cov(a.T),np.cov(b.T)
    want = ((a.mean(0)-b.mean(0))**2).sum() + np.trace(sa+sb-2*sqrtm(sa@sb).real)
    assert D.fid(torch.tensor(a), torch.tensor(b))==pytest.approx(want, rel=1e-8)

def test_fid_with_fewer_photographs_than_features():
    """The trace of the root is the sum of the singular values of the centered sets' product:
    no covariance needed"""
    rng = np.random.default_rng(1)
    a,b = rng.normal(size=(40, 100)),rng.normal(size=(40, 100))+.2
    A,B = a-a.mean(0),b-b.mean(0)
    root = np.linalg.svd(A@B.T, compute_uv=False).sum()
    want = ((a.mean(0)-b.mean(0))**2).sum() + ((A**2).sum()+(B**2).sum()-2*root)/39
    assert D.fid(torch.tensor(a), torch.tensor(b))==pytest.approx(want, rel=1e-5)

def test_fid_small_n_warns_large_does_not():
    x = normal(2048, 4, 0)
    with pytest.warns(UserWarning, match='FID from 100 photographs'):
        D.fid(x[:100], x)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        assert D.fid(x, x)==pytest.approx(0, abs=1e-6)

@pytest.mark.parametrize('real, fake', [
    (torch.zeros(5, 3), torch.zeros(5, 4)),
    (torch.zeros(5, 3, 1), torch.zeros(5, 3)),
    (torch.zeros(5, 3), torch.zeros(5, 3, 1)),
    (torch.zeros(5, 3), torch.zeros(1, 3))])
def test_features_that_do_not_fit(real, fake):
    for measure in (D.fid, D.kid, D.kid_interval, D.two_sample):
        with pytest.raises(ValueError, match='must be features'):
            measure(real, fake)

def kernel_sums(x, y, paired):
    k = lambda u,v: (float(u@v)/len(u)+1)**3
    n = len(x)
    every = [(i, j) for i in range(n) for j in range(n)]
    off = [(i, j) for i,j in every if i!=j]
    mean = lambda u,v,idx: np.mean([k(u[i], v[j]) for i,j in idx])
    return mean(x, x, off)+mean(y, y, off)-2*mean(x, y, off if paired else every)

@pytest.mark.parametrize('paired', [False, True])
def test_kid_formula(paired):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 7))
    y = x+rng.normal(size=(30, 7))*.5+.1
    got = D.kid(torch.tensor(x), torch.tensor(y), paired=paired)
    assert got==pytest.approx(kernel_sums(x, y, paired), rel=1e-9)

def test_kid_properties():
    g = torch.Generator().manual_seed(3)
    x,y = torch.randn(200, 16, generator=g),torch.randn(200, 16, generator=g)
    assert D.kid(x, x, paired=True)==0 and D.kid(x, x)<0
    assert D.kid(x, y+.5) > D.kid(x, y+.2)
    few = D.kid(x, y+.5, subset_size=50, subsets=20)
    assert few==pytest.approx(D.kid(x, y+.5), rel=0.3)
    assert few==D.kid(x, y+.5, subset_size=50, subsets=20)
    assert few!=D.kid(x, y+.5, subset_size=50, subsets=20, seed=1)
    before = torch.get_rng_state()
    D.kid(x, y, subset_size=50, subsets=2)
    assert torch.equal(before, torch.get_rng_state())

def test_kid_interval():
    g = torch.Generator().manual_seed(3)
    x,y = torch.randn(200, 16, generator=g),torch.randn(200, 16, generator=g)
    low,high = D.kid_interval(x, y)
    assert low < D.kid(x, y, paired=True) < high and low < 0 < high
    assert D.kid_interval(x, y)==(low, high)!=D.kid_interval(x, y, seed=1)
    low,high = D.kid_interval(x, y+.5, y+.2)
    assert low < D.kid(x, y+.5, paired=True)-D.kid(x, y+.2, paired=True) < high
    assert D.kid_interval(x, y, y)==(0, 0)
    assert D.kid_interval(x, y+.2, y+.5)==pytest.approx((-high, -low))

def test_kid_in_parts():
    "More photographs than are looked at together: the sums are those of the whole matrices"
    x,y,z = [normal(600, 8, i, torch.float64)+i/10 for i in range(3)]
    k = lambda a,b: (a@b.T/8+1)**3
    without = lambda o: o-torch.diag(o.diag())
    terms = lambda o: without(k(x, x)+k(o, o)-k(x, o)-k(o, x))
    n = 600*599
    usual = (without(k(x, x))+without(k(y, y))).sum()/n-2*k(x, y).mean()
    assert D.kid(x, y)==pytest.approx(usual.item(), rel=1e-9)
    assert D.kid(x, y, paired=True)==pytest.approx(terms(y).sum().item()/n, rel=1e-9)
    w = np.random.default_rng(0).multinomial(600, np.full(600, 1/600), 1000).astype(float)
    for args,h in (((x, y), terms(y)), ((x, y, z), terms(y)-terms(z))):
        drawn = np.einsum('bi,ij,bj->b', w, h.numpy(), w, optimize=True)
        drawn /= w.sum(1)**2-(w**2).sum(1)
        assert D.kid_interval(*args)==pytest.approx(np.quantile(drawn, (.025, .975)), rel=1e-9)

class Largest(TorchDispatchMode):
    "Remembers how many numbers the largest tensor had"
    numbers = 0
    def __torch_dispatch__(self, f, types, args=(), kwargs=None):
        out = f(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor): self.numbers = max(self.numbers, out.numel())
        return out

def test_kid_of_many_needs_no_matrix_of_all_pairs():
    n = 3000
    x,y = normal(n, 4, 0),normal(n, 4, 1)
    with Largest() as seen:
        D.kid(x, y)
        D.kid(x, y, paired=True)
        D.kid_interval(x, y, y+.1, n_boot=100)
    assert n<seen.numbers<n*n/8

def test_kid_of_sets_that_do_not_fit():
    x,y = normal(200, 16, 3),normal(200, 16, 4)
    for args in ((x[:100], y), (x, y, y[:100])):
        with pytest.raises(ValueError, match='one length'): D.kid_interval(*args)
    for kw,said in ((dict(real=x[:100], fake=y), 'subset_size of at most 100'),
                    (dict(real=x[:100], fake=y, paired=True), 'one length, got 100 and 200'),
                    (dict(real=x, fake=y[:,:3]), 'one D'),
                    (dict(real=x, fake=y, paired=True, subset_size=9), 'must be None, got 9')):
        with pytest.raises(ValueError, match=said):
            D.kid(**kw)

def test_kid_interval_covers():
    """Of 60 draws, about 95 % of the intervals hold the true distance, and they are as wide as the
    distances are spread: intervals that are too wide hold everything"""
    g = torch.Generator().manual_seed(4)
    z = lambda: torch.randn(60, 8, generator=g, dtype=torch.float64)
    real = [z() for _ in range(60)]
    pairs = [(x, x+z()/2+0.5) for x in real]
    distances = np.array([D.kid(*o, paired=True) for o in pairs]) # unbiased
    low,high = np.array([D.kid_interval(*o, n_boot=200) for o in pairs]).T
    assert ((low<=distances.mean()) & (distances.mean()<=high)).sum() >= 52
    assert 0.8 < (high-low).mean()/(2*1.96*distances.std()) < 1.35

def test_kid_interval_of_very_few():
    "Of five photographs one may be drawn five times, and there is no pair; of four there is none"
    several = D.kid_interval(normal(5, 4, 0), normal(5, 4, 1), n_boot=10_000)
    assert np.isfinite(several).all()
    for n in (2, 4):
        assert np.isnan(D.kid_interval(normal(n, 4, 0), normal(n, 4, 1))).all()
        assert np.isnan(D.bootstrap(torch.ones(n))).all()
    assert np.isfinite(D.bootstrap(torch.ones(5))).all()

@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_features_that_are_no_numbers(bad):
    "They are refused by name: in the square root of FID they end the whole process"
    x = normal(40, 8, 0)
    spoiled = x.clone()
    spoiled[3,7] = bad
    for measure in (D.fid, D.kid, D.kid_interval, D.two_sample):
        with pytest.raises(ValueError, match='features of fake must be finite'):
            measure(x, spoiled)
        with pytest.raises(ValueError, match='features of real must be finite'):
            measure(spoiled, x)

def test_two_sample():
    g = torch.Generator().manual_seed(5)
    x,y = torch.randn(120, 10, generator=g),torch.randn(120, 10, generator=g)
    # the same scenes on both sides must not help it
    assert abs(D.two_sample(x, x).mean()-0.5)<0.12
    told = D.two_sample(x, y)
    assert abs(told.mean()-0.5)<0.12
    assert D.two_sample(x, y+3).mean()>0.97
    assert torch.equal(told, D.two_sample(x, y)) and len(told)==120
    assert not torch.equal(told, D.two_sample(x, y, seed=1))
    with pytest.raises(ValueError, match='at least 10, expected, got 8 and 8'):
        D.two_sample(x[:8], y[:8])
    with pytest.raises(ValueError, match='one length.*got 120 and 100'):
        D.two_sample(x, y[:100])

def test_two_sample_says_which_photograph_is_told_right():
    "Where only some colorings can be told from photographs, these are told right more often"
    x,y = normal(120, 10, 6),normal(120, 10, 7)
    y[:40] += 3
    told = D.two_sample(x, y)
    assert told[:40].mean() > told[40:].mean()+0.1
    assert ((told>=0) & (told<=1) & (told*10==(told*10).round())).all() # five halvings, both ways

def test_two_sample_written_anew():
    "Halves and folds are those of their seeds, so that a figure can be had again"
    from sklearn.linear_model import LogisticRegression # slow to load
    from sklearn.model_selection import StratifiedKFold
    x,y = normal(21, 3, 8).double().numpy(),normal(21, 3, 9).double().numpy()+0.5
    hits,seed = np.zeros(21),3
    for i in (0, 1):
        perm = np.random.default_rng((seed, i)).permutation(21)
        for real,fake in ((perm[:10], perm[10:]), (perm[10:], perm[:10])):
            both,made = np.concatenate([x[real], y[fake]]),np.repeat([0, 1], [len(real), len(fake)])
            folds = StratifiedKFold(5, shuffle=True, random_state=seed+i)
            for train,held in folds.split(both, made):
                mean,std = both[train].mean(0),both[train].std(0)
                fit = LogisticRegression(C=0.01, max_iter=1000)
                fit.fit((both[train]-mean)/std, made[train])
                right = fit.predict((both[held]-mean)/std)==made[held]
                hits[np.concatenate([real, fake])[held]] += right
    told = D.two_sample(torch.tensor(x), torch.tensor(y), n_splits=2, seed=seed)
    assert told.tolist()==(hits/4).tolist()

def test_bootstrap_covers():
    rng = np.random.default_rng(6)
    intervals = [D.bootstrap(torch.tensor(rng.normal(size=50)), n_boot=300) for _ in range(200)]
    assert 0.88 < np.mean([low<=0<=high for low,high in intervals]) < 0.99
    values = torch.tensor(rng.normal(size=50))
    assert D.bootstrap(values)==D.bootstrap(values)!=D.bootstrap(values, seed=1)
