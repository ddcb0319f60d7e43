"Budgets: the learning rate against its definition, and what is spent on small photographs"
import math
import pytest
from colorized.training.budget import Budget, wsd
from colorized.training.examples import Recipe

@pytest.mark.parametrize('decay', [0.3, 0.05, 1.])
def test_rate_falls_as_one_minus_root(decay):
    for progress in (0.1, 0.5, 0.75, 0.9, 0.99, 1., 1.2):
        spent = max(0, min(progress, 1)-(1-decay))/decay
        assert wsd(progress, 10**6, decay=decay)==pytest.approx(1-math.sqrt(spent))

def test_warm_up_takes_a_tenth_at_most():
    assert [wsd(0, i, warmup=4, decay=0) for i in range(6)]==[.25, .5, .75, 1, 1, 1]
    assert wsd(0.05, 0, warmup=200)==0.5 and wsd(0.1, 0, warmup=200)==1.
    assert wsd(0, 0, warmup=0, decay=0)==1.
    assert wsd(1., 10**6, decay=0)==1. # a run without decay keeps its rate

def test_small_share_of_hours_is_reckoned_from_areas():
    "85 of 100 photographs at a quarter of the cost: 21.25 of 36.25 parts of the time"
    recipe = Recipe(size=256, small=128, small_share=0.85)
    assert Budget(photos=10).small_share(recipe)==0.85
    assert Budget(hours=3).small_share(recipe)==pytest.approx(21.25/36.25)
    for off in (Recipe(size=128, small=128), Recipe(small=0), Recipe(size=64, small=128)):
        assert Budget(hours=3).small_share(off)==Budget(photos=3).small_share(off)==0
        assert Budget(photos=3).crop_size(off, 0.)==off.size

def test_budgets_are_one_of_two():
    for wrong in (dict(), dict(photos=1, hours=1.)):
        with pytest.raises(ValueError, match='photos or as hours'): Budget(**wrong)
    assert Budget(photos=10).progress(5, 10**9)==0.5
    assert Budget(hours=2.).progress(10**9, 3600)==0.5
    assert [Budget(photos=1).crop_size(Recipe(), o) for o in (0.8499, 0.85)]==[128, 256]
