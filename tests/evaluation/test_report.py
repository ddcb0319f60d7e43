"An evaluator ranks spoiled photographs, and its report says how."
import json
import numpy as np, pytest, torch
from colorized.evaluation.distances import bootstrap, fid, kid
from colorized.evaluation.features import extract_features
from colorized.evaluation.measurement import Measurement
from colorized.evaluation.report import Evaluator, Report
from colorized.photo.lab import combine_to_rgb, rgb_to_L, rgb_to_lab, to_uint8
from .samples import Narrow, Thumbnail, spoil

pytestmark = pytest.mark.filterwarnings('ignore:FID from')

def test_a_mean_that_may_be_zero(small):
    """The interval of a mean's size reaches zero where that of the mean holds it, and always holds
    the figure"""
    evaluator = Evaluator(small, Thumbnail(), None)
    rng = np.random.default_rng(0)
    size = lambda values: evaluator._size_of_mean('delta_colorfulness', values)
    for shift in np.linspace(-0.5, 0.5, 11):
        values = torch.tensor(rng.normal(shift, 1, 20))
        o,(low,high) = size(values),bootstrap(values)
        assert o.low<=o.value<=o.high==max(abs(low), abs(high))
        if abs(shift)<0.1: assert o.low==0
    far = torch.tensor(rng.normal(-5, 1, 20))
    o = size(far)
    assert (o.low, o.high)==tuple(-v for v in bootstrap(far)[::-1])
    assert (o.value, o.n)==(abs(far.mean().item()), 20)

@pytest.mark.slow
def test_spoiled_colors_are_ranked(tiles, lite1):
    "Truth, half the chroma, gray: every measure that should see it does"
    evaluator = Evaluator(tiles, Narrow(lite1), classifier='lite1', protocol='tiles')
    true,half,gray = [evaluator.summarize(spoil(tiles, s)) for s in (1., 0.5, 0.)]
    for k in ('kid', 'fid', 'delta_colorfulness', 'colorfulness_error', 'delta_e2000'):
        assert true[k] < half[k] < gray[k], k
    for k in ('psnr', 'ssim', 'colorfulness', 'colorfulness_abs'):
        assert true[k] > half[k] > gray[k], k
    assert true['two_sample'].value < 0.65 < 0.7 < gray['two_sample'].value
    assert true['top1_agreement'].value > gray['top1_agreement'].value
    assert gray['delta_L_p999'].value < 0.5
    assert gray['two_sample'].extractor=='narrow' and gray['top1_agreement'].extractor=='lite1'
    assert gray['kid'].extractor==gray['fid'].extractor==gray['kid_all_pairs'].extractor=='narrow'
    assert gray['psnr'].extractor=='' and {o.n for o in gray.values()}=={len(tiles)}

def test_a_network_that_classifies_too_looks_once(small, lite1):
    both = Evaluator(small, lite1, 'lite1')
    assert both.classifier is both.extractor is lite1
    apart = Evaluator(small, Thumbnail(), 'lite1')
    assert apart.classifier.name=='lite1' and apart.extractor.name=='thumbnail'
    assert torch.equal(both.target, apart.target)
    assert Evaluator(small, lite1, None).classifier is None

def test_what_is_known_is_not_measured_again(small, monkeypatch):
    evaluator = Evaluator(small, Thumbnail(), None)
    out = spoil(small, 0.5)
    seen = evaluator.observe(out)
    fresh = evaluator.summarize(out)
    monkeypatch.setattr(Evaluator, 'observe', None)
    assert evaluator.summarize(out, observations=seen)==fresh

def test_neighbours(photos):
    "More than are colored at once; gray is gray, and the tint the mean of all, on each lightness"
    many = photos[:,:,::8,::8].repeat(3, 1, 1, 1)
    evaluator = Evaluator(many, Thumbnail(), None)
    baselines = evaluator._baselines()
    assert list(baselines)==['gray', 'mean chroma']
    gray = baselines['gray']
    assert (gray==gray[:,:1]).all()
    assert (rgb_to_L(gray)-rgb_to_L(many)).abs().max()<0.3
    mean = rgb_to_lab(many)[:,1:].mean((0,2,3)).view(1,2,1,1)
    L = rgb_to_L(many)
    want = to_uint8(combine_to_rgb(L, mean.expand(len(L), 2, *L.shape[2:])))
    assert (baselines['mean chroma'].int()-want.int()).abs().max()<=1

def test_truth_and_differences_say_so(small):
    evaluator = Evaluator(small, Thumbnail(), None, protocol='six', seed=2)
    a,b = spoil(small, 0.5),spoil(small, 0.2)
    report = evaluator.report({'a': a, 'b': b, 'c': b})
    systems = ['a', 'b', 'c', 'gray', 'mean chroma', 'truth', 'a − b', 'a − c']
    assert list(report.columns)==systems
    truth,apart = report['truth'],report['a − b']
    assert truth['kid'].n==truth['fid'].n==3 and truth['colorfulness'].n==6
    assert truth['kid'].protocol=='six, one half against the other'
    assert truth['colorfulness'].protocol==report['a']['kid'].protocol=='six'
    assert {o.protocol for o in apart.values()}=={'six, one system less another'}
    assert apart==report['a − c']==evaluator.compare(evaluator.observe(a), evaluator.observe(b))
    assert 'fid' not in apart and apart['psnr'].value>0>apart['delta_e2000'].value

