"What `benchmarks/remake.py` would run can be run, and nothing twice"
import re, sys
from pathlib import Path
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'benchmarks'))
from remake import jobs
from steps import parse_spec
from colorized.model.checkpoint import SamplingSettings

@pytest.mark.parametrize('gain', [1., 1.2])
def test_all_ways_are_settings_and_none_comes_twice(gain):
    "A list of timesteps was one until settings were checked, and a gain of 1 was there twice"
    made = jobs(*map(Path, ('val', 'outside', 'further', 'out')), gain, 0.6)
    seen = 0
    for name,command in made.items():
        words = [*map(str, command)]
        if '--reference' in words: # what comes behind it is measured as well
            del words[words.index('--reference'):words.index('--reference')+2]
        specs = [o for o in words if re.match('(ddim|ddpm|dpmpp)', o)]
        assert len({*specs})==len(specs), name
        for o in specs:
            SamplingSettings().changed(**parse_spec(o.partition('@')[0])[0])
        seen += len(specs)
    assert seen>50

def test_even_steps_are_even():
    changes,*_ = parse_spec('ddim:6even')
    assert changes['steps']==6 and changes['last_step']==pytest.approx(1/6)
    assert 'last_step' not in parse_spec('ddim:6')[0]
