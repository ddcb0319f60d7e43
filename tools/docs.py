"""Build README.md and the site from the notebooks, without network: `python tools/docs.py`.

nbdev prepares the notebooks (show_doc entries, links), smalldocs renders them by the same `_quarto.yml` that serves `nbdev-docs`
where Quarto is installed, and KaTeX comes from `tools/katex`. The site lands in `_docs`."""
import ast, base64, hashlib, json, re, runpy, shutil, subprocess, sys
from pathlib import Path
import yaml

root = Path(__file__).resolve().parent.parent
KATEX = 'https://cdn.jsdelivr.net/npm/katex@0.16.11/dist'  # as smalldocs writes it into each page with maths
GALLERY = re.compile(r'\{\{< include images/gallery/home\.html >\}\}')  # sliders on the site, in README.md one picture
SHOWN = 'Photographs as they are above, the same with invented colour below'
SITE_ONLY = re.compile(r'^::: \{\.site-only\}$.*?^:::$\n*', re.M|re.S) # README.md is kept short
WEB_FONT = re.compile(r'@import url\([^)]*\);?')

def _book():
    "nbdev's filters for a book: exported code stays visible, and of cells that mix imports with other code only the imports run"
    from fastcore.nbio import mk_cell
    from nbdev.process import Processor
    from nbdev.processors import FilterDefaults, exec_show_docs
    def imports(cell): return [o for o in cell.parsed_() or [] if isinstance(o, (ast.Import, ast.ImportFrom))]
    def show_source(cell):
        if cell.cell_type=='code' and 'export' in cell.directives_ and len(imports(cell))<len(cell.parsed_() or []):
            cell.directives_['exports'] = cell.directives_.pop('export')
    class exec_docs(exec_show_docs):
        def begin(self):
            super().begin()
            self.nb.has_docs_ = self.nb.has_docs_ or any('exec_doc' in getattr(c, 'directives_', {}) for c in self.nb.cells)
        def __call__(self, cell):
            whole = cell.cell_type!='code' or not cell.source or cell.directives_.keys() & {'export', 'exports', 'exporti', 'exec_doc', 'eval'}
            if whole or len(imports(cell)) in (0, len(cell.parsed_())): return super().__call__(cell)
            self.k.run_cell('\n'.join(map(ast.unparse, imports(cell))))
    class keep_lead(Processor):
        "What stands below title and subtitle in a notebook's first cell gets a cell of its own: nbdev drops it otherwise"
        def begin(self):
            first = self.nb.cells[0]
            m = re.match(r'# .+\n+(?:>.*\n+)*(?:- [\w-]+:.*\n+)*', (first.source if first.cell_type=='markdown' else '')+'\n')
            if not m or not first.source[m.end():].strip(): return
            self.nb.cells.insert(1, mk_cell(first.source[m.end():], 'markdown'))
            first.source = m[0].rstrip()
            for i,c in enumerate(self.nb.cells): c.idx_ = i
    class Book(FilterDefaults):
        def base_procs(self): return [keep_lead, show_source, *(exec_docs if o is exec_show_docs else o for o in super().base_procs())]
    return Book

def process(file_glob=''):
    "Notebooks with their show_doc entries, in `_proc`"
    import nbdev.serve
    from nbdev.config import get_config
    nbdev.serve.FilterDefaults = _book()
    return nbdev.serve.proc_nbs(get_config(root).nbs_path, n_workers=0, force=True, file_glob=file_glob)

def _text(o): return ''.join(o) if isinstance(o, list) else o
def _unnumbered(s):
    "nbdev's own page names: `01_schedule.ipynb` -> `schedule.ipynb`"
    return re.sub(r'\b\d+[a-z]?_(?=[\w-]+\.(?:ipynb|html)\b)', '', s)

def _definitions(code):
    "The source `code` cut into its top-level definitions: [(names, lines)]; what stands before a definition belongs to it"
    lines, parts, start = code.splitlines(), [], 0
    for node in ast.parse(code).body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): continue
        first = node.args.args[0].annotation if 'patch' in [getattr(d, 'id', '') for d in node.decorator_list] else None
        owners = [o.id for o in (ast.walk(first) if first else []) if isinstance(o, ast.Name)]
        parts.append(([f'{o}.{node.name}' for o in owners] or [node.name], '\n'.join(lines[start:node.end_lineno]).strip('\n')))
        start = node.end_lineno
    rest = '\n'.join(lines[start:]).strip('\n')
    return [*parts, ([], rest)] if rest else parts

