"Tables against plain NumPy and diffusers, copies, odd inputs."
import copy, pickle
import numpy as np, pytest, torch
from diffusers import DDIMScheduler
from colorized.theory.schedule import (
    NoiseSchedule, check_t, cosine_betas, extract, linear_betas, make_schedule, shift_betas,
    zero_terminal_snr)
from .parity import STEPS, scheduler

TABLES = '''betas alphas alphas_cumprod alphas_cumprod_prev
    sqrt_alphas_cumprod sqrt_one_minus_alphas_cumprod snr log_snr
    posterior_variance posterior_log_variance_clipped
    posterior_mean_coef1 posterior_mean_coef2'''.split()
SCHEDULES = dict(
    linear=dict(kind='linear'),
    cosine=dict(),
    ours=dict(shift=2.5, zero_terminal=True),
    short=dict(kind='linear', n_steps=7))

@pytest.mark.parametrize('kwargs', SCHEDULES.values(), ids=SCHEDULES)
def test_tables_are_those_of_numpy(kwargs):
    "The formulas of guided-diffusion's GaussianDiffusion.__init__, written anew in float64 NumPy"
    s = make_schedule(**kwargs)
    b = s.betas.numpy()
    a = 1-b
    ac = np.cumprod(a)
    prev = np.append(1., ac[:-1])
    var = b*(1-prev)/(1-ac)
    with np.errstate(divide='ignore'):
        want = dict(
            betas=b, alphas=a, alphas_cumprod=ac, alphas_cumprod_prev=prev,
            sqrt_alphas_cumprod=ac**.5, sqrt_one_minus_alphas_cumprod=(1-ac)**.5,
            snr=ac/(1-ac), log_snr=np.log(ac/(1-ac)),
            posterior_variance=var,
            posterior_log_variance_clipped=np.log(np.append(var[1], var[1:])),
            posterior_mean_coef1=b*prev**.5/(1-ac),
            posterior_mean_coef2=(1-prev)*a**.5/(1-ac))
    assert set(want)==set(TABLES)
    for name in TABLES:
        got = getattr(s, name)
        assert got.dtype==torch.float64 and got.shape==(len(s),)
        np.testing.assert_allclose(got.numpy(), want[name], rtol=1e-9, atol=1e-12, err_msg=name)
        assert not got.isnan().any()

@pytest.mark.parametrize('kind', ['linear','cosine'])
def test_betas_are_those_of_diffusers(kind):
    """Betas and their zero-terminal rescaling, to float32. `squaredcos_cap_v2` is our cosine;
    diffusers' DDIM names the rescaling"""
    betas = dict(linear=linear_betas, cosine=cosine_betas)[kind]()
    name = dict(linear='linear', cosine='squaredcos_cap_v2')[kind]
    how = dict(beta_schedule=name, beta_start=1e-4, beta_end=0.02)
    theirs = DDIMScheduler(**how)
    assert torch.allclose(betas.float(), theirs.betas, rtol=2e-4, atol=1e-7)
    theirs = DDIMScheduler(**how, rescale_betas_zero_snr=True)
    ours = NoiseSchedule(zero_terminal_snr(betas)).alphas_cumprod.float()
    assert torch.allclose(ours, theirs.alphas_cumprod, atol=1e-5)

@pytest.mark.parametrize('n_steps', STEPS)
def test_respaced_timesteps_are_those_of_diffusers(n_steps):
    """`respace` visits the timesteps of "trailing" spacing, in increasing order where diffusers
    lists them from noisy to clean"""
    schedule = make_schedule()
    theirs = scheduler(DDIMScheduler, schedule, 'v', n_steps).timesteps.tolist()
    assert schedule.respace(n_steps).timesteps.tolist()==theirs[::-1]

@pytest.mark.parametrize('n', [1, 2, 3, 7, 10, 16, 250, 999, 1000])
def test_respaced_chain_passes_through_the_same_points(n):
    s = make_schedule(shift=2.5, zero_terminal=True)
    r = s.respace(n)
    assert len(r)==n and r.timesteps[-1]==999 and (r.timesteps.diff()>0).all()
    same = s.alphas_cumprod[r.timesteps]
    torch.testing.assert_close(r.alphas_cumprod, same, rtol=1e-9, atol=1e-15)

@pytest.mark.parametrize('last', [1e-4, 0.001, 0.08, 0.5, 1.])
@pytest.mark.parametrize('n', [1, 2, 6, 16, 999, 1000])
def test_last_step_may_be_shorter_than_the_others(n, last):
    "Never longer, whatever is asked for"
    s = make_schedule(zero_terminal=True)
    got,plain = [s.respace(n, o).timesteps.tolist() for o in (last, None)]
    first = min(plain[0], max(0, round(1000*last)-1)) if n>1 else 999
    assert len(set(got))==n and got==sorted(got) and (got[0], got[-1])==(first, 999)
    assert max(np.diff(got), default=0)-min(np.diff(got), default=0)<=1
    for bad in (0, -0.1, 1.1, float('nan')):
        with pytest.raises(ValueError, match='last'): make_schedule().respace(n, bad)

