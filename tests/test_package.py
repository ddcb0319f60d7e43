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

sys.path.insert(0, str(root/'tools'))
import house
modules = house.modules()
notebooks = sorted((root/'nbs').rglob('[0-9]*.ipynb'))
heavy = {'fastai', 'torchvision', 'torchmetrics', 'timm', 'starlette', 'uvicorn'}
by_module = pytest.mark.parametrize('module', modules)

def cells(nb): return [''.join(c['source']) for c in json.loads(nb.read_text('utf-8'))['cells']]

def imported(file):
    "Packages that a file imports, wherever it does, but for ours"
    for o in ast.walk(ast.parse(file.read_text('utf-8'))):
        if isinstance(o, ast.Import):
            yield from ((a.name.split('.')[0], o) for a in o.names)
        elif isinstance(o, ast.ImportFrom) and not o.level:
            yield o.module.split('.')[0],o

def test_pyproject_agrees_with_settings():
    project = tomllib.loads((root/'pyproject.toml').read_text('utf-8'))['project']
    assert project['name']==cfg['lib_name']
    assert project['urls']==dict(Repository=cfg['git_url'], Documentation=cfg['doc_url'])
    quarto = (root/'_quarto.yml').read_text('utf-8')
    same = {'title': 'lib_name', 'description': 'description',
            'site-url': 'doc_url', 'repo-url': 'git_url'}
    for k,v in same.items():
        assert f'  {k}: {cfg[v]}\n' in quarto

@pytest.mark.skipif(not (root/'.git').exists(), reason='asks git for the files')
def test_author_license_and_addresses_are_settled_in_one_place(tmp_path):
    "Whoever publishes this changes settings.ini and runs tools/identity.py"
    import identity
    for f in identity.tracked(root):
        copy = tmp_path/f.relative_to(root)
        if f.suffix=='.safetensors' or f.is_symlink() or not f.is_file(): continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(f.read_bytes())
    assert not identity.apply(tmp_path, list(tmp_path.rglob('*')))
    settings = (tmp_path/'settings.ini').read_text('utf-8')
    new = dict(author='City Archive', license='MIT', git_url='https://github.com/city/colors',
               doc_url='https://archive.city/colors')
    for k,v in new.items(): settings = re.sub(rf'^{k} = .*$', f'{k} = {v}', settings, flags=re.M)
    (tmp_path/'settings.ini').write_text(settings, 'utf-8')
    assert len(identity.apply(tmp_path, list(tmp_path.rglob('*'))))>50
    left = [f.name for f in tmp_path.rglob('*') if f.is_file() and f.name!='settings.ini'
            and re.search(rf"{cfg['doc_url']}|{cfg['git_url']}|/{identity.slug(cfg['git_url'])}",
                          identity.text_of(f))]
    assert not left
    assert 'name: City Archive' in (tmp_path/'CITATION.cff').read_text('utf-8')

def test_workflow_tests_the_declared_pythons():
    declared = cfg['pythons'].split()
    assert declared[0]==cfg['min_python']
    assert str(declared).replace("'", '"') in (root/'.github/workflows/test.yml').read_text('utf-8')

@pytest.mark.parametrize('script', lines('console_scripts'))
def test_console_scripts_exist(script):
    name,target = (o.strip() for o in script.split('='))
    scripts = entry_points(group='console_scripts')
    found = next(o for o in scripts if o.name==name and o.value==target)
    assert callable(found.load())

def test_ci_and_readme_run_the_same_check():
    assert (root/'.ci/run').read_text('utf-8').splitlines()[-1].endswith('exec bash tools/check')
    readme = (root/'README.md').read_text('utf-8')
    commands = re.findall(r'```sh\n(.*?)\n```', readme, re.S)
    assert len(commands)==2 and commands[1]=='bash tools/check'
    assert commands[0].startswith('git clone --depth 1 '), 'the history is ten times as large'
    program,photo = commands[0].split(' && ')[-1].split() # what the wheel stage must do too
    assert (root/photo).exists()
    assert f'bin/{program}" "$root/{photo}"' in (root/'tools/check').read_text('utf-8')

@pytest.mark.parametrize('nb', notebooks, ids=lambda o: o.name)
def test_chapter_is_one_module_and_listed(nb):
    exported = re.search(r'^#\|\s*default_exp\s+(\S+)', '\n'.join(cells(nb)), re.M)[1]
    place = nb.relative_to(root/'nbs')
    assert '.'.join([*place.parts[:-1], re.sub(r'^\d+[a-z]?_', '', nb.stem)])==exported
    assert exported in modules
    quarto = (root/'_quarto.yml').read_text('utf-8')
    assert f'- {place.as_posix()}\n' in quarto, 'not in the sidebar'

