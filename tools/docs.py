"""Build README.md and the site from the notebooks, without network: `python tools/docs.py`.

nbdev prepares the notebooks (show_doc entries, links), smalldocs renders them by the same
`_quarto.yml` that serves `nbdev-docs` where Quarto is installed, and KaTeX comes from
`tools/katex`. The site lands in `_docs`."""
import ast, base64, hashlib, html, json, re, runpy, shutil, subprocess, sys
from functools import cache
from pathlib import Path
import yaml
import try_page
from gallery import HERO_ALT

root = Path(__file__).resolve().parent.parent
# As smalldocs writes it into each page with math
KATEX = 'https://cdn.jsdelivr.net/npm/katex@0.16.11/dist'
# Sliders on the site, in README.md one picture
GALLERY = re.compile(r'\{\{< include images/gallery/home\.html >\}\}')
# README.md is kept short
FENCE = re.compile(r'^:::.*\n+', re.M)
SITE_ONLY = re.compile(r'^::: \{\.site-only\}$.*?^:::$\n*', re.M|re.S)
WEB_FONT = re.compile(r'@import url\([^)]*\);?')

def _text(o): return ''.join(o) if isinstance(o, list) else o

def _read_nb(path): return json.loads(path.read_text('utf-8'))

# nbdev's filters for a book

def _imports(cell):
    return [o for o in cell.parsed_() or [] if isinstance(o, (ast.Import, ast.ImportFrom))]

def _show_source(cell):
    "Exported code stays visible"
    exported = cell.cell_type=='code' and 'export' in cell.directives_
    if exported and len(_imports(cell))<len(cell.parsed_() or []):
        cell.directives_['exports'] = cell.directives_.pop('export')

def _cut_lead(source):
    "The first cell of a notebook: its title, subtitle and settings; and what stands below them"
    head = re.match(r'# .+\n+(?:>.*\n+)*(?:- [\w-]+:.*\n+)*', source+'\n')
    if not head or not source[head.end():].strip(): return None
    return head[0].rstrip(),source[head.end():]

def _book():
    "nbdev's filters, with three of them changed"
    from fastcore.nbio import mk_cell
    from nbdev.process import Processor
    from nbdev.processors import FilterDefaults, exec_show_docs
    class exec_docs(exec_show_docs):
        "Of cells that mix imports with other code only the imports run"
        def begin(self):
            super().begin()
            asked = any('exec_doc' in getattr(c, 'directives_', {}) for c in self.nb.cells)
            self.nb.has_docs_ = self.nb.has_docs_ or asked
        def __call__(self, cell):
            marks = {'export', 'exports', 'exporti', 'exec_doc', 'eval'}
            whole = cell.cell_type!='code' or not cell.source or cell.directives_.keys() & marks
            if whole or len(_imports(cell)) in (0, len(cell.parsed_())):
                return super().__call__(cell)
            self.k.run_cell('\n'.join(map(ast.unparse, _imports(cell))))
    class keep_lead(Processor):
        """What stands below title and subtitle in a notebook's first cell gets a cell of its own

        nbdev drops it otherwise."""
        def begin(self):
            first = self.nb.cells[0]
            parts = _cut_lead(first.source) if first.cell_type=='markdown' else None
            if not parts: return
            first.source,lead = parts
            self.nb.cells.insert(1, mk_cell(lead, 'markdown'))
            for i,c in enumerate(self.nb.cells): c.idx_ = i
    class Book(FilterDefaults):
        def base_procs(self):
            usual = [exec_docs if o is exec_show_docs else o for o in super().base_procs()]
            return [keep_lead, _show_source, *usual]
    return Book

def process(file_glob=''):
    "Notebooks with their show_doc entries, in `_proc`"
    import nbdev.processors, nbdev.serve
    from nbdev.config import get_config
    nbdev.processors.get_config = cache(get_config) # it reads pyproject.toml for every cell
    nbdev.serve.FilterDefaults = _book()
    nbs = get_config(root).nbs_path
    return nbdev.serve.proc_nbs(nbs, n_workers=0, force=True, file_glob=file_glob)

