"The prose of all pages: American, in words that a newcomer knows, in short sentences and pages."
import csv, json, re, subprocess, sys
from pathlib import Path
import pytest

root = Path(__file__).resolve().parent.parent
CARD = root/'colorized/weights/MODEL_CARD.md'
MOST_WORDS,MOST_AVERAGE = 2500,25 # of a page, and of its sentences
LONG_DERIVATIONS = 2 # so many pages of the theory may have more words
# Pages that are a list, or open in a way of their own
NO_OPENING = {'index.ipynb', 'changelog.qmd', 'model_card.qmd', 'notation.qmd'}

def cells(nb, kind='markdown'):
    "The sources of the cells of one kind"
    found = json.loads(nb.read_text('utf-8'))['cells']
    return [''.join(c['source']) for c in found if c['cell_type']==kind]

def source(page):
    "What stands on a page, without code and its outputs"
    if page.name=='model_card.qmd': return CARD.read_text('utf-8')
    if page.suffix=='.ipynb': return '\n\n'.join(cells(page))
    return page.read_text('utf-8')

NOT_PROSE = [
    r'\A---\n.*?\n---\n', r'```.*?```', r'^\|.*$', r'^:::.*$', r'^    .*$', r'^- [\w-]+: .*$',
    r'\{\{<.*?>\}\}', r'<[^>]+>']

def prose(text):
    "Sentences alone: no tables, no code, and X for each formula or name in code"
    for pattern in NOT_PROSE:
        text = re.sub(pattern, '', text, flags=re.M|re.S if '.*?' in pattern else re.M)
    text = re.sub(r'\$\$.*?\$\$|\$[^$]+\$|`[^`]+`', 'X', text, flags=re.S)
    return re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', text)

BLOCK = re.compile(r'\n\s*\n|\n(?=[-*#>] |\d+\. )')
END = re.compile(r'(?<=[.!?:;])["”)*]*\s+(?=["“(*]*[A-ZΔ0-9`])')

def sentences(text):
    "Cut at the ends of paragraphs, of items of lists and of sentences"
    blocks = (' '.join(re.sub(r'^([-*>#]+|\d+\.) ', '', o.strip()).split())
              for o in BLOCK.split(text))
    return [s for o in blocks for s in END.split(o) if len(s.split())>2]

def average(text):
    "Words of a sentence"
    found = sentences(text)
    return sum(len(s.split()) for s in found)/max(1, len(found))

def forbidden():
    "The list of words: {pattern: what to write instead}"
    lines = (root/'tools/words.txt').read_text('utf-8').splitlines()
    pairs = [o.split(' -> ') for o in lines if o and not o.startswith('#')]
    pattern = lambda word: re.compile(rf'\b{re.escape(word)}\b'.replace(r'\(s\)\b', r's?\b'), re.I)
    return {pattern(word): better for word,better in pairs}

def unknown_words(text):
    "What the list does not want, and what it suggests"
    flat = ' '.join(text.split())
    return [f'{m[0]!r} (say: {better})' for pattern,better in forbidden().items()
            for m in pattern.finditer(flat)]

pages = {o.relative_to(root/'nbs').as_posix(): o
         for suffix in ('ipynb', 'qmd') for o in sorted((root/'nbs').rglob(f'*.{suffix}'))
         if '.ipynb_checkpoints' not in o.parts}
texts = {name: prose(source(page)) for name,page in pages.items()}

def test_no_private_words():
    bad = [f'{name}: {word}' for name,text in texts.items() for word in unknown_words(text)]
    assert not bad, '\n'.join(bad)

def test_sentences_are_short():
    bad = [f'{name}: {average(text):.1f} words a sentence' for name,text in texts.items()
           if average(text)>=MOST_AVERAGE]
    assert not bad, '\n'.join(bad)

def test_pages_are_short():
    long = {name: len(text.split()) for name,text in texts.items()
            if len(text.split())>MOST_WORDS and name!='changelog.qmd'}
    theory = sorted((n for name,n in long.items() if name.startswith('theory/')), reverse=True)
    others = {name: n for name,n in long.items() if not name.startswith('theory/')}
    assert not others and len(theory)<=LONG_DERIVATIONS, str(long)

def test_a_stranger_reads_the_readme_in_a_minute():
    "What stands before the first heading, and the whole, with pictures' words and commands"
    text = (root/'README.md').read_text('utf-8')
    first = text.split('\n## ')[0]
    assert len(first.split())<=160
    assert len(text.split())<=700
    assert '](' in first and first.count('```sh')==2, 'commands and links come first'