every_notebook = sorted(o for o in (root/'nbs').rglob('*.ipynb')
                        if '.ipynb_checkpoints' not in o.parts)

@pytest.mark.parametrize('nb', every_notebook, ids=lambda o: f'{o.parent.name}/{o.name}')
def test_notebook_is_light_and_holds_its_figures(nb):
    assert nb.stat().st_size<500_000
    code = [c for c in json.loads(nb.read_text('utf-8'))['cells'] if c['cell_type']=='code']
    outputs = [o for c in code for o in c['outputs']]
    assert not [o for o in outputs if o['output_type']=='error'], 'an error is stored'
    shows = lambda c: any(kind.startswith('image/') or '<img' in ''.join(o['data'][kind])
                          for o in c['outputs'] for kind in o.get('data', {}))
    captions = [c for c in code if re.search(r'^#\| fig-cap:', ''.join(c['source']), re.M)]
    assert all(map(shows, captions)), 'a caption without its picture: run nbdev-test --save'
    text = '\n'.join(''.join(c['source']) for c in code)
    if re.search(r'^(?!#\|).*\bplt\.(subplots|plot|semilogy|imshow)', text, re.M):
        kinds = {kind.split('/')[0] for o in outputs for kind in o.get('data', {})}
        assert 'image' in kinds, 'run nbdev-test --save'

def test_every_module_has_its_chapter():
    assert sorted(house.chapters())==sorted(modules)

def test_imports_point_one_way():
    assert not list(house.upward())

def test_an_import_that_runs_upwards_is_seen(tmp_path, monkeypatch):
    "By what the test above asks"
    bad = tmp_path/'bad.py'
    bad.write_text('from ..cli.main import main\n')
    monkeypatch.setattr(house, 'modules', lambda: {**modules, 'photo.lab': bad})
    assert list(house.upward())==['photo.lab imports cli.main, which is not before it']

@by_module
def test_only_training_imports_fastai(module):
    if module.startswith('training.'): return
    assert not {name for name,_ in imported(modules[module])} & {'fastai'}

@by_module
def test_no_stars(module):
    tree = ast.walk(ast.parse(modules[module].read_text('utf-8')))
    assert not [o for o in tree if isinstance(o, ast.ImportFrom) and o.names[0].name=='*']

@by_module
def test_imports_of_our_own_are_relative(module):
    "nbdev makes those at the top so, but not one of several lines whose last is short"
    text = modules[module].read_text('utf-8')
    assert not re.findall(r'^from colorized\.\S+', text, re.M)

def test_the_drawing_of_the_house_is_up_to_date():
    drawn = (root/'CONTRIBUTING.md').read_text('utf-8')
    assert drawn==house.contributing(), 'run python tools/house.py'

def test_lines_statements_and_private_names():
    "In notebooks, tests, tools and benchmarks, by the rules of pyproject.toml"
    options = ['--no-cache', '--output-format=concise']
    p = subprocess.run([sys.executable, '-m', 'ruff', 'check', *options, root],
                       capture_output=True, text=True, timeout=120)
    assert p.returncode==0, p.stdout+p.stderr

# These need an extra as soon as they are imported, and are imported by one module,
# which says what is missing.
NEEDS_EXTRA = {'app.routes': ('app', 'app.server'), 'desk.routes': ('app', 'desk.server'),
               'app.frames': ('film', 'app.clips'), 'app.clips': ('film', 'app.studio')}
# A part that needs its extra as a whole, and who may load it
PARTS_WITH_EXTRA = {'film': ['cli.film', 'app.frames', 'app.clips']}

OPTIONAL = {'iiif_prezi3'} # Used where it is installed: see iiif.choice

def test_imported_packages_are_required():
    known = packages_distributions()
    normal = lambda o: re.sub(r'[-_.]+', '-', o).lower()
    listed = lambda k: {normal(re.match(r'[\w.-]+', o)[0]) for o in lines(k)}
    extras = [k for k in cfg if k.endswith('_requirements') and k!='dev_requirements']
    runtime = listed('requirements')
    anywhere = runtime.union(*map(listed, extras))
    for module,file in modules.items():
        part = module.split('.')[0]
        extra = part if part in PARTS_WITH_EXTRA else NEEDS_EXTRA.get(module, [''])[0]
        at_import = runtime | listed(f'{extra}_requirements') if extra else runtime
        top = [ast.dump(o) for o in ast.parse(file.read_text('utf-8')).body]
        for package,o in imported(file):
            if package in {*sys.stdlib_module_names, *OPTIONAL, 'colorized'}: continue
            here = at_import if ast.dump(o) in top else anywhere
            candidates = {normal(d) for d in known.get(package, [package])}
            assert here & candidates, f'{module} imports {package}: add it to settings.ini'

