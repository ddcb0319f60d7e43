"Training, distillation and evaluation from the command line"
import csv, json, subprocess
from dataclasses import replace
import pytest
from PIL import Image
from colorized.cli.main import main
from colorized.inference.colorizer import WEIGHTS
from colorized.model.checkpoint import load_checkpoint, save_checkpoint
from training_helpers import crops

pytestmark = pytest.mark.slow

@pytest.fixture(scope='module')
def photos(tmp_path_factory): return crops(tmp_path_factory.mktemp('data')/'photos', 16)

def options(photos, out):
    args = ['train', '--data', photos, '--valid', photos, '--out', out, '--bs', 8, '--size', 64,
            '--workers', 0, '--threads', 1, '--device', 'cpu']
    return [*map(str, args)]

@pytest.fixture(scope='module')
def trained(photos, tmp_path_factory):
    "A run that measures FID, in a process of its own"
    out = tmp_path_factory.mktemp('runs')/'run'
    done = subprocess.run(['colorized', *options(photos, out), '--photos', '16', '--fid', '1'],
                          capture_output=True, text=True)
    assert done.returncode==0, done.stderr
    return out

@pytest.fixture
def run(capsys):
    "The command: exit code, and what it printed"
    def run(*args):
        capsys.readouterr()
        code = main([*map(str, args)])
        return code,*capsys.readouterr()
    return run

def test_train_and_resume(photos, trained, run):
    log = list(csv.DictReader((trained/'log.csv').open()))
    assert float(log[-1]['fid_lite1'])>0 and 'kid_lite1' in log[-1]
    code,_,err = run(*options(photos, trained), '--photos', 32)
    assert code==1 and 'already holds a run' in err
    code,out,_ = run(*options(photos, trained), '--photos', 32, '--resume')
    assert code==0 and '32 photographs' in out

def test_evaluate_what_was_trained(photos, trained, run, tmp_path):
    gray = tmp_path/'gray'
    gray.mkdir()
    for p in sorted(photos.iterdir()): Image.open(p).convert('L').save(gray/p.name)
    model = trained/'model.safetensors'
    code,out,_ = run('evaluate', '--true', photos, '--model', model, '--steps', 1)
    assert code==0
    assert all(o in out for o in ('FID', 'KID', 'gray', 'mean chroma', 'truth', 'lite1'))
    _,report,_ = run('evaluate', '--true', photos, '--colorized', gray, '--json')
    value = lambda system: json.loads(report)['columns'][system]['colorfulness']['value']
    assert value('colorized')<1<value('truth')
    assert run('evaluate', '--true', photos)[0]==2

WEAK = '--start','default','--weak','default'

@pytest.mark.parametrize('options,said', [
    (['--workers', '-1'], '--workers must be at least 0, got -1'),
    (['--fid', '-1'], '--fid must be at least 0, got -1'),
    (['--guidance', '7'], '--guidance needs --weak'),
    ([*WEAK, '--guidance', 'nan'], '--guidance must be a number of at least 0, got nan'),
    ([*WEAK, '--guidance', '-1'], '--guidance must be a number of at least 0, got -1.0'),
    (['--size', '64', '--set', 'size=32'], '--size and --set size=…: give one of them'),
    (['--device', 'meta'], '--device must be cpu, cuda or mps, got meta')])
def test_options_that_contradict_or_say_nothing(run, tmp_path, options, said):
    "Refused before a photograph is opened"
    code,_,err = run('train', '--data', tmp_path, '--out', tmp_path/'run', '--photos', 4, *options)
    assert code==2 and err.splitlines()==[f'colorized: {err[11:].strip()}'] and said in err

@pytest.mark.parametrize('error,said', [
    ("CUDA out of memory. Tried to allocate 2 GiB\n", 'too little memory: lower --bs or --workers'),
    ("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", '--workers'),
    ('DataLoader worker (pid 7) is killed by signal: Killed. ', '--workers'),
    ('DataLoader worker (pid(s) 7, 8) exited unexpectedly', '--workers')])
def test_too_little_memory_is_one_line(run, monkeypatch, tmp_path, error, said):
    def train(*_, **__): raise RuntimeError(error)
    monkeypatch.setattr('colorized.training.train.train', train)
    code,_,err = run(*options(tmp_path, tmp_path/'run'), '--photos', 4)
    assert code==1 and said in err and len(err.splitlines())==1
    error = 'another error'
    with pytest.raises(RuntimeError, match='another'):
        run(*options(tmp_path, tmp_path/'run'), '--photos', 4)

def test_distill(photos, trained, run, tmp_path):
    "With a teacher, which a resumed run needs as well"
    model,out = trained/'model.safetensors',tmp_path/'taught'
    distill = lambda *more: run(*options(photos, out), '--start', model, *more)
    code,text,_ = distill('--weak', model, '--photos', 16)
    assert code==0 and '16 photographs' in text
    code,_,err = distill('--resume', '--photos', 24)
    assert code==1 and 'needs the same teacher' in err
    code,text,_ = distill('--weak', model, '--resume', '--photos', 24)
    assert code==0 and '24 photographs' in text
    assert load_checkpoint(out/'model.safetensors')[1].training['teacher']['scale']==1.5

def test_start_from_the_packaged_weights(photos, run, tmp_path):
    code,_,_ = run(*options(photos, tmp_path/'begun'), '--start', 'default', '--photos', 16)
    assert code==0
    mine,config,_ = load_checkpoint(tmp_path/'begun/model.safetensors')
    packaged,its_config,_ = load_checkpoint(WEIGHTS/'default.safetensors')
    assert config.sampling==its_config.sampling
    assert all((a-b).abs().max()<0.01 for a,b in zip(mine.parameters(), packaged.parameters()))

def test_teachers_that_do_not_fit(photos, trained, run, tmp_path):
    model,other = trained/'model.safetensors',tmp_path/'other.safetensors'
    net,config,_ = load_checkpoint(model)
    save_checkpoint(other, net, replace(config, schedule={**config.schedule, 'shift': 1.}))
    distill = lambda *more: run(*options(photos, tmp_path/'untaught'), '--photos', 16, *more)
    code,_,err = distill('--start', model, '--weak', other)
    assert code==2 and 'its schedule is' in err
    code,_,err = distill('--weak', model)
    assert code==2 and '--weak needs --start' in err
    assert not (tmp_path/'untaught').exists()