MOST_EXPERIMENTS,MOST_WORDS_OF_ONE = 6,1200 # each page has one question

def test_experiments_are_few_and_short():
    experiments = [o for o in texts if o.startswith('experiments/')]
    assert 0<len(experiments)<=MOST_EXPERIMENTS, experiments
    words = {name: len(texts[name].split()) for name in [*experiments, 'results.qmd']}
    assert max(words.values())<=MOST_WORDS_OF_ONE, words

RESULTS = sorted((root/'nbs/experiments').rglob('*.csv'))
COLUMNS = 'experiment,set,n,metric,value,low,high,weights,commit'.split(',')

def faults(row):
    "What is wrong with one line of results"
    if set(row)!=set(COLUMNS) or None in row.values(): return 'other columns'
    if ': ' not in row['experiment'] or not row['set'] or not row['metric']: return 'names'
    if not re.fullmatch('[1-9][0-9]*', row['n']): return 'n'
    if not re.fullmatch('([0-9a-f]{8})?', row['weights']): return 'weights'
    if not re.fullmatch('([0-9a-f]{7})?', row['commit']): return 'commit'
    if (row['low']=='')!=(row['high']==''): return 'half an interval'
    try:
        value = float(row['value'])
        low,high = float(row['low'] or value),float(row['high'] or value)
    except ValueError: return 'no number'
    return '' if low<=value<=high and abs(value)<float('inf') else 'interval'

@pytest.mark.parametrize('file', RESULTS, ids=lambda o: o.name)
def test_results_have_one_schema(file):
    with file.open(encoding='utf-8', newline='') as f:
        reader = csv.DictReader(f)
        rows = list(reader)
    assert reader.fieldnames==COLUMNS and len(rows)>50
    bad = [f'line {i}: {faults(o)}' for i,o in enumerate(rows, 2) if faults(o)]
    assert not bad, '\n'.join(bad)
    seen = [tuple(o[k] for k in ('experiment','set','metric','weights')) for o in rows]
    twice = {o for o in seen if seen.count(o)>1} if len(set(seen))<len(seen) else set()
    assert not twice, twice

def test_each_page_of_experiments_has_its_results():
    assert [o.stem for o in RESULTS]==sorted(
        Path(o).stem for o in pages if o.startswith('experiments/'))

GOOD = dict(zip(COLUMNS, 'steps: ddim 6,validation,250,kid,1.2,1,1.5,1789bec4,5f5bfaf'.split(',')))

@pytest.mark.parametrize('change', [
    dict(n='0'), dict(n='2.5'), dict(n=''), dict(value=''), dict(value='1,2'), dict(low='1.3'),
    dict(high='1.1'), dict(low=''), dict(value='nan'), dict(value='inf', low='', high=''),
    dict(weights='1789'), dict(commit='main'), dict(experiment='steps'), dict(metric=''),
    dict(more='')], ids=str)
def test_a_fault_in_the_results_is_seen(change):
    assert not faults(GOOD) and not faults(GOOD | dict(low='', high='', weights='', commit=''))
    assert faults(GOOD | change)

def test_the_model_card_is_short():
    assert len(CARD.read_text('utf-8').split())<=1500

RESULT = '- **One result:**'
NUMBER = r'(?<![\w.])\d+\.?\d*(?:e-?\d+)?'

def numbers(nb):
    "The numbers with decimals of a notebook's result, and all those of its code, outputs and text"
    told,seen = [],[]
    for cell in json.loads(nb.read_text('utf-8'))['cells']:
        lines = ''.join(cell['source']).split('\n')
        told += [o for o in lines if o.startswith(RESULT)]
        seen += [o for o in lines if not o.startswith(RESULT)]
        for o in cell.get('outputs', []):
            texts = [o.get('text', ''), *(v for k,v in o.get('data', {}).items() if 'text' in k)]
            seen += [''.join(v) for v in texts]
    told = re.sub(r'\]\([^)]*\)', '', ' '.join(told)) # no addresses
    return re.findall(r'\d+\.\d+', told),[float(o) for v in seen for o in re.findall(NUMBER, v)]

@pytest.mark.parametrize('name', sorted(k for k,v in pages.items() if v.suffix=='.ipynb'))
def test_the_result_is_one_of_the_page(name):
    "When outputs are made anew, the summary above them is easily left behind"
    told,seen = numbers(pages[name])
    missing = [o for o in told if not any(f"{n:.{len(o.split('.')[1])}f}"==o for n in seen)]
    assert not missing, f"{name}: {missing} come from nowhere on the page"