def _unnumbered(s):
    "nbdev's own page names: `01_schedule.ipynb` -> `schedule.ipynb`"
    return re.sub(r'\b\d+[a-z]?_(?=[\w-]+\.(?:ipynb|html)\b)', '', s)

# Entries of functions and classes

def _names(node):
    "What a definition is called in the documentation: `patch` makes methods of functions"
    patched = 'patch' in [getattr(d, 'id', '') for d in node.decorator_list]
    if not patched: return [node.name]
    first = node.args.args[0].annotation
    owners = [o.id for o in (ast.walk(first) if first else []) if isinstance(o, ast.Name)]
    return [f'{o}.{node.name}' for o in owners] or [node.name]

def _definitions(code):
    """The source `code` cut into its top-level definitions: [(names, lines)]

    What stands before a definition belongs to it."""
    kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
    lines,parts,start = code.splitlines(),[],0
    for node in ast.parse(code).body:
        if not isinstance(node, kinds): continue
        parts.append((_names(node), '\n'.join(lines[start:node.end_lineno]).strip('\n')))
        start = node.end_lineno
    rest = '\n'.join(lines[start:]).strip('\n')
    return [*parts, ([], rest)] if rest else parts

def _shown(cell):
    "What a cell with `show_doc` is about"
    if cell['cell_type']!='code': return None
    m = re.search(r'^show_doc\(([\w.]+)', _text(cell['source']), re.M)
    return m and m[1]

def _heading(cell):
    "What `show_doc` has written, without signature and docments"
    said = [_text(o['data']['text/markdown']) for o in cell['outputs']
            if 'text/markdown' in o.get('data', {})]
    return said[0].split('```')[0].strip('-\n')

def _is_source(cell):
    return cell['cell_type']=='code' and 'code-summary: "Exported source"' in _text(cell['source'])

def _code(cell): return re.sub(r'^#\|.*\n', '', _text(cell['source']), flags=re.M)

def _with_headings(cell, docs):
    "Cells of exported code, each definition below its heading"
    waiting = []
    for names,part in _definitions(_code(cell)):
        waiting.append(part)
        heads = [_heading(docs[n]) for n in names if n in docs]
        if not heads: continue
        yield dict(cell_type='markdown', metadata={}, source='\n\n'.join(heads))
        yield cell | dict(source='\n\n'.join(waiting))
        waiting = []
    if waiting: yield cell | dict(source='\n\n'.join(waiting))

def _entries(cells):
    """Each show_doc heading stands right above its source

    That holds signature, docments and docstring already."""
    docs = {_shown(c): c for c in cells if _shown(c)}
    sources = [c for c in cells if _is_source(c)]
    placed = {n for c in sources for names,_ in _definitions(_code(c)) for n in names}
    for c in cells:
        if _shown(c) in placed: continue
        if _is_source(c):
            yield from _with_headings(c, docs)
        else:
            yield c

# Places and addresses

def _fingerprint():
    "What the site is made from, as one number"
    files = [root/n for n in ['_quarto.yml', 'pyproject.toml', 'CHANGELOG.md', 'CITATION.cff']]
    for d in ['nbs', 'colorized', 'site', 'tools']:
        found = sorted((root/d).rglob('*'))
        files += [o for o in found if o.suffix!='.pyc' and o.is_file()]
    h = hashlib.sha256(f"npm: {shutil.which('npm')}".encode()) # without it try.html is left out
    for o in files: h.update(f'{o.relative_to(root)}\0'.encode() + o.read_bytes())
    return h.hexdigest()

def _index():
    "Places of all names, such as `photo/scan.html#scan`, by nbdev's index"
    syms = runpy.run_path(str(root/'colorized/_modidx.py'))['d']['syms']
    return [place for names in syms.values() for place,_ in names.values()]

