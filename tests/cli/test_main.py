"What is said when a command makes no sense, how soon help comes, and what the entry point does"
import json, os, re, shutil, subprocess, sys
from pathlib import Path
import pytest
from fastcore.script import anno_parser
from colorized import __version__
from colorized.cli import main as entry

HEAVY = 'torch', 'torchvision', 'torchmetrics', 'fastai', 'numpy', 'PIL', 'matplotlib', 'ray'
TRAIN = 'train', '--data', '{folder}', '--out', '{folder}/run'
EVALUATE = 'evaluate', '--true', '{folder}'
WRONG = [([], 'photograph'), (['{a}', '--samples', '0'], '--samples'),
    (['{a}', '--hint', 'red', '--steps', '1'], "'red'"),
    (['{a}', '--hint', 'first', '--hint', '1,1,red', '--steps', '1'], "'first'"),
    (['{a}', '--hint', '1,1,red', '--hints', 'b.png'], '--hints'), (['{folder}'], '--out'),
    *[(['{a}', '--hint', o, '--steps', '1'], o) for o in ('1,1,255,0', '1,1', '1,1,red,wide',
        '1,1,0,0,255,3,3', '1,1,255')],
    *[(['{a}', '--hint', f'1,2,{o}', *more], f'--hint 1,2,{o}: {said} is no color; write an')
      for o,said in {'crimsonish': "'crimsonish'", '300,0,0': '300,0,0'}.items()
      for more in ([], ['--dry-run'])],
    *[(['{a}', '--out', f'{{folder}}/{o}'], f'no format has the suffix {Path(o).suffix} (known')
      for o in ('e.xyz', 'e.jpgg', 'x.tif.bak')],
    (['{folder}', '--out', '{folder}/out', '--workers', '-1'], '--workers must be at least 0'),
    (['{a}', '--hint', '-5,10,red'], 'expected one argument (write --hint=-5,10,red)'),
    (['{a}', '--bits', '12'], '--bits'), (['{a}', '--format', 'gif'], '--format'),
    (['{a}', '--frobnicate'], '--frobnicate'), (['{a}', '--threads', '-1'], 'threads'),
    (['{a}', '--quality', '0'], '--quality'), (['{a}', '--quality', '101'], '--quality'),
    (['{a}', '{b}', '--out', '{folder}/one.png'], 'one.png'),
    (['{folder}', '--out', '{folder}/one.png'], 'one.png'),
    (['{folder}', '--out', '{folder}/out', '--hint', '1,1,red'], '--hint'),
    (['{folder}', '--out', '{folder}/out', '--hints', 'b.png'], '--hints'),
    (['{folder}', '--out', '{folder}/out', '--samples', '2'], '--samples'),
    (['{a}', '--out', '{folder}/one.png', '--format', 'jpeg'], '--format'),
    (['{a}', '--out', '{folder}/one.bmp'], '.bmp'),
    (['{a}', '--out', '{folder}/one.heic'], '.heic'),
    ([*TRAIN, '--device', 'toaster'], 'toaster'), ([*TRAIN, '--threads', '0'], '--threads'),
    ([*TRAIN, '--weak', 'worse.safetensors'], '--start'), ([*TRAIN, '--set', 'lr'], '--set'),
    *[([*TRAIN, f'--{o}', n], o) for o,n in dict(photos='0', hours='0', epochs='-1', bs='0',
        size='0', lr='nan').items()], ([*TRAIN, '--photos', '-5'], '--photos'),
    (EVALUATE, '--model'), ([*EVALUATE, '--model', 'default', '--samples', '0'], '--samples'),
    ([*EVALUATE, '--model', 'default', '--colorized', '{folder}'], 'either'),
    ([*EVALUATE, '--model', 'default', '--other', '{folder}'], '--other'),
    *[([*EVALUATE, '--colorized', '{folder}', f'--{o}', v], f'--{o} needs --model') for o,v in dict(
        samples='3', steps='0', temperature='-4', seed='1', set='foo=1').items()],
    *[([*EVALUATE, '--model', 'default', f'--{o}', '1', '--set', f'{o}=1'], f'--{o} and --set {o}')
      for o in ('steps', 'temperature')],
    (['{a}', '--temperature', '0.5', '--set', 'temperature=1'], '--temperature and --set'),
    *[([*EVALUATE, '--model', 'default', '--set', f'{o}=512'], o)
      for o in ('working_size', 'min_size')],
    (['iiif', 'manifest.json'], '--out'), (['iiif', 'm', '--out', '{folder}', '--threads', '0'],
        '--threads'), (['fleet', '--out', '{folder}/out'], 'a folder, a pattern'),
    (['fleet', '{folder}', '--out', '{folder}/out', '--storage', 'anon'], '--storage'),
    (['app', '--threads', '0'], '--threads'), (['info', '--frobnicate'], '--frobnicate')]
