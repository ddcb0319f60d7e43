"The one command for all benchmarks"
import csv, re, subprocess, sys
from pathlib import Path
import pytest
from benchmarks.run import main, measured
from benchmarks.support.results import COLUMNS, Figure, Results

root = Path(__file__).resolve().parent.parent
RUN = root/'benchmarks/run.py'
NAMES = ('backends corpora film fleet hints kills others page quality sampling scan speed '
         'training_speed').split()

def run(*args, code=0):
    command = [sys.executable, RUN, *map(str, args)]
    p = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert p.returncode==code, p.stderr
    return p

def test_each_has_a_name_and_a_line():
    lines = run('--list').stdout.splitlines()
    names = [o.split()[0] for o in lines]
    assert {*NAMES}<={*names} and len(names)<=14
    for o in lines: assert re.fullmatch(r'\w+ +[A-Z].{20,}[^.]', o) and len(o)<=105, o

def test_an_unknown_name_is_refused_with_those_that_are_known():
    said = run('sampler', code=2).stderr
    assert "'sampler'" in said and all(o in said for o in NAMES)

def test_what_is_missing_is_said_in_one_line():
    for args,word in ((['scan', '--wapiti', 'none'], 'pip install wapiti3'),
                      (['quality'], 'a folder of color photographs'), (['film'], '--quick')):
        said = run(*args, code=2).stderr
        assert word in said and len(said.splitlines())==1, said

@pytest.mark.parametrize('name', ['others', 'corpora'])
def test_a_quick_run_leaves_rows_of_the_schema(name, tmp_path):
    p = run(name, '--quick', '--csv', tmp_path/'out.csv')
    assert 'the figures mean little' in p.stderr
    head,*rows = csv.reader((tmp_path/'out.csv').open())
    assert head==COLUMNS and len(rows)==len(p.stdout.splitlines())>9
    for experiment,_,n,_,value,low,high,*_ in rows:
        assert experiment.startswith(f'{name}: ') and int(n)>0 and float(value)>-9
        assert (low=='')==(high=='')

def test_a_file_with_other_columns_is_refused(tmp_path):
    (tmp_path/'out.csv').write_text('a,b\n')
    assert 'other columns' in run('others', '--quick', '--csv', tmp_path/'out.csv', code=2).stderr
    assert (tmp_path/'out.csv').read_text()=='a,b\n'

def test_what_a_benchmark_returns_is_the_status(tmp_path, capsys):
    "and what it measured before is in the file"
    def figures(status):
        yield Figure('a: b', 'c', 1, 'd', 2.)
        return status
    for status,want in (None, 0), (0, 0), (1, 1):
        assert measured(figures(status), Results(tmp_path/'out.csv', ''), 'a machine')==want
    assert capsys.readouterr().err=='a machine\n'*3
    assert len(Results(tmp_path/'out.csv').read())==3

def test_a_package_that_is_missing_is_named_and_a_fault_of_ours_is_not_hidden(monkeypatch, capsys):
    def without(name):
        def run(*_): raise ModuleNotFoundError(name=name)
        monkeypatch.setattr('benchmarks.run.run', run)
        return main(['film'])
    assert without('av.codec')==2
    assert capsys.readouterr().err=="run.py film: needs the Python package av.codec: pip install " \
                                    "-e '.[bench,dev]'\n"
    with pytest.raises(ModuleNotFoundError): without('benchmarks.support.nothing')

def test_results_that_are_kept_have_the_schema():
    head,*rows = csv.reader((root/'benchmarks/results.csv').open())
    assert head==COLUMNS and len(rows)>100
    for experiment,*_,value,_,_,_,commit in rows:
        assert ': ' in experiment and float(value)>=0 and re.fullmatch('[0-9a-f]{7}', commit)

def test_no_script_is_long():
    for o in (root/'benchmarks').rglob('*.py'):
        assert len(o.read_text().splitlines())<=250, o