def _mend_anchors(out):
    """nbdev's index names places that have no entry of their own

    Methods in a class's body stand with their class, private names on their page."""
    places = set(_index())
    pages = {f: f.read_text('utf-8') for f in out.rglob('*.html')}
    ids = {f.relative_to(out).as_posix(): set(re.findall(r'\bid="([^"]+)"', text))
           for f,text in pages.items()}
    def mend(m):
        up,page,anchor = m.groups()
        if f'{page}#{anchor}' not in places or anchor in ids.get(page, ()): return m[0]
        owner = anchor.rpartition('.')[0]
        if owner in ids.get(page, ()): return f'href="{up}{page}#{owner}"'
        return f'href="{up}{page}"'
    link = re.compile(r'href="((?:\.\./|\./)*)([\w/-]+\.html)#([\w.]+)"')
    for f,text in pages.items(): f.write_text(link.sub(mend, text), 'utf-8')

def _aliases():
    """Old addresses of pages and their new ones: {'scan.html': 'photo/scan.html'}

    From lines such as `- aliases: [/scan.html, /reading.html]` in the first cells of notebooks, or
    `aliases: [/scan.html]` in the front matter of other pages."""
    found,nbs = {},root/'nbs'
    for page in sorted([*nbs.rglob('*.ipynb'), *nbs.rglob('*.qmd')]):
        is_nb = page.suffix=='.ipynb'
        first = _text(_read_nb(page)['cells'][0]['source']) if is_nb else page.read_text('utf-8')
        m = re.search(r'^(?:- )?aliases: \[(.+)\]$', first.partition('\n---\n')[0], re.M)
        new = _unnumbered(page.relative_to(nbs).with_suffix('.html').as_posix())
        for old in m[1].split(',') if m else []: found[old.strip().removeprefix('/')] = new
    return found

