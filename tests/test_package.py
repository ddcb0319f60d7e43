"Packaging, and the rules of the house that a machine can check."
import ast, json, re, subprocess, sys, tomllib, zipfile
from configparser import ConfigParser
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path
import pytest

root = Path(__file__).resolve().parent.parent
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
lines = lambda k: [o.strip() for o in cfg.get(k, '').splitlines() if o.strip()]

# The table of design: a module may import only from modules above it
order = 'schedule denoiser reverse vlb samplers lab scan encoder unet data learner metrics colorizer batch cli app store fleet iiif_image iiif_manifest iiif'.split()
modules = sorted(o for o in (root/'colorized').glob('*.py') if o.name!='_modidx.py')
notebooks = sorted((root/'nbs').glob('[0-9]*.ipynb'))
heavy = {'fastai', 'torchvision', 'torchmetrics', 'timm', 'gradio'}

def cells(nb): return [''.join(c['source']) for c in json.loads(nb.read_text('utf-8'))['cells']]
def title(nb): return re.match(r'#\s+(.+)', cells(nb)[0])[1]

def imports(module, top=False):
    "(module, names) of every import in the file `module`, or of those at its top level; our own as `.name`"
    tree = ast.parse(module.read_text('utf-8'))
    for o in tree.body if top else ast.walk(tree):
        if isinstance(o, ast.Import): yield from ((a.name, []) for a in o.names)
        elif isinstance(o, ast.ImportFrom):
            names = [a.name for a in o.names]
            full = '.'*o.level + (o.module or '')
            if full in ('.', 'colorized'): yield from (('.'+n, []) for n in names)
            else: yield full, names
def own(name): return name.removeprefix('.').removeprefix('colorized.').split('.')[0] if name.startswith(('.', 'colorized.')) else None

def test_pyproject_agrees_with_settings():
    project = tomllib.loads((root/'pyproject.toml').read_text('utf-8'))['project']
    assert project['name']==cfg['lib_name']
    assert project['urls']==dict(Repository=cfg['git_url'], Documentation=cfg['doc_url'])
    quarto = (root/'_quarto.yml').read_text('utf-8')
    for k,v in dict(title='lib_name', description='description').items(): assert f'  {k}: {cfg[v]}\n' in quarto
    for k,v in {'site-url': 'doc_url', 'repo-url': 'git_url'}.items(): assert f'  {k}: {cfg[v]}\n' in quarto

def test_workflow_tests_the_declared_pythons():
    declared = cfg['pythons'].split()
    assert declared[0]==cfg['min_python']
    assert str(declared).replace("'", '"') in (root/'.github/workflows/test.yml').read_text('utf-8')

@pytest.mark.parametrize('script', lines('console_scripts'))
def test_console_scripts_exist(script):
    name, target = (o.strip() for o in script.split('='))
    assert callable(next(o for o in entry_points(group='console_scripts') if o.name==name and o.value==target).load())

def test_ci_and_readme_run_the_same_check():
    assert (root/'.ci/run').read_text('utf-8').splitlines()[-1].endswith('exec bash tools/check')
    readme = (root/'README.md').read_text('utf-8')
    commands = re.findall(r'```sh\n(.*?)\n```', readme, re.S)
    assert len(commands)==2 and commands[1]=='bash tools/check'
    program, photo = commands[0].split(' && ')[-1].split()  # what the wheel stage must do too
    assert (root/photo).exists() and f'bin/{program}" "$root/{photo}"' in (root/'tools/check').read_text('utf-8')

@pytest.mark.parametrize('nb', notebooks, ids=lambda o: o.name)
def test_chapter_is_one_module_and_listed(nb):
    exported = re.search(r'^#\|\s*default_exp\s+(\S+)', '\n'.join(cells(nb)), re.M)[1]
    assert nb.stem==f'{order.index(exported)+1:02d}_{exported}'
    assert (root/f'colorized/{exported}.py').exists()
    assert f'- {nb.name}\n' in (root/'_quarto.yml').read_text('utf-8'), 'not in the sidebar'
    assert f']({nb.name})' in '\n'.join(cells(root/'nbs/index.ipynb')), 'not in the list of chapters on the home page'

@pytest.mark.parametrize('nb', [*notebooks, root/'nbs/index.ipynb'], ids=lambda o: o.name)
def test_notebook_is_light_and_holds_its_figures(nb):
    assert nb.stat().st_size<500_000
    code = [c for c in json.loads(nb.read_text('utf-8'))['cells'] if c['cell_type']=='code']
    assert not [o for c in code for o in c['outputs'] if o['output_type']=='error'], 'an error is stored'
    if re.search(r'^(?!#\|).*\bplt\.(subplots|plot|semilogy|imshow)', '\n'.join(''.join(c['source']) for c in code), re.M):
        assert [o for c in code for o in c['outputs'] if any(m.startswith('image/') for m in o.get('data', {}))], 'run nbdev-test --save'