def test_respace_takes_any_integers():
    s = make_schedule()
    want = s.respace([1, 500, 999])
    same = ((1, 500, 999), np.array([1, 500, 999], dtype=np.int32),
            torch.tensor([1, 500, 999], dtype=torch.int16))
    for steps in same: assert s.respace(steps).timesteps.equal(want.timesteps)
    hundreds = range(0, 1000, 100)
    assert s.respace(hundreds).timesteps.tolist()==list(hundreds)
    assert len(s.respace(np.int64(10)))==10
    for bad in (True, 2.5, [True, False], []):
        with pytest.raises((TypeError, ValueError), match='steps'): s.respace(bad)

def test_twice_respaced_keeps_the_original_numbers():
    ten = make_schedule().respace(10)
    assert ten.respace([1, 4, 9]).timesteps.tolist()==[199, 499, 999]
    assert ten.respace(2).timesteps.tolist()==[499, 999]

def test_it_says_its_steps_and_their_log_snr():
    assert repr(make_schedule(n_steps=10)).startswith('NoiseSchedule(10 steps, t=0..9, log-SNR ')
    assert 't=199..999, ' in repr(make_schedule().respace(5))

def test_copies_are_schedules():
    "Data loaders pickle, EMA deep-copies"
    s = make_schedule(zero_terminal=True).respace(5)
    for c in (pickle.loads(pickle.dumps(s)), copy.deepcopy(s), copy.copy(s)):
        assert repr(c)==repr(s) and c.timesteps.equal(s.timesteps)
        for name in TABLES: assert getattr(c, name).equal(getattr(s, name))
        with pytest.raises(AttributeError, match='read-only'): c.betas = s.betas

def test_the_makers_tensors_are_not_shared():
    betas,ts = linear_betas(4),torch.tensor([1, 3, 5, 9])
    s = NoiseSchedule(betas, ts)
    for o in (betas, ts, s.timesteps): o.zero_()
    assert s.betas.equal(linear_betas(4)) and s.timesteps.tolist()==[1, 3, 5, 9]
    with pytest.raises(AttributeError): del s.betas
    with pytest.raises(AttributeError): s.anything = 1
    assert set(TABLES) <= set(dir(s))

@pytest.mark.parametrize('ts', [[1, 1], [-1, 2], [3, 2]])
def test_timesteps_must_increase(ts):
    with pytest.raises(ValueError, match='timesteps: expected increasing'):
        NoiseSchedule(torch.tensor([.1, .2]), torch.tensor(ts))

@pytest.mark.parametrize('betas', [
    [0., .1], [.1, 1., .2], [.1, -1e-9], [1e-20, .1], [.1, float('inf')]])
def test_betas_that_form_no_chain(betas):
    with pytest.raises(ValueError, match=r'betas\[\d\]'):
        NoiseSchedule(torch.tensor(betas, dtype=torch.float64))

def test_one_step_of_pure_noise():
    "A network that learns the mean needs no chain"
    s = make_schedule(n_steps=1, shift=2.5, zero_terminal=True)
    assert s.betas.tolist()==[1] and s.snr.tolist()==[0]

def test_signal_and_noise_are_those_of_equation_8():
    s = make_schedule(shift=2.5, zero_terminal=True)
    x0,eps = torch.randn(2, 4, 2, 3, 3, dtype=torch.float64)
    t = torch.tensor([0, 10, 500, 999])
    signal,noise = s.signal_noise(t, x0)
    ac = s.alphas_cumprod[t].view(-1, 1, 1, 1)
    assert signal.shape==noise.shape==(4, 1, 1, 1)
    torch.testing.assert_close(signal, ac.sqrt())
    torch.testing.assert_close(noise, (1-ac).sqrt())
    torch.testing.assert_close(s.q_sample(x0, t, eps), ac.sqrt()*x0 + (1-ac).sqrt()*eps)

def test_extract_takes_any_number_of_axes_and_no_images():
    s = make_schedule()
    t = torch.tensor([3, 4])
    for shape in ((2,), (2, 1, 1)):
        assert extract(s.snr, t, torch.zeros(shape)).shape==shape
    assert extract(s.snr, t, torch.zeros(2, 5)).flatten().tolist()==s.snr[[3, 4]].float().tolist()
    assert extract(s.snr, t[:0], torch.zeros(0, 2, 4, 4)).shape==(0, 1, 1, 1)
    check_t(torch.tensor([5]).expand(8), 1000, 8)
    for bad in (torch.tensor(3), torch.tensor([[3, 4]]), [3, 4], t.int(), t>3, None):
        with pytest.raises((TypeError, ValueError), match='^t: expected'):
            extract(s.snr, bad, torch.zeros(2, 3))

@pytest.mark.parametrize('shift', [0.5, 2.5, 3.])
def test_shift_divides_the_snr_by_its_square(shift):
    plain,shifted = make_schedule(),make_schedule(shift=shift)
    assert torch.allclose(shifted.snr*shift**2, plain.snr, rtol=1e-9)
    assert torch.allclose(shift_betas(plain.betas), plain.betas, rtol=1e-9)