def _entries(cells):
    "Each show_doc heading stands right above its source, which holds signature, docments and docstring already"
    shown = lambda c: (re.search(r'^show_doc\(([\w.]+)', _text(c['source']), re.M) or [None, None])[1] if c['cell_type']=='code' else None
    docs = {shown(c): c for c in cells if shown(c)}
    head = lambda c: next(_text(o['data']['text/markdown']) for o in c['outputs'] if 'text/markdown' in o.get('data', {})).split('```')[0].strip('-\n')
    source = lambda c: c['cell_type']=='code' and 'code-summary: "Exported source"' in _text(c['source'])
    code = lambda c: re.sub(r'^#\|.*\n', '', _text(c['source']), flags=re.M)
    placed = {n for c in cells if source(c) for names,_ in _definitions(code(c)) for n in names}
    for c in cells:
        if shown(c) in placed: continue
        if not source(c): yield c; continue
        waiting = []
        for names,part in _definitions(code(c)):
            waiting.append(part)
            heads = [head(docs[n]) for n in names if n in docs]
            if not heads: continue
            yield dict(cell_type='markdown', metadata={}, source='\n\n'.join(heads))
            yield c | dict(source='\n\n'.join(waiting))
            waiting = []
        if waiting: yield c | dict(source='\n\n'.join(waiting))

def _fingerprint():
    "What the site is made from, as one number"
    files = [o for d in ['nbs', 'colorized', 'tools'] for o in sorted((root/d).rglob('*')) if o.suffix!='.pyc' and o.is_file()]
    h = hashlib.sha256()
    for o in [*(root/n for n in ['_quarto.yml', 'pyproject.toml', 'CHANGELOG.md', 'CITATION.cff']), *files]: h.update(f'{o.relative_to(root)}\0'.encode() + o.read_bytes())
    return h.hexdigest()

def _mend_anchors(out):
    "nbdev's index names places that have no entry of their own: methods in a class's body stand with their class, private names on their page"
    index = runpy.run_path(str(root/'colorized/_modidx.py'))['d']['syms']
    places = {place for names in index.values() for place,_ in names.values()}
    pages = {f: f.read_text('utf-8') for f in out.rglob('*.html')}
    ids = {f.relative_to(out).as_posix(): set(re.findall(r'\bid="([^"]+)"', text)) for f,text in pages.items()}
    def mend(m):
        page, anchor = m[2], m[3]
        if f'{page}#{anchor}' not in places or anchor in ids.get(page, ()): return m[0]
        owner = anchor.rpartition('.')[0]
        return f'href="{m[1]}{page}#{owner}"' if owner in ids.get(page, ()) else f'href="{m[1]}{page}"'
    for f,text in pages.items(): f.write_text(re.sub(r'href="((?:\.\./|\./)*)([\w/-]+\.html)#([\w.]+)"', mend, text), 'utf-8')

def _aliases():
    "Old addresses of pages and their new ones, from the first cells of notebooks: {'scan.html': 'photo/scan.html'}"
    found = {}
    for nb in sorted((root/'nbs').rglob('*.ipynb')):
        first = _text(json.loads(nb.read_text('utf-8'))['cells'][0]['source'])
        m = re.search(r'^- aliases: \[/([\w./-]+)\]$', first, re.M)
        if m: found[m[1]] = _unnumbered(nb.relative_to(root/'nbs').with_suffix('.html').as_posix())
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
    index = runpy.run_path(str(root/'colorized/_modidx.py'))['d']['syms']
    places = {place.partition('#')[2]: place for names in index.values() for place,_ in names.values() if '#' in place}
    for old,new in _aliases().items():
        up = '../'*old.count('/')
        there = {k: up+v for k,v in sorted(places.items())}
        (out/old).parent.mkdir(parents=True, exist_ok=True)
        (out/old).write_text(REDIRECT.format(new=up+new, places=json.dumps(there)), 'utf-8')

