"The site as a reader meets it: every page in a real browser, wide and at phone width, with the network closed."
import ast, functools, hashlib, http.server, io, json, re, runpy, shutil, subprocess, sys, threading
from pathlib import Path
import pytest, yaml

root = Path(__file__).resolve().parent.parent
browser_path = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
in_browser = pytest.mark.skipif(browser_path is None, reason='needs Chromium')
sizes = {'wide': dict(width=1280, height=900), 'phone': dict(width=390, height=844)}
docs = runpy.run_path(str(root/'tools/docs.py'))
unnumbered = lambda name: re.sub(r'(^|/)\d+[a-z]?_', r'\1', name)

def chapters(): return [unnumbered(o.stem) for o in sorted((root/'nbs').glob('[0-9]*.ipynb'))]
def cells(nb, kind): return [''.join(c['source']) for c in json.loads(nb.read_text('utf-8'))['cells'] if c['cell_type']==kind]

def sidebar():
    "The pages of the sidebar, top to bottom, as `_quarto.yml` has them"
    def walk(items):
        for o in items:
            if isinstance(o, str): yield o
            elif 'contents' in o: yield from walk(o['contents'])
            else: yield o['href']
    contents = yaml.safe_load((root/'_quarto.yml').read_text('utf-8'))['website']['sidebar']['contents']
    return [unnumbered(re.sub(r'\.\w+$', '', o)) for o in walk(contents)]

def exported():
    "Where nbdev's index says that each exported name is documented: {name: page#anchor}, private names left out"
    d = runpy.run_path(str(root/'colorized/_modidx.py'))['d']
    syms = {name: place for module in d['syms'].values() for name,(place,_) in module.items()}
    return {name: place for name,place in syms.items() if not any(o.startswith('_') for o in name.split('.'))}

class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *args): pass

@pytest.fixture(scope='module')
def site():
    "The freshly built site, served on 127.0.0.1: its folder and address"
    p = subprocess.run([sys.executable, '-c', 'import docs; docs.site()'], cwd=root/'tools', capture_output=True, text=True, timeout=600)
    assert p.returncode==0, p.stdout+p.stderr
    assert not re.findall(r'^warning: .*', p.stdout+p.stderr, re.M), p.stdout+p.stderr
    out = root/'_docs'
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(out))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield out, f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()

@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright
    flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
             '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'] # the network is closed here, and not by intercepting, which would also fetch the site's scripts anew for each page
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=browser_path, args=flags)
        yield b
        b.close()

def pages(out): return sorted(o.relative_to(out).as_posix() for o in out.rglob('*.html'))

def visit(browser, base, size):
    "A page of the browser that notes complaints and outside requests, and the list of them"
    page, complaints = browser.new_page(viewport=sizes[size]), []
    page.set_default_timeout(120_000)  # on a busy machine
    page.on('console', lambda m: complaints.append(f'{m.type}: {m.text} on {page.url}') if m.type in ('error', 'warning') else None)
    page.on('pageerror', lambda e: complaints.append(f'exception: {e} on {page.url}'))
    page.on('response', lambda r: complaints.append(f'{r.status}: {r.url}') if r.status>=400 else None)
    page.on('request', lambda r: None if r.url.startswith((base, 'data:')) else complaints.append(f'outside request: {r.url} on {page.url}'))
    return page, complaints

LOOK = '''() => document.fonts.ready.then(() => {
    const all = s => Array.from(document.querySelectorAll(s));
    const short = o => o.tagName.toLowerCase() + '.' + o.className + ' ' + o.textContent.trim().slice(0, 40);
    const cut = [];  // what is cut off at the right without being in a box that scrolls
    const walk = o => {
        if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(o).overflowX) || o.matches('.katex, .anchorjs-link')) return;
        const r = o.getBoundingClientRect();
        if (r.width && r.right > document.documentElement.clientWidth + 1) { cut.push(short(o)); return; }
        Array.from(o.children).forEach(walk);
    };
    all('main, header, footer').forEach(walk);
    return {
        text: all('main p, main li, main td, main h1, main h2, main h3, main figcaption, main .katex-error')
            .map(o => { const c = o.cloneNode(true); c.querySelectorAll('code, .katex').forEach(k => k.remove()); return c.innerText; }).join('\\n'),
        words: document.querySelector('main').textContent,
        title: document.title,
        displays: all('.katex-display').length,
        errors: all('.katex-error').length,
        images: Array.from(document.images).filter(o => !(o.complete && o.naturalWidth)).map(o => o.src.slice(0, 80)),
        nameless: Array.from(document.images).filter(o => !o.hasAttribute('alt') && !o.closest('.cell')).map(o => o.src.slice(0, 80)),
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        cut: cut,
        narrow: document.querySelector('main').clientWidth,
        links: all('a[href]').map(o => o.href),
        ids: all('[id]').map(o => o.id),
        next: (document.querySelector('.nav-page-next a') || {}).href || null,
        previous: (document.querySelector('.nav-page-previous a') || {}).href || null,
    }
})'''

