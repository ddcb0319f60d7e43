"benchmarks/steps.py, which measures with this part."
import csv, runpy, sys
from pathlib import Path
import pytest, torch
from colorized.evaluation import report
from .samples import save

@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_steps_measured_otherwise_are_measured_again(tiles, tmp_path, monkeypatch):
    """Figures over another reference, or of other photographs, are other lines of the file; one
    without their column is refused"""
    benchmarks = Path(__file__).parents[2]/'benchmarks'
    monkeypatch.syspath_prepend(str(benchmarks))
    quick = dict( # they take seconds
        two_sample=lambda real, fake, seed: torch.full((len(real),), 0.5),
        fid=lambda *_: 0., delta_e=lambda rgb, _: torch.zeros(len(rgb)))
    for name,func in quick.items(): monkeypatch.setattr(report, name, func)
    true,out = save(tmp_path/'true', tiles[:10]),tmp_path/'steps.csv'
    def steps(*more):
        args = ['gray', '--valid', str(true), '--out', str(out), '--reference', 'gray', *more]
        monkeypatch.setattr(sys, 'argv', ['steps.py', *args])
        runpy.run_path(str(benchmarks/'steps.py'), run_name='__main__')
        return list(csv.DictReader(out.open()))
    assert len(steps())==len(steps())==1
    least = [o['how'].split(', ')[2] for o in steps('--least', '60')]
    assert least==['least 1', 'least 60']
    out.write_text('model,set,spec,extractor,n,top1_agreement_low\n')
    with pytest.raises(SystemExit, match='other columns'): steps()