def test_the_halves_of_the_truth_share_no_photograph(small):
    "By hand: a permutation of the seed, cut in two; of an odd number one is left out"
    evaluator = Evaluator(small[:5], Thumbnail(), None, seed=4)
    perm = np.random.default_rng(4).permutation(5)
    a,b = [extract_features(small[perm[o]], Thumbnail()) for o in (slice(0, 2), slice(2, 4))]
    truth = evaluator.summarize_truth()
    assert truth['kid'].value==pytest.approx(1000*kid(a, b), rel=1e-9) and truth['kid'].n==2
    assert truth['fid'].value==pytest.approx(fid(a, b), rel=1e-6)
    o = truth['colorfulness'] # the seed is that of the intervals, too
    assert (o.low, o.high)==bootstrap(evaluator.colorfulness, seed=4)

def test_the_two_sample_test_wants_ten_photographs(small):
    many = small.repeat(2, 1, 1, 1)
    for n in (9, 10):
        values = Evaluator(many[:n], Thumbnail(), None).observe(spoil(many[:n], 0.5)).values
        assert ('two_sample' in values)==(n==10)

def test_three_photographs_have_no_halves(small):
    truth = Evaluator(small[:3], Thumbnail(), None).summarize_truth()
    assert list(truth)==['colorfulness', 'colorfulness_abs']

def test_diversity_is_of_the_first_system(small):
    evaluator = Evaluator(small, Thumbnail(), None)
    out = spoil(small, 0.5)
    said = []
    report = evaluator.report({'a': out, 'b': out}, torch.stack([out, small]), said.append)
    assert 'diversity' in report['a']
    assert not any('diversity' in report[o] for o in ('b', 'gray', 'truth'))
    assert said==[f'measuring {o}' for o in ('a', 'b', 'gray', 'mean chroma')]

def test_names_of_the_baselines_are_taken(small):
    "A system of that name would be replaced by the baseline"
    evaluator = Evaluator(small, Thumbnail(), None)
    for name in ('gray', 'mean chroma', 'truth'):
        with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
            evaluator.report({'ours': small, name: small})

def test_no_interval_of_very_few_photographs(small):
    "Four have none, also not in JSON, where NaN is none of the numbers"
    report = Evaluator(small[:4], Thumbnail(), None).report({'ours': spoil(small[:4], 0.5)})
    assert all((o.low, o.high)==(None, None) for o in report['ours'].values())
    assert '[' not in report.markdown() and 'NaN' not in report.to_json()
    five = Evaluator(small[:5], Thumbnail(), None).summarize(spoil(small[:5], 0.5))
    assert five['kid'].low < five['kid'].high and five['psnr'].low < five['psnr'].high

def test_json_is_for_any_terminal(small):
    report = Evaluator(small, Thumbnail(), None).report({'a': small, 'Ä': small}, only_true=['é'])
    assert report.to_json().isascii()
    assert json.loads(report.to_json())['only_true']==['é']

def test_table():
    "The better direction, differing n, what is missing, and the first five names of those left out"
    one = lambda value,n,name='kid',**kw: Measurement(value, name, 'lite1', n, **kw)
    psnr,top1 = Measurement(30., 'psnr', '', 9),[one(v, 3, 'top1_accuracy') for v in (0.5, 1.)]
    ours = {'psnr': psnr, 'kid': one(1.5, 9, low=1., high=2.25), 'top1_accuracy': top1[0]}
    truth = {'kid': one(2., 4), 'top1_accuracy': top1[1]}
    report = Report({'ours': ours, 'truth': truth}, 'by hand', list('abcdef'), ['z'])
    assert report.markdown()=='''\
| measure | extractor | ours (n=9) | truth (n=4) |
|---|---|---|---|
| KID × 1000 ↓ | lite1 | 1.5 [1, 2.25] | 2 |
| top-1 accuracy ↑ | lite1 | 0.5 (n=3) | 1 (n=3) |
| PSNR, dB ↑ | – | 30 | – |

Protocol: by hand. In brackets: 95 % bootstrap interval, too narrow for fewer than about 20 \
photographs.
- 6 photographs not in every colorized folder: a, b, c, d, e …
- 1 photograph without a true one: z'''
    assert report._repr_markdown_()==report.markdown()
    bare = Report({'ours': {'psnr': psnr}}, 'by hand').markdown()
    assert bare.endswith('\n\nProtocol: by hand.') # no brackets, and not a word about them
    many = Report({'ours': {'kid': one(1.5, 20, low=1., high=2.)}}, 'by hand').markdown()
    assert many.endswith('In brackets: 95 % bootstrap interval.')
    back = json.loads(report.to_json())
    assert list(back)==['columns', 'protocol', 'only_true', 'only_colorized']
    assert Measurement(**back['columns']['ours']['kid'])==report['ours']['kid']