def test_every_module_has_its_chapter():
    assert {o.stem for o in modules}-{'__init__'} == {o.stem[3:] for o in notebooks}

@pytest.mark.parametrize('module', modules, ids=lambda o: o.stem)
def test_imports_point_upwards(module):
    for name,names in imports(module, module.stem=='cli'): # a command loads its chapter when it is called, be it a later one
        assert '*' not in names, f'import * from {name}'
        if module.stem=='__init__' or own(name) in (None, '__version__'): continue
        assert own(name) in order[:order.index(module.stem)], f'{module.stem} imports {own(name)}, which is not above it'

@pytest.mark.parametrize('module', modules, ids=lambda o: o.stem)
def test_only_training_imports_fastai(module):
    if module.stem in ('data', 'learner', 'metrics'): return
    assert not {name.split('.')[0] for name,_ in imports(module)} & {'fastai', 'fastcore.all'}

def test_imported_packages_are_required():
    known = packages_distributions()
    normal = lambda o: re.sub(r'[-_.]+', '-', o).lower()
    listed = lambda k: {normal(re.match(r'[\w.-]+', o)[0]) for o in lines(k)}
    runtime = listed('requirements')
    anywhere = runtime.union(*(listed(k) for k in cfg if k.endswith('_requirements') and k!='dev_requirements'))
    for module in modules:
        top = {o for o in ast.parse(module.read_text('utf-8')).body if isinstance(o, (ast.Import, ast.ImportFrom))}
        for o in ast.walk(ast.parse(module.read_text('utf-8'))):
            if not isinstance(o, (ast.Import, ast.ImportFrom)) or (isinstance(o, ast.ImportFrom) and o.level): continue
            for name in [a.name for a in o.names] if isinstance(o, ast.Import) else [o.module]:
                package = name.split('.')[0]
                if package in sys.stdlib_module_names or package=='colorized': continue
                here = runtime if ast.dump(o) in map(ast.dump, top) else anywhere
                assert here & {normal(d) for d in known.get(package, [package])}, f'{module.name} imports {package}: add it to settings.ini'

def loaded(code):
    "Which heavy packages `code` loads in a fresh interpreter"
    code = f"import sys\ntry: exec({code!r})\nexcept SystemExit as e: assert not e.code, e.code\nprint('LOADED', *sys.modules)"
    p = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=root, timeout=300)
    assert p.returncode==0, p.stderr
    return heavy & set(p.stdout.split('LOADED')[-1].split())

def test_import_is_light(): assert not loaded('import colorized')

def test_help_is_light(): assert not loaded("import sys; sys.argv = ['colorized', '--help']; from colorized.cli.main import main; main()")

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    tmp = tmp_path_factory.mktemp('wheel')
    for o in ['settings.ini', 'setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE']: (tmp/o).write_bytes((root/o).read_bytes())
    for o in (root/'colorized').rglob('*'):
        if o.is_file() and '__pycache__' not in o.parts:
            (tmp/o.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            (tmp/o.relative_to(root)).symlink_to(o)
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', tmp/'dist', tmp], check=True, timeout=300)
    return zipfile.ZipFile(next((tmp/'dist').glob('*.whl')))

def test_wheel_contents(wheel):
    packed = {o for o in wheel.namelist() if '.dist-info/' not in o}
    weights = [o for pattern in lines('package_data') for o in (root/'colorized').glob(pattern)]
    assert packed == {o.relative_to(root).as_posix() for o in [*(root/'colorized').glob('*.py'), *weights]}
    assert any(o.endswith('licenses/LICENSE') for o in wheel.namelist())

def test_wheel_metadata(wheel):
    meta = wheel.read(next(o for o in wheel.namelist() if o.endswith('.dist-info/METADATA'))).decode()
    version = re.search(r'__version__ = "(.+)"', (root/'colorized/__init__.py').read_text('utf-8'))[1]
    for o in [f"Name: {cfg['lib_name']}", f'Version: {version}', f"Summary: {cfg['description']}", f"License-Expression: {cfg['license']}",
              f"Requires-Python: >={cfg['min_python']}", *(f"Provides-Extra: {k.removesuffix('_requirements')}" for k in cfg if k.endswith('_requirements'))]: assert f'\n{o}\n' in meta
    required = set(re.findall(r'^Requires-Dist: ([\w-]+)[^;\n]*$', meta, re.M))
    assert required == {re.match(r'[\w-]+', o)[0] for o in lines('requirements')}

def test_wheel_ships_no_photographs(wheel):
    assert not [o for o in wheel.namelist() if o.lower().endswith(('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.webp', '.npy'))]