REDIRECT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="1; url={new}">
<link rel="canonical" href="{new}">
<title>Moved</title>
<script>
const places = {places};
location.replace(places[location.hash.slice(1).toLowerCase()] || '{new}' + location.hash);
</script>
<p>This page has moved: <a href="{new}">{new}</a>
"""

def _redirect(out):
    "Pages at old addresses that lead to the new ones, each name to the page that has it now"
    places = [place for place in _index() if '#' in place]
    for old,new in _aliases().items():
        up = '../'*old.count('/')
        # Of entries that have one name, that of the page's own part comes last and counts
        part = new.rpartition('/')[0]+'/'
        near = sorted(places, key=lambda o: (o.startswith(part), o))
        there = json.dumps({o.partition('#')[2]: up+o for o in near})
        (out/old).parent.mkdir(parents=True, exist_ok=True)
        (out/old).write_text(REDIRECT.format(new=up+new, places=there), 'utf-8')

# The site

PICTURE_CELL = re.compile(r'^#\|\s*fig-cap:\s*(".*")$', re.M)

def _with_caption(cell):
    "A picture that an output holds as HTML gets its caption here; smalldocs sees to the others"
    caption = PICTURE_CELL.search(_text(cell['source']))
    for o in cell.get('outputs', []) if caption else []:
        shown = _text(o.get('data', {}).get('text/html', ''))
        if '<img' in shown and '<figcaption' not in shown:
            said = html.escape(json.loads(caption[1]))
            o['data']['text/html'] = (f'<figure class="figure">\n<p>{shown}</p>\n'
                                      f'<figcaption>{said}</figcaption>\n</figure>')
    return cell

INCLUDE = re.compile(r'\{\{< include \.\./(\S+\.md) >\}\}')
# A picture and what to see below it, as a page at Hugging Face shows them
PICTURE_AND_CAPTION = re.compile(r'^!\[(.+)\]\((\S+)\)\n\n\*(.+)\*$', re.M)

def _with_card(text):
    "The model card in place of its include, each picture with one caption"
    def card(m):
        said = (root/m[1]).read_text('utf-8')
        return PICTURE_AND_CAPTION.sub(r'![\3](\2){fig-alt="\1"}', said)
    return INCLUDE.sub(card, text)

TABLE = re.compile(r'^(?:\|.*\n)+', re.M)

def _box_tables(text):
    "Tables of many words, whose rows become blocks on a phone"
    return TABLE.sub(lambda m: f'::: {{.words}}\n\n{m[0]}\n:::\n', text)

OPENING = re.compile(r'^(?:- \*\*(?:After this|It builds on|One result).*\n)+', re.M)

def _box_opening(text):
    "The list that opens a page, in a box of its own"
    return OPENING.sub(lambda m: f'::: {{.opening}}\n\n{m[0]}\n:::\n', text+'\n', count=1)

def _prepare(proc):
    "Notebooks and settings in `_proc` as smalldocs takes them"
    for f in list(proc.rglob('*.ipynb')):
        nb = json.loads(_unnumbered(f.read_text('utf-8')))
        nb['cells'] = [_with_caption(c) for c in _entries(nb['cells'])]
        for c in nb['cells'][:4]:
            if c['cell_type']=='markdown': c['source'] = _box_opening(_text(c['source']))
        first = nb['cells'][0]
        # Quarto's only: its page names and its aliases, which `_redirect` writes here
        only = r'^(?:output-file:.*|aliases:\n(?:- .*\n)*- .*)\n'
        first['source'] = re.sub(only, '', _text(first['source']), flags=re.M)
        f.unlink()
        f.with_name(_unnumbered(f.name)).write_text(json.dumps(nb), 'utf-8')
    shutil.copy(root/'_quarto.yml', proc)
    sources = proc/'images/SOURCES.md' # without classes, since it is read on GitHub as well
    sources.write_text(_box_tables(sources.read_text('utf-8')), 'utf-8')
    for f in [proc/'_quarto.yml', *proc.rglob('*.qmd')]:
        text = _unnumbered(f.read_text('utf-8'))
        if f.suffix=='.qmd':
            text = re.sub(r'^aliases: .*\n', '', text, count=1, flags=re.M)
            text = _box_opening(_with_card(text))
        f.write_text(text, 'utf-8')

def _localize(out, base):
    "Addresses of the site itself and of KaTeX lead to files; pictures without a text get one"
    for f in out.rglob('*.html'):
        up = '../'*len(f.relative_to(out).parent.parts)
        text = f.read_text('utf-8')
        for link in 'href="','src="': text = text.replace(link+base, link+(up or './'))
        text = text.replace(KATEX, f'{up}site_libs/katex')
        text = re.sub(r'<img (?![^>]*\balt=)', '<img alt="What the code above draws" ', text)
        f.write_text(text, 'utf-8')

def _as_text(cell):
    "A cell of a prepared notebook in Markdown, without pictures"
    source = _text(cell['source']).strip()
    if cell['cell_type']=='raw': return _readme_title(source)
    if cell['cell_type']!='code': return source
    code = re.sub(r'^#\|.*\n?', '', source, flags=re.M).strip()
    said = [_text(o.get('text') or o.get('data', {}).get('text/plain', ''))
            for o in cell.get('outputs', []) if 'image/png' not in o.get('data', {})]
    hidden = re.search(r'^#\|\s*echo:\s*false', source, re.M)
    shown = [] if hidden or not code else [code]
    return '\n\n'.join(f'```\n{o.rstrip()}\n```' for o in shown+said if o.strip())

def _write_markdown(proc, out):
    "Beside the page of each module the same in Markdown: its docstring names that address"
    for f in proc.rglob('*.ipynb'):
        page,cells = out/f.relative_to(proc).with_suffix('.html'),_read_nb(f)['cells']
        if not page.exists(): continue
        text = '\n\n'.join(o for o in map(_as_text, cells) if o)
        page.with_name(f'{page.name}.md').write_text(FENCE.sub('', text+'\n'), 'utf-8')

def site():
    "`_proc` -> `_docs`, unless the site is up to date"
    from nbdev.config import get_config
    out,now = root/'_docs',_fingerprint()
    stamp = out/'.fingerprint'
    if stamp.exists() and stamp.read_text()==now:
        return print('The site in _docs is up to date')
    proc,cfg = process(),get_config(root)
    _prepare(proc)
    subprocess.run([sys.executable, '-m', 'smalldocs.cli', 'render', proc], check=True)
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(proc/'_docs', out)
    shutil.copytree(root/'tools/katex', out/'site_libs/katex')
    _write_markdown(proc, out)
    _localize(out, f'{cfg.doc_host}{cfg.doc_baseurl}/')
    _mend_anchors(out)
    _redirect(out)
    try_page.build(out)
    for f in out.rglob('*.css'):
        f.write_text(WEB_FONT.sub('', f.read_text('utf-8')), 'utf-8')
    stamp.write_text(now)

# README.md

PICTURE = re.compile(r'<img alt="([^"]*)" src="data:image/(\w+);base64,([^"]+)"')

def _outputs(cell, figure):
    "The stored outputs of `cell` as Markdown; pictures go to `figure`, which names them"
    for o in cell.get('outputs', []):
        d = o.get('data', {})
        picture = PICTURE.search(_text(d.get('text/html', '')))
        if picture:
            alt,suffix,data = picture.groups()
            yield f"![{alt}]({figure(base64.b64decode(data), suffix)})"
        elif 'image/png' in d:
            yield f"![]({figure(base64.b64decode(_text(d['image/png'])))})"
        elif 'text/markdown' in d:
            yield _text(d['text/markdown'])
        elif o.get('name')=='stdout' or 'text/plain' in d:
            said = _text(o.get('text') or d['text/plain'])
            yield '\n'.join('    '+l for l in said.rstrip().splitlines())

def _readme_prose(source, base):
    "A cell of words as README.md has it: addresses for notebooks, one picture for the gallery"
    def page(m): return f"]({base}/{_unnumbered(m[1]+'.html')}{m[2] or ''})"
    s = GALLERY.sub(f'![{HERO_ALT}](nbs/images/gallery/home.webp)', source)
    s = FENCE.sub('', SITE_ONLY.sub('', s)+'\n').rstrip()
    s = re.sub(r'\]\(([\w/-]+)\.(?:ipynb|qmd)(#[\w-]+)?\)', page, s)
    return re.sub(r'\]\(images/', '](nbs/images/', s)

def _readme_title(source):
    "The front matter of nbdev as a title"
    front = yaml.safe_load(source.strip('-\n'))
    lines = [f"# {front['title']}"]
    if 'description' in front: lines.append(f"> {front['description']}")
    return '\n\n'.join(lines)

def _readme_code(source):
    "A cell of code as README.md has it, if it is shown"
    options = dict(re.findall(r'^#\|\s*([\w-]+):\s*(.+)$', source, re.M))
    code = re.sub(r'^#\|.*\n?', '', source, flags=re.M).strip()
    code = code.replace("'images/", "'nbs/images/") # as seen from the root of the repository
    if code and options.get('echo')!='false': yield f'```python\n{code}\n```'

def _readme_parts(cells, base, figure):
    "The paragraphs of README.md"
    for c in cells:
        s = _text(c['source']).strip()
        if c['cell_type']=='code':
            yield from _readme_code(s)
            yield from _outputs(c, figure)
            continue
        if c['cell_type']=='raw': s = _readme_title(s)
        s = _readme_prose(s, base)
        if s and not s.startswith('<!-- WARNING'): yield s

def readme(
    write=True, # Write README.md and its pictures, or only return the text?
):
    "`nbs/index.ipynb` -> `README.md`, as `nbdev-readme` does with Quarto"
    from nbdev.config import get_config
    cfg,figures = get_config(root),{}
    def figure(data, suffix='png'):
        name = f'nbs/images/readme/figure-{len(figures)+1}.{suffix}'
        figures[name] = data
        return name
    cells = _read_nb(process(cfg.readme_nb)/cfg.readme_nb)['cells']
    parts = _readme_parts(cells, f'{cfg.doc_host}{cfg.doc_baseurl}', figure)
    text = '\n\n'.join(parts)+'\n'
    if not write: return text
    (root/'README.md').write_text(text, 'utf-8')
    for f in (root/'nbs/images/readme').glob('figure-*'): f.unlink()
    for name,data in figures.items():
        (root/name).parent.mkdir(exist_ok=True)
        (root/name).write_bytes(data)
    return text

if __name__ == '__main__':
    readme()
    site()