@pytest.fixture(scope='module')
def seen(site, browser):
    "What stands on each page at a width, looked at once: seen('wide') -> ({page: facts}, complaints)"
    out, base = site
    @functools.cache
    def look(size):
        page, complaints = visit(browser, base, size)
        facts = {}
        for name in pages(out):
            page.goto(base+name, wait_until='load')
            facts[name] = page.evaluate(LOOK)
        page.close()
        return facts, complaints
    return look

@in_browser
@pytest.mark.parametrize('size', sizes)
def test_every_page_is_sound(seen, size):
    facts, complaints = seen(size)
    bad = []
    for name,o in facts.items():
        bad += [f'{name}: raw maths {m!r}' for m in re.findall(r'\$\$|\\begin|\\end\{|\\\(|\\\[|@eq-|\{#eq|\$\S[^$\n]*\S\$', o['text'])]
        bad += [f'{name}: raw markup {m!r}' for m in re.findall(r'\{\{<|^:::|\]\(', o['text'], re.M)]
        if o['errors']: bad.append(f"{name}: KaTeX rejects {o['errors']} formulas")
        if not o['title']: bad.append(f'{name}: no title')
        bad += [f'{name}: broken image {i}' for i in o['images']]
        bad += [f'{name}: image without a description {i}' for i in o['nameless']]
        if o['wide']>0: bad.append(f"{name}: {o['wide']} pixels wider than the {size} screen")
        bad += [f'{name}: cut off at the edge of the {size} screen: {i}' for i in o['cut'][:3]]
        if o['narrow']<.55*sizes[size]['width']: bad.append(f"{name}: only {o['narrow']} pixels of text on the {size} screen")
    assert not bad+complaints, '\n'.join(bad+complaints)

@in_browser
def test_no_broken_link_and_no_orphan(site, seen):
    out, base = site
    facts, _ = seen('wide')
    bad, reached = [], {'index.html'}
    for name,o in facts.items():
        for href in o['links']:
            if not href.startswith(base): continue
            target, _, anchor = href.removeprefix(base).partition('#')
            target = target or 'index.html'
            reached.add(target)
            if not (out/target).is_file() or (anchor and target in facts and anchor not in facts[target]['ids']): bad.append(f'{name}: {href}')
    bad += [f'{name}: no link leads there' for name in facts.keys()-reached]
    assert not bad, '\n'.join(sorted(set(bad)))

@in_browser
def test_previous_and_next_lead_through_the_book(site, browser, seen):
    out, base = site
    facts, _ = seen('phone')
    page_of = lambda url: (url.removeprefix(base).removesuffix('.html') or 'index') if url else None
    walked, here = [], 'index'
    while here:
        walked.append(here)
        following = page_of(facts[f'{here}.html']['next'])
        if following: assert page_of(facts[f'{following}.html']['previous'])==here
        here = following
    assert walked==sidebar()
    assert [o for o in walked if o in chapters()]==chapters()
    tutorials = {f'tutorials/{o.stem}' for o in (root/'nbs/tutorials').glob('*.ipynb')}
    assert tutorials<=set(walked), 'a tutorial is missing in the sidebar'
    page, complaints = visit(browser, base, 'phone')
    page.goto(base+'schedule.html')
    page.click('.nav-page-next a')
    page.wait_for_url('**/denoiser.html')
    page.click('.nav-page-previous a')
    page.wait_for_url('**/schedule.html')
    page.close()
    assert not complaints