IMPOSSIBLE = [(['{a}', 'missing.jpg'], 'missing.jpg'), (['{a}', '--steps', '0'], 'steps'),
    (['{a}', '--steps', '1001'], 'steps'), (['{a}', '--saturation', '-1'], 'saturation'),
    (['{a}', '--seed', str(2**64)], 'seed'), (['{a}', '--hint', '99,2,red'], '99'),
    (['{a}', '--hint', '1,2,red,-1'], 'radius'), (['{a}', '--hint', '1,2,red,nan'], 'radius'),
    (['{a}', '--hints', 'missing.png'], 'missing.png'),
    (['{a}', '--out', '{folder}/none/a.png'], 'none does not exist'),
    (['{a}', '--source-type', 'two words'], '--source-type must be a term'),
    (['fleet', '{a}', '--out', '{folder}/o', '--source-type', 'x'], '--source-type must be a term'),
    (['{a}', '--source-type', 'digitalCapture'], 'compositeSynthetic, composite'),
    (['{a}', '--model', 'missing.safetensors'], 'missing.safetensors'),
    *[([*EVALUATE, '--model', 'default', f'--{o}', v], f'{o} must') for o,v in dict(
        temperature='nan', steps='1001', seed=str(2**64)).items()],
    (['{a}', '--model', '{a}'], 'a.png'), (['app', '--max-photos', '0'], 'photos'),
    (['app', '--port', '0'], '1..65535'), (['info', '--model', 'missing.safetensors'], 'missing')]

def files(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob('*') if p.is_file())

@pytest.mark.parametrize('args,word', WRONG)
def test_wrong_use_is_2(args, word, scans, main, tmp_path):
    for o in 'ab':
        shutil.copy(scans/'icon.png', tmp_path/f'{o}.png')
    names = dict(a=tmp_path/'a.png', b=tmp_path/'b.png', folder=tmp_path)
    code,out,err = main(*[o.format(**names) for o in args])
    assert code==2 and word in err and not out
    assert files(tmp_path)==['a.png', 'b.png'] and len(list(tmp_path.iterdir()))==2

@pytest.mark.parametrize('args,word', IMPOSSIBLE)
def test_impossible_wishes_are_1(args, word, scans, main, tmp_path):
    shutil.copy(scans/'icon.png', tmp_path/'a.png')
    code,out,err = main(*[o.format(a=tmp_path/'a.png', folder=tmp_path) for o in args])
    assert code==1 and word in err and not out and files(tmp_path)==['a.png']

@pytest.mark.parametrize('error,code,said', [(entry.UsageError("say more"), 2, "say more"),
    (KeyboardInterrupt(), 130, "interrupted"), (OSError("disk"), 1, "disk"),
    (OSError("a\x1b[31m\n.jpg"), 1, r"a\x1b[31m\n.jpg"),
    (ValueError("no"), 1, "no"), (ImportError("pip"), 1, "pip"),
    (FloatingPointError("nan"), 1, "nan"), (MemoryError(), 1, "there is too little memory"),
    (MemoryError("Unable to allocate 9 GiB"), 1, "Unable to allocate 9 GiB")])
def test_errors_become_a_line_and_a_code(error, code, said, main, monkeypatch):
    def fail():
        raise error
    monkeypatch.setitem(entry.COMMANDS, 'info', fail)
    assert main('info')==(code, '', f'colorized: {said}\n')

def test_our_own_mistakes_are_not_hidden(main, monkeypatch):
    monkeypatch.setitem(entry.COMMANDS, 'info', lambda: {}['mistake'])
    with pytest.raises(KeyError):
        main('info')

@pytest.mark.parametrize('answer', [0, 1, None])
def test_a_command_decides_its_code(answer, main, monkeypatch):
    monkeypatch.setitem(entry.COMMANDS, 'info', lambda: answer)
    assert main('info')==(answer or 0, '', '')

def test_what_is_named_is_passed_on(main, monkeypatch):
    "Positional names and options of a command, the rest untouched"
    seen = []
    def fleet(*source:str, out:str=None, audit:bool=False):
        seen.append((source, out, audit))
    monkeypatch.setitem(entry.COMMANDS, 'fleet', fleet)
    assert main('fleet', 'a', 'b', '--out', 'c', '--audit')[0]==0
    assert seen==[(('a', 'b'), 'c', True)]

