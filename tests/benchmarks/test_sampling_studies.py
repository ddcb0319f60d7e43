"What `sampling` tries can be drawn, and is measured once"
from types import SimpleNamespace
import pytest, torch
from benchmarks import sampling
from benchmarks.support.results import Results
from colorized.evaluation.measurement import Measurement
from colorized.model.checkpoint import SamplingSettings

ARGS = dict(folder='in', only=None, also=[], model=None, size='256', least=1, n=9, quick=False,
            extractor='lite1', done=set())

def test_all_studies_are_settings_and_none_comes_twice():
    seen = set()
    for study,settings in sampling.studies().items():
        for setting,changes in settings.items():
            kept = {k: v for k,v in changes.items() if k!='size'}
            made = changes.get('size'),SamplingSettings().changed(**kept)
            assert made not in seen, (study, setting)
            seen.add(made)
    assert len(seen)>20

def test_what_the_settings_are_already_is_left_out():
    args = SimpleNamespace(**ARGS|dict(also=['gain=1.3 steps=3']))
    own = SamplingSettings(sampler='ddim', steps=16)
    found = dict(sampling.todo(args, own))
    assert 'sampler: DDIM, 16 steps' not in found and 'sampler: DDIM, 6 steps' in found
    assert 'steps: 16 steps' not in found and 'noise: temperature 0.5' in found
    assert found['also: gain=1.3 steps=3']==dict(gain=1.3, steps=3)
    args.only = ['wrappers']
    assert {k.split(':')[0] for k,_ in sampling.todo(args, own)}=={'wrappers', 'also'}

class Judge:
    "Of a picture that holds one number, that number"
    def observe(self, rgb): return rgb
    def summarize(self, rgb, observations): return self.compare(observations, 0)
    def compare(self, first, second):
        return dict(kid=Measurement(first-second, 'kid', n=9, low=first-second-1, high=first))

@pytest.fixture
def fake(monkeypatch):
    "Pictures that hold their temperature; the photographs drawn are listed"
    drawn = []
    class Painter:
        def __init__(self, *args): pass
        def __call__(self, temperature=0.6):
            drawn.append(temperature)
            return temperature
    c = SimpleNamespace(sha256='873ad217ee', settings=SamplingSettings())
    monkeypatch.setattr(sampling, 'Painter', Painter)
    monkeypatch.setattr(sampling, 'judge', lambda *_: Judge())
    monkeypatch.setattr(sampling, 'photographs', lambda *_: {})
    monkeypatch.setattr(sampling.Colorizer, 'from_pretrained', lambda *_: c)
    yield drawn
    torch.set_num_threads(1)

def test_differences_are_to_the_defaults_and_nothing_is_measured_twice(fake, tmp_path):
    def run(*noises):
        results = Results(tmp_path/'out.csv', 'abc')
        args = SimpleNamespace(**ARGS|dict(only=['noise'], done=results.done))
        sampling.studies = lambda: dict(noise={f'temperature {o}': dict(temperature=o)
                                               for o in noises})
        found = list(sampling.measure(args))
        for o in found: results.add(o)
        return {(o.experiment, o.metric): o.value for o in found}
    real = sampling.studies
    try:
        first,second,third = run(1.), run(1., 0.5), run(1., 0.5)
    finally: sampling.studies = real
    assert first==pytest.approx({('defaults: none changed', 'kid_x1000'): 0.6,
                                 ('noise: temperature 1.0', 'kid_x1000'): 1.,
                                 ('noise: temperature 1.0', 'kid_x1000_change'): 0.4})
    assert {k for k,_ in second}=={'noise: temperature 0.5'} and not third
    assert fake==[0.6, 1., 0.6, 0.5]