@in_browser
def test_every_formula_is_typeset(seen):
    facts, _ = seen('wide')
    missing = []
    for nb in [*(root/'nbs').glob('[0-9]*.ipynb'), *(root/'nbs/tutorials').glob('*.ipynb')]:
        name = unnumbered(nb.relative_to(root/'nbs').with_suffix('.html').as_posix())
        text = re.sub(r'```.*?```|`[^`\n]*`', '', '\n\n'.join(cells(nb, 'markdown')), flags=re.S)
        n = len(re.findall(r'\$\$.+?\$\$', text, re.S))
        if facts[name]['displays']<n: missing.append(f"{name}: {facts[name]['displays']} of {n} displayed formulas")
    assert not missing, '\n'.join(missing)
    assert facts['schedule.html']['displays']>5

@in_browser
def test_no_first_paragraph_is_lost(seen):
    "nbdev reads title and subtitle from a notebook's first cell and drops what else stands there"
    facts, _ = seen('wide')
    plain = lambda s: re.findall(r'[a-z]{4,}', re.sub(r'\]\([^)]*\)|<[^>]*>|\$[^$]*\$|\{[^}]*\}', ' ', s).lower())
    bad = []
    for nb in [o for o in (root/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in o.parts]:
        name = unnumbered(nb.relative_to(root/'nbs').with_suffix('.html').as_posix())
        words = facts[name]['words'].lower()
        lost = [w for w in plain(re.sub(r'^- [\w-]+:.*$', '', cells(nb, 'markdown')[0], flags=re.M)) if w not in words]
        if lost: bad.append(f'{name}: {lost}')
    assert not bad, '\n'.join(bad)

@in_browser
def test_every_exported_name_is_documented(seen):
    facts, _ = seen('wide')
    names, missing = exported(), []
    inside = {f'colorized.{f.stem}.{c.name}.{o.name}' for f in (root/'colorized').glob('*.py') for c in ast.parse(f.read_text('utf-8')).body if isinstance(c, ast.ClassDef)
              for o in c.body if isinstance(o, ast.FunctionDef)}  # a method written in the class body stands with its class, a patched one has an entry of its own
    assert names and inside
    for name,place in names.items():
        where, anchor = place.split('#')
        short = name.split('.', 2)[2]
        ids = facts[where]['ids']
        if anchor not in ids and not (name in inside and short.split('.')[0].lower() in ids): missing.append(f'{name}: no entry #{anchor} on {where}')
    assert not missing, '\n'.join(missing)

@in_browser
@pytest.mark.parametrize('size', sizes)
def test_search_finds_posterior(site, browser, size):
    out, base = site
    page, complaints = visit(browser, base, size)
    page.goto(base)
    if size=='phone': page.click('.navbar-toggler')
    box = page.locator('.smalldocs-search input:visible')
    box.fill('posterior')
    found = page.locator('.search-result:visible').first
    found.wait_for()
    assert 'posterior' in found.inner_text().lower()
    inks = found.evaluate('''o => {
        const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => { x /= 255; return x<=.03928 ? x/12.92 : ((x+.055)/1.055)**2.4; }); return .2126*v[0]+.7152*v[1]+.0722*v[2]; };
        const paper = light(getComputedStyle(o.closest('.smalldocs-search-results')).backgroundColor);
        return Array.from(o.querySelectorAll('div')).map(d => { const ink = light(getComputedStyle(d).color); return (Math.max(ink, paper)+.05)/(Math.min(ink, paper)+.05); });
    }''')
    assert min(inks)>=4.5, f'contrast of the search results: {inks}'
    r = found.bounding_box()
    assert 0<=r['x'] and r['x']+r['width']<=sizes[size]['width']+1
    found.click()
    page.wait_for_url(lambda url: url.removesuffix('index.html')!=base)
    assert 'posterior' in page.inner_text('main').lower()
    page.close()
    assert not complaints

def chroma(png):
    "Mean distance of a picture's colours from gray, in 8-bit steps"
    from PIL import Image
    r, g, b = (list(o.get_flattened_data() if hasattr(o, 'get_flattened_data') else o.getdata()) for o in Image.open(io.BytesIO(png)).convert('RGB').split())
    return sum(max(p)-min(p) for p in zip(r, g, b))/len(r)

@in_browser
@pytest.mark.parametrize('size', sizes)
@pytest.mark.parametrize('name', ['index.html', 'gallery.html'])
def test_sliders_obey_mouse_and_keyboard(site, browser, size, name):
    out, base = site
    page, complaints = visit(browser, base, size)
    page.goto(base+name)
    figures = page.locator('.compare')
    n = figures.count()
    assert n>=6 and page.locator('.compare.compare-ready').count()==n
    box = figures.nth(0)
    slider = box.locator('input')
    slider.scroll_into_view_if_needed()
    value = lambda: float(slider.input_value())
    share = lambda: float(re.search(r'[\d.]+(?=%)', box.evaluate('o => getComputedStyle(o.querySelector(".compare-before")).clipPath').split('calc')[-1])[0])
    assert value()==50
    r = box.bounding_box()
    x, y = (lambda f: r['x']+f*r['width']), r['y']+r['height']/2
    page.mouse.move(x(.5), y); page.mouse.down(); page.mouse.move(x(.3), y, steps=3); page.mouse.move(x(.2), y, steps=3); page.mouse.up()
    assert 10<value()<30, 'dragged to a fifth of the width'
    page.mouse.click(x(.75), y)
    assert 65<value()<85, 'clicked at three quarters'
    before = value()
    page.keyboard.press('ArrowLeft')
    assert value()==before-1 and page.evaluate('document.activeElement.type')=='range'
    assert slider.get_attribute('aria-label') and f'{int(before)-1} %' in slider.get_attribute('aria-valuetext')
    page.evaluate('document.styleSheets[0].insertRule(".compare-line { display: none }")')
    page.keyboard.press('End')
    gray = chroma(box.screenshot())
    page.keyboard.press('Home')
    coloured = chroma(box.screenshot())
    assert gray<1 and coloured>gray+2, 'left end: all colour, right end: the photograph alone'
    page.close()
    assert not complaints

@in_browser
def test_sidebar_shows_where_one_is(site, browser):
    out, base = site
    page, _ = visit(browser, base, 'wide')
    for name in ('index.html', 'fleet.html', 'citation.html'):
        page.goto(base+name)
        assert page.evaluate('(o => o.top>=0 && o.bottom<=innerHeight)(document.querySelector("#quarto-sidebar .active").getBoundingClientRect())'), name
    page.close()

@in_browser
def test_a_phone_says_in_which_column_a_cell_stood(site, browser):
    out, base = site
    page, _ = visit(browser, base, 'phone')
    page.goto(base+'comparison.html')
    heads = page.evaluate('''Array.from(document.querySelectorAll('.words td:not(:first-child)'))
        .map(o => [o.dataset.head, getComputedStyle(o, '::before').content, o.getBoundingClientRect().right <= innerWidth])''')
    page.close()
    assert len(heads)>50 and all(head and head in shown and fits for head,shown,fits in heads)

def test_readme_is_the_home_page():
    assert (root/'README.md').read_text('utf-8') == docs['readme'](write=False), 'run python tools/docs.py'

def test_pictures_of_the_readme_exist():
    text = (root/'README.md').read_text('utf-8')
    assert text.index('![')<text.index('```sh'), 'before and after come first'
    assert all((root/o).is_file() for o in re.findall(r'\]\(((?!https?:)[^)#]+)\)', text))

def test_gallery_shows_the_model_of_the_package():
    model = hashlib.sha256((root/'colorized/weights/default.safetensors').read_bytes()).hexdigest()[:8]
    assert f'data-model="{model}"' in (root/'nbs/images/gallery/model.html').read_text('utf-8'), 'run python tools/gallery.py and look at what it has made'

def test_pictures_are_light_and_told_where_they_come_from():
    files = [o for o in (root/'nbs/images').rglob('*') if o.is_file()]
    assert sum(o.stat().st_size for o in files)<3_200_000
    sources = (root/'nbs/images/SOURCES.md').read_text('utf-8')
    assert not [o.name for o in files if o.parent.name=='images' and o.suffix!='.md' and f'`{o.name}`' not in sources]