def site():
    "`_proc` -> `_docs`, unless the site is up to date"
    from nbdev.config import get_config
    out, now = root/'_docs', _fingerprint()
    stamp = out/'.fingerprint'
    if stamp.exists() and stamp.read_text()==now: return print('The site in _docs is up to date')
    proc, cfg = process(), get_config(root)
    for f in list(proc.rglob('*.ipynb')):
        nb = json.loads(_unnumbered(f.read_text('utf-8')))
        nb['cells'] = list(_entries(nb['cells']))
        nb['cells'][0]['source'] = re.sub(r'^output-file:.*\n', '', _text(nb['cells'][0]['source']), flags=re.M)  # Quarto's only
        f.unlink()
        f.with_name(_unnumbered(f.name)).write_text(json.dumps(nb), 'utf-8')
    shutil.copy(root/'_quarto.yml', proc)
    for f in [proc/'_quarto.yml', *proc.rglob('*.qmd')]: f.write_text(_unnumbered(f.read_text('utf-8')), 'utf-8')
    subprocess.run([sys.executable, '-m', 'smalldocs.cli', 'render', proc], check=True)
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(proc/'_docs', out)
    shutil.copytree(root/'tools/katex', out/'site_libs/katex')
    base = f'{cfg.doc_host}{cfg.doc_baseurl}/'
    for f in out.rglob('*.html'):
        up = '../'*len(f.relative_to(out).parent.parts)
        text = f.read_text('utf-8').replace(f'href="{base}', f'href="{up or "./"}').replace(KATEX, f'{up}site_libs/katex')
        f.write_text(re.sub(r'<img (?![^>]*\balt=)', '<img alt="What the code above draws" ', text), 'utf-8')
    _mend_anchors(out)
    _redirect(out)
    for f in out.rglob('*.css'): f.write_text(WEB_FONT.sub('', f.read_text('utf-8')), 'utf-8')
    stamp.write_text(now)

def _outputs(cell, figure):
    "The stored outputs of `cell` as Markdown; pictures go to `figure`, which names them"
    for o in cell.get('outputs', []):
        d = o.get('data', {})
        picture = re.search(r'<img alt="([^"]*)" src="data:image/(\w+);base64,([^"]+)"', _text(d.get('text/html', '')))
        if picture: yield f"![{picture[1]}]({figure(base64.b64decode(picture[3]), picture[2])})"
        elif 'image/png' in d: yield f"![]({figure(base64.b64decode(_text(d['image/png'])))})"
        elif 'text/markdown' in d: yield _text(d['text/markdown'])
        elif o.get('name')=='stdout' or 'text/plain' in d:
            yield '\n'.join('    '+l for l in _text(o.get('text') or d['text/plain']).rstrip().splitlines())

def readme(
    write=True, # Write README.md and its pictures, or only return the text?
):
    "`nbs/index.ipynb` -> `README.md`, as `nbdev-readme` does with Quarto"
    from nbdev.config import get_config
    cfg = get_config(root)
    base, figures, parts = f'{cfg.doc_host}{cfg.doc_baseurl}', {}, []
    def figure(data, suffix='png'):
        figures[name := f'nbs/images/readme/figure-{len(figures)+1}.{suffix}'] = data
        return name
    page = lambda m: f"]({base}/{_unnumbered(m[1]+'.html')}{m[2] or ''})"
    for c in json.loads((process(cfg.readme_nb)/cfg.readme_nb).read_text('utf-8'))['cells']:
        s = _text(c['source']).strip()
        if c['cell_type']=='raw':
            front = yaml.safe_load(s.strip('-\n'))
            s = '\n\n'.join([f"# {front['title']}", *(f'> {front[k]}' for k in ['description'] if k in front)])
        if c['cell_type']!='code':
            s = GALLERY.sub(f'![{SHOWN}](nbs/images/gallery/home.webp)', s)
            s = SITE_ONLY.sub('', s)
            s = re.sub(r'\]\(([\w/-]+)\.(?:ipynb|qmd)(#[\w-]+)?\)', page, s)
            s = re.sub(r'\]\(images/', '](nbs/images/', s)
            if s and not s.startswith('<!-- WARNING'): parts.append(s)
            continue
        options = dict(re.findall(r'^#\|\s*([\w-]+):\s*(.+)$', s, re.M))
        code = re.sub(r'^#\|.*\n?', '', s, flags=re.M).strip()
        code = code.replace("'images/", "'nbs/images/") # as seen from the root of the repository
        if code and options.get('echo')!='false': parts.append(f'```python\n{code}\n```')
        parts += _outputs(c, figure)
    text = '\n\n'.join(parts)+'\n'
    if write:
        (root/'README.md').write_text(text, 'utf-8')
        for f in (root/'nbs/images/readme').glob('figure-*'): f.unlink()
        for name,data in figures.items():
            (root/name).parent.mkdir(exist_ok=True)
            (root/name).write_bytes(data)
    return text

if __name__ == '__main__':
    readme(); site()
