"The tutorials as files: where their links go, what is stored in them, and what must not be."
import json, re
from configparser import ConfigParser
from pathlib import Path
import pytest, yaml

root = Path(__file__).resolve().parent.parent
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
order = 'photograph training quality reverse_process'.split()
notebooks = sorted((root/'nbs/tutorials').glob('*.ipynb'))
each = pytest.mark.parametrize('nb', notebooks, ids=lambda o: o.stem)

def text(o): return ''.join(o)
def source(cell): return text(cell['source'])
def cells(nb): return json.loads(nb.read_text('utf-8'))['cells']
def code(nb): return [c for c in cells(nb) if c['cell_type']=='code']
def prose(nb): return [source(c) for c in cells(nb) if c['cell_type']=='markdown']

def printed(cell):
    "What a cell's stored outputs say in words; encoded pictures left out"
    for o in cell.get('outputs', []):
        yield text(o.get('text', ''))
        for k,v in o.get('data', {}).items():
            if k.startswith('text/'): yield re.sub(r'data:[\w/+]+;base64,[\w+/=]+', '', text(v))
        yield ' '.join(o.get('traceback', []))

def pictures(cell):
    data = [d for o in cell.get('outputs', []) for d in o.get('data', {}).items()]
    return [k for k,v in data if k.startswith('image/') or 'src="data:image' in text(v)]

folders = 'work|home|root|tmp|usr|var|opt|mnt|srv|private|Users|pytorch'
places = re.compile(rf'(?<![\w./:~-])/(?:{folders})/[^\s"\')]+|[A-Z]:\\\\?\w+\\')
cards = r'(?:[HABVTL]\d{1,3}|H[12]00|RTX|GTX|Tesla|Quadro|GPUs?|CUDA|cuda)'
units = (r'ms|s|seconds?|min|minutes?|h|hours?|images?/s|photographs?/s|'
         r'(?:images|photographs|lessons) (?:a|per) second|G(?:i)?B|FID|KID')
figures = rf'\d[\d.,]*\s*(?:{units})\b'
def unmarked(paragraph):
    "Does `paragraph` show what a card did without saying which card and when?"
    if not (re.search(rf'\b{cards}\b', paragraph) and re.search(figures, paragraph)): return False
    dated = re.search(r'\b20\d\d-\d\d-\d\d\b', paragraph)
    return not (dated and re.search(r'\b(?:[HABVTL]\d{1,3}|[HA][12]00|RTX|GTX)\b', paragraph))

def test_they_stand_in_the_sidebar_in_order():
    assert [o.stem for o in notebooks]==sorted(order)
    site = yaml.safe_load((root/'_quarto.yml').read_text('utf-8'))['website']
    sections = [o for o in site['sidebar']['contents'] if isinstance(o, dict)]
    shown = next(o['contents'] for o in sections if o.get('section')=='Tutorials')
    hrefs = [o['href'] if isinstance(o, dict) else o for o in shown]
    want = [f'tutorials/{o}.ipynb' for o in order]
    want[1:1] = ['tutorials/browser.qmd', 'tutorials/film.qmd', 'tutorials/desk.qmd']
    assert hrefs==want

@each
def test_colab_opens_and_installs_this_one(nb):
    repo = cfg['git_url'].removeprefix('https://github.com/')
    links = [u for s in prose(nb) for u in re.findall(r'\[Open in Colab\]\(([^)]+)\)', s)]
    there = nb.relative_to(root).as_posix()
    assert links==[f'https://colab.research.google.com/github/{repo}/blob/main/{there}']
    assert links[0] in source(cells(nb)[0])

@each
def test_pip_runs_in_colab_only_and_installs_this_package(nb):
    installing = [source(c) for c in code(nb) if 'pip' in source(c)]
    assert len(installing)==1 and installing[0].count("'pip'")==1
    condition = r"^if (?:colab|'google\.colab' in sys\.modules):\n((?: +.*(?:\n|$))+)\Z"
    block = re.search(condition, installing[0], re.M)
    assert block and 'pip' in block[1], 'pip must run in Colab only'
    assert 'pip' not in installing[0][:block.start()]
    extras = re.search(r'"?colorized(?:\[([\w,]+)\])? @ git\+(\S+?)["\'\s]', block[1])
    assert extras[2]==cfg['git_url']
    assert all(f'{o}_requirements' in cfg for o in (extras[1] or '').split(',') if o)