@pytest.mark.parametrize('args,names,seed', [
    (['a.jpg', '--seed', '1', 'b.jpg'], ('a.jpg', 'b.jpg'), 1),
    (['--seed', '1', 'a.jpg', '--overwrite', 'b.jpg', 'c.jpg'], ('a.jpg', 'b.jpg', 'c.jpg'), 1),
    (['a.jpg', 'b.jpg', '--seed', '1'], ('a.jpg', 'b.jpg'), 1),
    (['--seed', '1', '--', '-a.jpg', '--b.jpg'], ('-a.jpg', '--b.jpg'), 1),
    (['--', '-a.jpg'], ('-a.jpg',), 0), ([], (), 0)])
def test_names_may_stand_between_options(args, names, seed, main, monkeypatch):
    seen = []
    def fleet(*source:str, seed:int=0, overwrite:bool=False):
        seen.append((source, seed))
    monkeypatch.setitem(entry.COMMANDS, 'fleet', fleet)
    assert main('fleet', *args)[0]==0 and seen==[(names, seed)]

def test_a_file_that_begins_with_a_dash_is_told_how_to_be_named(main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main('-dash.jpg')[2].endswith('unrecognized arguments: -dash.jpg\n')
    (tmp_path/'-dash.jpg').touch()
    code,_,err = main('-dash.jpg')
    assert code==2 and err.endswith('-dash.jpg (a file? write ./-dash.jpg)\n')

@pytest.mark.parametrize('buffered', [True, False])
@pytest.mark.parametrize('args', [['info'], ['--help'], ['a.png', '--dry-run']])
def test_whoever_stops_reading_is_not_told(args, buffered, scans, tmp_path):
    "As `head -1` does; the exit code is that of a program ended by the signal"
    shutil.copy(scans/'icon.png', tmp_path/'a.png')
    reader,writer = os.pipe()
    os.close(reader)
    flags = [] if buffered else ['-u']
    env = {k: v for k,v in os.environ.items() if k!='PYTHONUNBUFFERED'}
    r = subprocess.run([sys.executable, *flags, '-m', 'colorized', *args], env=env, cwd=tmp_path,
        stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    said_by_parser = args==['--help'] and not buffered # which does not notice
    assert (r.returncode, r.stderr)==(0 if said_by_parser else 141, '')

# ---- help ----
@pytest.mark.parametrize('name', [[], *[[o] for o in entry.COMMANDS]])
def test_help_loads_nothing_heavy(name):
    code = f"""if 1:
        import sys
        from colorized.cli.main import main
        try: main([*sys.argv[1:], '--help'])
        except SystemExit as e: assert e.code==0
        print([o for o in {HEAVY} if o in sys.modules], file=sys.stderr)"""
    r = subprocess.run([sys.executable, '-c', code, *name], capture_output=True, text=True)
    assert r.stderr.strip()=='[]' and f"usage: {' '.join(['colorized', *name])} [" in r.stdout

def test_help_answers_at_once(command):
    "Within 0.5 s of an empty Python, of processor time, which other programs change little"
    resource = pytest.importorskip('resource')
    def seconds(*cmd):
        used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        start = used()
        r = subprocess.run(cmd, capture_output=True, text=True, check=True)
        return used()-start,r.stdout
    ours,python = [],[]
    for _ in range(3):
        python.append(seconds(sys.executable, '-c', 'pass')[0])
        took,text = seconds(command, '--help')
        ours.append(took)
    assert min(ours)-min(python)<=0.5, (ours, python)
    options = 'out samples seed steps hint saturation uncertainty format bits'.split()
    commands = [f'colorized {o}' for o in entry.COMMANDS]
    for word in ['photo.jpg', *[f'--{o}' for o in options], *commands]:
        assert word in text, word

@pytest.mark.parametrize('name', [[], ['iiif'], ['fleet']])
def test_help_names_the_default_steps(run, name):
    "Written out there, since the constant would cost the import of torch"
    from colorized.model.checkpoint import SamplingSettings
    text = ' '.join(run(*name, '--help').stdout.split())
    assert re.search(rf'--steps .*?\(default: {SamplingSettings().steps}\)', text)

@pytest.mark.parametrize('func', [entry.color, *entry.COMMANDS.values()])
def test_help_does_not_ask(func):
    "What an option does, not whether"
    for action in anno_parser(func)._actions:
        assert not re.search(r'\?( |$)', action.help or ''), action.help

def test_version_and_info(run):
    assert run('--version').stdout==f'colorized {__version__}\n'
    module = [sys.executable, '-m', 'colorized']
    said = subprocess.run([*module, '--version'], capture_output=True, text=True)
    assert said.stdout==run('--version').stdout
    assert subprocess.run([*module, 'nothing.jpg'], capture_output=True).returncode==1
    about = json.loads(run('info', '--json').stdout)
    assert about['version']==__version__ and len(about['sha256'])==64
    assert about['device'] in ('cpu','cuda','mps')
    assert about['model']=='colorized-default' and about['parameters']>1e5
    assert '\nlast training run {' in run('info').stdout # a network may have had several
