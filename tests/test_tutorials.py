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

text = lambda o: ''.join(o)
def cells(nb): return json.loads(nb.read_text('utf-8'))['cells']
def code(nb): return [c for c in cells(nb) if c['cell_type']=='code']
def printed(cell):
    "What a cell's stored outputs say in words; encoded pictures left out"
    for o in cell.get('outputs', []):
        yield text(o.get('text', ''))
        yield from (re.sub(r'data:[\w/+]+;base64,[\w+/=]+', '', text(v)) for k,v in o.get('data', {}).items() if k.startswith('text/'))
        yield ' '.join(o.get('traceback', []))

def pictures(cell):
    return [k for o in cell.get('outputs', []) for k,v in o.get('data', {}).items() if k.startswith('image/') or 'src="data:image' in text(v)]

places = re.compile(r'(?<![\w./:~-])/(?:work|home|root|tmp|usr|var|opt|mnt|srv|private|Users|pytorch)/[^\s"\')]+|[A-Z]:\\\\?\w+\\')
cards = r'(?:[HABVTL]\d{1,3}|H[12]00|RTX|GTX|Tesla|Quadro|GPUs?|CUDA|cuda)'
figures = r'\d[\d.,]*\s*(?:ms|s|seconds?|min|minutes?|h|hours?|images?/s|photographs?/s|(?:images|photographs|lessons) (?:a|per) second|G(?:i)?B|FID|KID)\b'
def unmarked(paragraph):
    "Does `paragraph` show what a card did without saying which card and when?"
    if not (re.search(rf'\b{cards}\b', paragraph) and re.search(figures, paragraph)): return False
    return not (re.search(r'\b20\d\d-\d\d-\d\d\b', paragraph) and re.search(r'\b(?:[HABVTL]\d{1,3}|[HA][12]00|RTX|GTX)\b', paragraph))

def test_there_are_four_in_the_sidebar_in_order():
    assert [o.stem for o in notebooks]==sorted(order)
    sections = yaml.safe_load((root/'_quarto.yml').read_text('utf-8'))['website']['sidebar']['contents']
    shown = next(o['contents'] for o in sections if isinstance(o, dict) and o.get('section')=='Tutorials')
    assert [o['href'] if isinstance(o, dict) else o for o in shown]==[f'tutorials/{o}.ipynb' for o in order]

@each
def test_colab_opens_and_installs_this_one(nb):
    repo = cfg['git_url'].removeprefix('https://github.com/')
    links = [u for c in cells(nb) if c['cell_type']=='markdown' for u in re.findall(r'\[Open in Colab\]\(([^)]+)\)', text(c['source']))]
    assert links==[f'https://colab.research.google.com/github/{repo}/blob/main/{nb.relative_to(root).as_posix()}']
    assert links[0] in text(cells(nb)[0]['source'])
    installs = [l for c in code(nb) for l in text(c['source']).splitlines() if 'pip' in l]
    assert len(installs)==1 and re.match(r"if (colab|'google\.colab' in sys\.modules): ", installs[0]), 'pip must run in Colab only'
    extras = re.search(r'"colorized(?:\[([\w,]+)\])? @ git\+(\S+?)"', installs[0])
    assert extras[2]==cfg['git_url'] and all(f'{o}_requirements' in cfg for o in (extras[1] or '').split(',') if o)

@each
def test_one_switch(nb):
    source = '\n'.join(text(c['source']) for c in code(nb))
    assert re.findall(r'^FULL\s*=\s*(.+?)\s*(?:#.*)?$', source, re.M)==['torch.cuda.is_available()']
    assert '.cuda(' not in source

@each
def test_outputs_are_stored(nb):
    assert nb.stat().st_size <= 500_000
    cs = code(nb)
    assert not any(o['output_type']=='error' or o.get('name')=='stderr' for c in cs for o in c['outputs'])
    silent = [text(c['source'])[:80] for c in cs if re.search(r'^(print\(|for .*: print\()', text(c['source']), re.M) and not any(printed(c))]
    silent += [text(c['source'])[:80] for c in cs if re.search(r'^(fig,|show\(|strip\(|grid\(|shown\()', text(c['source']), re.M) and not pictures(c)]
    assert not silent, f"run nbdev-test {nb.relative_to(root)} --save; nothing is stored for {silent}"
    assert sum(bool(pictures(c)) for c in cs) >= 5

@each
def test_no_place_of_the_machine_that_made_it(nb):
    found = [m for c in cells(nb) for s in [text(c['source']), *printed(c)] for m in places.findall(s)]
    assert not found

@each
def test_what_a_card_did_has_date_and_card(nb):
    paragraphs = [p for c in cells(nb) if c['cell_type']=='markdown' for p in re.split(r'\n\s*\n|\n(?=[|-])', text(c['source']))]
    bad = [p for p in paragraphs if unmarked(p)]
    said = [s for c in code(nb) for s in printed(c) if unmarked(s) or re.search(r'\bcuda\b', s)]
    assert not bad+said
    for a,b in zip(cells(nb), cells(nb)[1:]): # an output that CI cannot make: the words before it must say who did
        if re.search(r'^#\|\s*eval:\s*false', text(b['source']), re.M) and b.get('outputs'): assert re.search(r'\b20\d\d-\d\d-\d\d\b', text(a['source']))

@pytest.mark.parametrize('paragraph,bad', [
    ('On a T4 an epoch takes 40 seconds.', True), ('A GPU trains 900 photographs a second.', True), ('KID falls to 2.1 in 3 hours on a GPU, 2026-11-25.', True),
    ('On a T4 an epoch takes 40 seconds (2026-11-25).', False), ('On a GPU there are 14 samples.', False), ('Here an epoch takes 4 seconds.', False)])
def test_the_test_sees_unmarked_results(paragraph, bad): assert unmarked(paragraph)==bad

def test_the_test_sees_places():
    for s in ('/work/main/colorized/scan.py:94: UserWarning', "('/tmp/tmpabc/x.jpg')", 'C:\\Users\\me'): assert places.search(s), s
    for s in ('https://example.github.io/home/tmp/x', '../images/a.jpg', "files under /content/drive/MyDrive", '1/2/3'): assert not places.search(s), s

@each
def test_links_to_the_site_lead_somewhere(nb):
    pages = {re.sub(r'^\d+[a-z]?_', '', o.stem) for o in (root/'nbs').iterdir() if o.suffix in ('.ipynb','.qmd')} | {f'tutorials/{o.stem}' for o in notebooks}
    links = [m for c in cells(nb) if c['cell_type']=='markdown' for m in re.findall(rf"{re.escape(cfg['doc_url'])}/([\w/]+)\.html", text(c['source']))]
    assert links and not set(links)-pages
    files = [m for c in cells(nb) for m in re.findall(rf"{re.escape(cfg['git_url'])}/blob/main/([\w./-]+)", text(c['source']))]
    assert all((root/o).exists() for o in files)