OPENING = ['After this (?:page|chapter)', 'It builds on', 'One result']

@pytest.mark.parametrize('name', sorted(pages.keys()-NO_OPENING))
def test_page_opens_with_what_one_learns(name):
    beginning = source(pages[name])[:1500]
    missing = [o for o in OPENING if not re.search(rf'^- \*\*{o}', beginning, re.M)]
    assert not missing

def figures(nb):
    "Cells that show a picture, and the words below each"
    found = json.loads(nb.read_text('utf-8'))['cells']
    for i,c in enumerate(found):
        outputs = [(kind, ''.join(data)) for o in c.get('outputs', [])
                   for kind,data in o.get('data', {}).items() if isinstance(data, (str, list))]
        if any(kind.startswith('image/') or '<img' in data for kind,data in outputs):
            below = ''.join(found[i+1]['source']) if i+1<len(found) else ''
            yield ''.join(c['source']),below

@pytest.mark.parametrize('name', [o for o in pages if o.endswith('.ipynb')])
def test_figures_say_what_to_see(name):
    bad = [code[-80:] for code,below in figures(pages[name])
           if '#| fig-cap:' not in code and 'hat to see' not in below[:200]]
    assert not bad or name=='index.ipynb'

def test_the_glossary_has_its_terms_and_pages_link_to_it():
    terms = re.findall(r'^### (.+)$', (root/'nbs/glossary.qmd').read_text('utf-8'), re.M)
    assert len(terms)>=40 and len(set(terms))==len(terms)
    linking = [o for o in pages.values() if re.search(r'glossary\.(?:qmd|html)', source(o))]
    assert len(linking)>20

def words_of_the_repository():
    "What people read or write: {file name: text}; of notebooks the sources"
    for name,page in pages.items():
        if page.suffix=='.ipynb':
            yield f'nbs/{name}.txt','\n\n'.join(cells(page)+cells(page, 'code'))
        else:
            yield f'nbs/{name}',page.read_text('utf-8')
    for pattern in ['*.md', 'settings.ini', 'tests/**/*.py', 'tools/*.py', 'tools/check',
                    'benchmarks/**/*.py', 'benchmarks/**/*.md', 'colorized/app/page/*',
                    'colorized/weights/*.md', 'nbs/*.css', 'nbs/*.html']:
        for o in root.glob(pattern):
            if o.is_file() and o.suffix!='.json':
                yield o.relative_to(root).as_posix(),o.read_text('utf-8', errors='ignore')

def test_spelling_is_american(tmp_path):
    "By codespell's dictionary of British words"
    for name,text in words_of_the_repository():
        if name==Path(__file__).relative_to(root).as_posix(): continue
        (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/name).write_text(text, 'utf-8')
    others = r'\.cancelled\(\)|par un programme' # a method of Python's futures; French
    command = [sys.executable, '-m', 'codespell_lib', '--builtin', 'en-GB_to_en-US',
               '--ignore-regex', others, tmp_path]
    p = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert p.returncode==0, p.stdout.replace(f'{tmp_path}/', '')+p.stderr

LINTED = ('archaism cliches hedging industrial_language malapropisms mondegreens needless_variants'
          ' nonwords oxymorons redundancy skunked_terms uncomparables').split()

def test_proselint(tmp_path):
    "Those checks of proselint that are about words; the others take code and tables for prose"
    for name,text in texts.items():
        (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/f'{name}.md').write_text(text, 'utf-8')
    p = subprocess.run([sys.executable, '-m', 'proselint', 'check', tmp_path],
                       capture_output=True, text=True, timeout=120)
    found = re.findall(rf'^{re.escape(str(tmp_path))}/(.+?): ((\w+)\..*)$', p.stdout, re.M)
    assert found, f'proselint says nothing at all: {p.stderr}'
    said = [f'{place}: {what}' for place,what,check in found if check in LINTED]
    assert not said, '\n'.join(said)

def test_the_rules_see_what_they_are_for():
    "Each of them on a text that breaks it"
    bad = 'A looker thought that the watched loss was fine. ' + 'word '*60 + 'end.'
    assert len(unknown_words(bad))==2
    assert average(bad)>MOST_AVERAGE
    assert prose('| a | table |\n\nSome `code` and $x$.').strip()=='Some X and X.'
    assert sentences('One is short. Another one is not.\n\n- an item of it')==[
        'One is short.', 'Another one is not.', 'an item of it']