@pytest.mark.parametrize('module', NEEDS_EXTRA)
def test_only_one_module_loads_what_needs_an_extra(module):
    _,owner = NEEDS_EXTRA[module]
    users = {user for user,file in modules.items()
             for target,_ in house.imports(user, file, modules) if target==module}
    assert users=={owner}

@pytest.mark.parametrize('part', PARTS_WITH_EXTRA)
def test_a_part_with_an_extra_is_loaded_by_who_says_what_is_missing(part):
    users = {user for user,file in modules.items() if user.split('.')[0]!=part
             for target,_ in house.imports(user, file, modules) if target.split('.')[0]==part}
    assert users<=set(PARTS_WITH_EXTRA[part])

LOADED = """
import sys
try:
    exec({!r})
except SystemExit as e:
    assert not e.code, e.code
print('LOADED', *sys.modules)
"""

def loaded(code, packages=heavy):
    "Which of `packages` `code` loads in a fresh interpreter"
    p = subprocess.run([sys.executable, '-c', LOADED.format(code)], capture_output=True, text=True,
                       cwd=root, timeout=300)
    assert p.returncode==0, p.stderr
    return packages & set(p.stdout.split('LOADED')[-1].split())

def test_import_is_light():
    assert not loaded('import colorized')

@pytest.mark.parametrize('module', ['files', 'fleet.store', 'iiif.fetch', 'cli.main'])
def test_modules_that_need_no_torch(module):
    assert not loaded(f'import colorized.{module}', {'torch'})

HELP = """
import sys
sys.argv = ['colorized', '--help']
from colorized.cli.main import main
main()
"""

def test_help_is_light():
    assert not loaded(HELP)

PACKAGING = ['settings.ini', 'setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE']

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    tmp = tmp_path_factory.mktemp('wheel')
    for o in PACKAGING:
        (tmp/o).write_bytes((root/o).read_bytes())
    for o in (root/'colorized').rglob('*'):
        if o.is_file() and '__pycache__' not in o.parts:
            (tmp/o.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            (tmp/o.relative_to(root)).symlink_to(o)
    options = ['-q', '--no-deps', '--no-build-isolation', '-w', tmp/'dist']
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', *options, tmp], check=True, timeout=300)
    return zipfile.ZipFile(next((tmp/'dist').glob('*.whl')))

def test_wheel_contents(wheel):
    packed = {o for o in wheel.namelist() if '.dist-info/' not in o}
    weights = [o for pattern in lines('package_data') for o in (root/'colorized').glob(pattern)]
    files = [*(root/'colorized').rglob('*.py'), *weights]
    assert packed=={o.relative_to(root).as_posix() for o in files}
    assert any(o.endswith('licenses/LICENSE') for o in wheel.namelist())

def test_wheel_metadata(wheel):
    name = next(o for o in wheel.namelist() if o.endswith('.dist-info/METADATA'))
    meta = wheel.read(name).decode()
    init = (root/'colorized/__init__.py').read_text('utf-8')
    expected = {
        'Name': cfg['lib_name'], 'Version': re.search(r'__version__ = "(.+)"', init)[1],
        'Summary': cfg['description'], 'License-Expression': cfg['license'],
        'Requires-Python': f">={cfg['min_python']}"}
    for k,v in expected.items():
        assert f'\n{k}: {v}\n' in meta
    extras = [k.removesuffix('_requirements') for k in cfg if k.endswith('_requirements')]
    assert extras
    for extra in extras:
        assert f'\nProvides-Extra: {extra}\n' in meta
    required = set(re.findall(r'^Requires-Dist: ([\w-]+)[^;\n]*$', meta, re.M))
    assert required=={re.match(r'[\w-]+', o)[0] for o in lines('requirements')}

def test_wheel_ships_no_photographs(wheel):
    pictures = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.webp', '.npy')
    assert not [o for o in wheel.namelist() if o.lower().endswith(pictures)]

def test_the_sidebar_has_one_source():
    assert (root/'nbs/_quarto.yml').read_text('utf-8')==(root/'_quarto.yml').read_text('utf-8')