@each
def test_one_switch(nb):
    everything = '\n'.join(source(c) for c in code(nb))
    switches = re.findall(r'^FULL\s*=\s*(.+?)\s*(?:#.*)?$', everything, re.M)
    assert switches==['torch.cuda.is_available()']
    assert '.cuda(' not in everything

@each
def test_outputs_are_stored(nb):
    assert nb.stat().st_size <= 500_000
    cs = code(nb)
    outputs = [o for c in cs for o in c['outputs']]
    assert not any(o['output_type']=='error' or o.get('name')=='stderr' for o in outputs)
    prints = re.compile(r'^(print\(|for .*:\s*print\()', re.M)
    draws = re.compile(r'^(fig,|show\(|strip\(|grid\(|shown\()', re.M)
    silent = [source(c)[:80] for c in cs if prints.search(source(c)) and not any(printed(c))]
    silent += [source(c)[:80] for c in cs if draws.search(source(c)) and not pictures(c)]
    command = f"nbdev-test {nb.relative_to(root)} --save"
    assert not silent, f"run {command}; nothing is stored for {silent}"
    assert sum(bool(pictures(c)) for c in cs) >= 5

@each
def test_no_place_of_the_machine_that_made_it(nb):
    texts = [s for c in cells(nb) for s in [source(c), *printed(c)]]
    assert not [m for s in texts for m in places.findall(s)]

@each
def test_what_a_card_did_has_date_and_card(nb):
    paragraphs = [p for s in prose(nb) for p in re.split(r'\n\s*\n|\n(?=[|-])', s)]
    bad = [p for p in paragraphs if unmarked(p)]
    said = [s for c in code(nb) for s in printed(c)]
    assert not bad + [s for s in said if unmarked(s) or re.search(r'\bcuda\b', s)]
    # an output that CI cannot make: the words before it must say who did
    for a,b in zip(cells(nb), cells(nb)[1:]):
        if re.search(r'^#\|\s*eval:\s*false', source(b), re.M) and b.get('outputs'):
            assert re.search(r'\b20\d\d-\d\d-\d\d\b', source(a))

@pytest.mark.parametrize('paragraph,bad', [
    ('On a T4 an epoch takes 40 seconds.', True),
    ('A GPU trains 900 photographs a second.', True),
    ('KID falls to 2.1 in 3 hours on a GPU, 2026-11-25.', True),
    ('On a T4 an epoch takes 40 seconds (2026-11-25).', False),
    ('On a GPU there are 14 samples.', False),
    ('Here an epoch takes 4 seconds.', False)])
def test_the_test_sees_unmarked_results(paragraph, bad): assert unmarked(paragraph)==bad

@pytest.mark.parametrize('said', [
    '/home/me/colorized/scan.py:94: UserWarning', "('/tmp/tmpabc/x.jpg')", 'C:\\Users\\me'])
def test_the_test_sees_places(said): assert places.search(said)

@pytest.mark.parametrize('said', [
    'https://example.github.io/home/tmp/x', '../images/a.jpg',
    "files under /content/drive/MyDrive", '1/2/3'])
def test_the_test_takes_other_paths_for_no_places(said): assert not places.search(said)

def site_pages():
    "Pages of the site as its addresses name them, `theory/guidance`"
    files = [o.relative_to(root/'nbs') for o in (root/'nbs').rglob('*')
             if o.suffix in ('.ipynb', '.qmd')]
    return {o.with_name(re.sub(r'^\d+[a-z]?_', '', o.stem)).as_posix() for o in files}

@each
def test_links_to_the_site_lead_somewhere(nb):
    page = re.compile(rf"{re.escape(cfg['doc_url'])}/([\w/]+)\.html")
    links = [m for s in prose(nb) for m in page.findall(s)]
    assert links and not set(links)-site_pages()
    file = re.compile(rf"{re.escape(cfg['git_url'])}/blob/main/([\w./-]+)")
    files = [m for c in cells(nb) for m in file.findall(source(c))]
    assert all((root/o).exists() for o in files)
