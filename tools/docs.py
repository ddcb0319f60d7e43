"""Build the docs site and README.md. Real Quarto if there is one, else smalldocs; both read the top-level _quarto.yml."""
import json, re, shutil, subprocess, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
KATEX = 'https://cdn.jsdelivr.net/npm/katex@0.16.11/dist'

def _prefix(s): return re.sub(r'\b\d+[a-z]?_(?=[\w-]+\.(?:ipynb|html)\b)', '', s)

def site(katex=None):
    "`_proc` (notebooks with show_doc output) -> `_docs`"
    from nbdev.config import get_config
    from nbdev.serve import proc_nbs
    cfg = get_config(root)
    proc_nbs(cfg.nbs_path, n_workers=0, force=True)
    proc = root/'_proc'
    shutil.copy(root/'_quarto.yml', proc/'_quarto.yml')
    for f in list(proc.rglob('*.ipynb')): f.replace(f.with_name(_prefix(f.name)))  # nbdev's own page names: 00_core -> core
    for f in [*proc.rglob('*.ipynb'), proc/'_quarto.yml']: f.write_text(_prefix(f.read_text('utf-8')), 'utf-8')
    subprocess.run(['quarto', 'render', proc, '--no-execute'] if shutil.which('quarto') else [sys.executable, '-m', 'smalldocs.cli', 'render', proc], check=True)
    out = cfg.doc_path
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(proc/'_docs', out)
    base = cfg.doc_host+cfg.doc_baseurl+'/'
    for f in out.rglob('*.html'):
        up = '../'*len(f.relative_to(out).parent.parts)
        t = f.read_text('utf-8').replace(f'href="{base}', f'href="{up or "./"}')
        if katex: t = t.replace(KATEX, f'{up}site_libs/katex')
        f.write_text(t, 'utf-8')
    if katex: shutil.copytree(katex, out/'site_libs/katex')

def readme():
    "`nbs/index.ipynb` -> `README.md`, as `nbdev-readme` would with Quarto"
    import base64, yaml
    from nbdev.config import get_config
    from nbdev.serve import proc_nbs
    cfg = get_config(root)
    cache = proc_nbs(cfg.nbs_path, n_workers=0, file_glob=cfg.readme_nb)
    cells, parts, n = json.loads((cache/cfg.readme_nb).read_text('utf-8'))['cells'], [], 0
    src = lambda o: ''.join(o) if isinstance(o, list) else o
    base = cfg.doc_host+cfg.doc_baseurl
    link = lambda m: f"]({base}/{re.sub(r'^[0-9]+[a-z]?_', '', m[1])}.html{m[2]})"
    for c in cells:
        s = src(c['source']).strip()
        if c['cell_type']=='raw':
            fm = yaml.safe_load(s.strip('-\n'))
            s = f"# {fm['title']}\n\n> {fm.get('description', '')}"
        if c['cell_type']!='code':
            if s and not s.startswith('<!-- WARNING'): parts.append(re.sub(r'\]\(([\w-]+)\.ipynb(#[\w-]+)?\)', lambda m: link({1:m[1],2:m[2] or ''}), s))
            continue
        opts = dict(re.findall(r'^#\|\s*([\w-]+):\s*(.+)$', s, re.M))
        code = re.sub(r'^#\|.*\n?', '', s, flags=re.M).strip()
        if code and opts.get('echo')!='false': parts.append(f'```python\n{code}\n```')
        for o in c.get('outputs', []):
            d = o.get('data', {})
            if 'image/png' in d:
                n += 1
                (root/'index_files').mkdir(exist_ok=True)
                p = f'index_files/figure-{n}.png'
                (root/p).write_bytes(base64.b64decode(src(d['image/png'])))
                parts.append(f"![]({p})")
            elif 'text/markdown' in d: parts.append(src(d['text/markdown']))
            elif o.get('name')=='stdout' or 'text/plain' in d: parts.append('\n'.join('    '+l for l in src(o.get('text') or d['text/plain']).rstrip().splitlines()))
    (root/'README.md').write_text('\n\n'.join(parts)+'\n', 'utf-8')

if __name__ == '__main__':
    readme(); site(*sys.argv[1:])
