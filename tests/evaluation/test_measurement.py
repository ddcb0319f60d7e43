"Figures that were measured differently are not compared."
import math, operator
import pytest, torch
from colorized.evaluation.measurement import Measurement, recovered_accuracy, top1_hits

def kid(value=1., name='kid', extractor='lite1', n=500, protocol='val', **kw):
    return Measurement(value, name, extractor, n, protocol, **kw)

def test_alike_they_are_compared():
    assert kid(1.)<kid(2.) and kid(1.)>=kid(1.) and kid(2.)>kid(1.) and kid(1.)<=kid(2.)
    assert kid(3.)-kid(1.)==2
    assert [o.value for o in sorted([kid(2.), kid(0.), kid(1.)])]==[0, 1, 2]
    assert kid(1.)<kid(2., low=0., high=3.) # the interval is part of the answer

def test_the_interval_does_not_order():
    "Of two equal values none is larger, whatever their intervals"
    a,b = kid(1., low=0., high=3.),kid(1., low=0.5, high=2.)
    for x,y in ((a, b), (b, a)):
        assert x<=y and x>=y and not x<y and not x>y

@pytest.mark.parametrize('other', [
    dict(name='fid'), dict(extractor='lite2'), dict(n=499), dict(protocol='test')], ids=str)
def test_measured_differently_they_refuse(other):
    a,b = kid(),kid(2., **other)
    [(field,value)] = other.items()
    said = f'measured differently, {field}: {getattr(a, field)!r} against {value!r}'
    for compare in (operator.lt, operator.gt, operator.le, operator.ge, operator.sub, max):
        with pytest.raises(ValueError, match='measured differently'): compare(a, b)
    with pytest.raises(ValueError, match=said): a<b

def test_a_bare_number_is_no_measurement():
    for compare in (operator.lt, operator.ge, operator.sub):
        with pytest.raises(TypeError, match='not with float: use .value'): compare(kid(), 2.)

def test_shown_with_its_interval():
    assert str(kid(1.23456))=='1.235'
    assert str(kid(1.23456, low=1.2, high=1.35551))=='1.235 [1.2, 1.36]'
    assert str(kid(0., low=0., high=0.))=='0 [0, 0]'
    assert str(kid(-1.5, low=-2.25, high=-1e-5))=='−1.5 [−2.25, −1e−05]' # minus, no hyphen

def test_top1_hits_where_the_class_is_known():
    logits = torch.eye(4)
    assert top1_hits(logits, torch.tensor([0, 3, -1, 3])).tolist()==[1, 0, 1]
    assert top1_hits(logits, torch.arange(4)).dtype==torch.float64
    with pytest.raises(ValueError, match='no photograph has a label'):
        top1_hits(logits, torch.full((4,), -1))

def test_recovered_accuracy():
    gray,ours,true = kid(0.6),kid(0.7),kid(1.)
    assert recovered_accuracy(gray, ours, true)==pytest.approx(0.25)
    assert recovered_accuracy(gray, gray, true)==0 and recovered_accuracy(gray, true, true)==1
    assert recovered_accuracy(ours, gray, true)<0
    assert math.isnan(recovered_accuracy(gray, ours, gray))
    assert math.isnan(recovered_accuracy(kid(0.92), kid(0.88), kid(0.9))) # gray is better
    for bad in ((kid(n=4), ours, true), (gray, kid(n=4), true), (gray, ours, kid(n=4))):
        with pytest.raises(ValueError, match='measured differently'): recovered_accuracy(*bad)
