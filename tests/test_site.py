"The site as a reader meets it: every page in a real browser, wide and at phone width, with the network closed."
import functools, http.server, re, runpy, shutil, subprocess, sys, threading
from pathlib import Path
import pytest

root = Path(__file__).resolve().parent.parent
browser_path = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
pytestmark = pytest.mark.skipif(browser_path is None, reason='needs Chromium')
sizes = {'wide': dict(width=1280, height=900), 'phone': dict(width=390, height=844)}
docs = runpy.run_path(str(root/'tools/docs.py'))

def exported():
    "Where nbdev's index says that each exported name is documented: {name: page#anchor}, private names left out"
    d = runpy.run_path(str(root/'colorized/_modidx.py'))['d']
    syms = {name: place for module in d['syms'].values() for name,(place,_) in module.items()}
    return {name: place for name,place in syms.items() if not any(o.startswith('_') for o in name.split('.'))}

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

@pytest.fixture(scope='module')
def site():
    "The freshly built site, served on 127.0.0.1: its folder and address"
    p = subprocess.run([sys.executable, '-c', 'import docs; docs.site()'], cwd=root/'tools', capture_output=True, text=True, timeout=600)
    assert p.returncode==0, p.stdout+p.stderr
    out = root/'_docs'
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(out))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield out, f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()

@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright
    flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync']
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=browser_path, args=flags)
        yield b
        b.close()

def pages(out): return sorted(o.relative_to(out).as_posix() for o in out.rglob('*.html'))

def visit(browser, base, size):
    "A page of the browser that notes complaints and outside requests, and the list of them"
    page, complaints = browser.new_page(viewport=sizes[size]), []
    page.on('console', lambda m: complaints.append(f'{m.type}: {m.text}') if m.type in ('error', 'warning') else None)
    page.on('pageerror', lambda e: complaints.append(f'exception: {e}'))
    page.on('response', lambda r: complaints.append(f'{r.status}: {r.url}') if r.status>=400 else None)
    def outside(route):
        complaints.append(f'outside request: {route.request.url}')
        route.abort()
    page.route(lambda url: not url.startswith((base, 'data:')), outside)
    return page, complaints

@pytest.mark.parametrize('size', sizes)
def test_every_page_is_sound(site, browser, size):
    out, base = site
    page, complaints = visit(browser, base, size)
    bad = []
    for name in pages(out):
        page.goto(base+name, wait_until='load')
        page.wait_for_function('document.fonts.status=="loaded"')
        seen = page.evaluate('''() => ({
            text: Array.from(document.querySelectorAll('main p, main li, main td, main h1, main h2, main h3, main figcaption, main .katex-error'))
                .map(o => { const c = o.cloneNode(true); c.querySelectorAll('code, .katex').forEach(k => k.remove()); return c.innerText; }).join('\\n'),
            errors: document.querySelectorAll('.katex-error').length,
            images: Array.from(document.images).filter(o => !(o.complete && o.naturalWidth)).map(o => o.src.slice(0, 80)),
            wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        })''')
        bad += [f'{name}: raw maths {m!r}' for m in re.findall(r'\$\$|\\begin|\\end\{|\\\(|\\\[|@eq-|\{#eq', seen['text'])]
        bad += [f'{name}: raw maths {m!r}' for m in re.findall(r'\$\S[^$\n]*\S\$', seen['text'])]
        if seen['errors']: bad.append(f"{name}: KaTeX rejects {seen['errors']} formulas")
        bad += [f'{name}: broken image {o}' for o in seen['images']]
        if seen['wide']>0: bad.append(f"{name}: {seen['wide']} pixels wider than the {size} screen")
    page.close()
    assert not bad+complaints, '\n'.join(bad+complaints)

def test_no_broken_link(site, browser):
    out, base = site
    page, _ = visit(browser, base, 'wide')
    links, anchors = {}, {}
    for name in pages(out):
        page.goto(base+name, wait_until='load')
        links[name] = page.evaluate('Array.from(document.querySelectorAll("a[href]")).map(o => o.href)')
        anchors[name] = set(page.evaluate('Array.from(document.querySelectorAll("[id]")).map(o => o.id)'))
    page.close()
    bad = []
    for name,hrefs in links.items():
        for href in hrefs:
            if not href.startswith(base): continue
            target, _, anchor = href.removeprefix(base).partition('#')
            target = target or 'index.html'
            if not (out/target).is_file() or (anchor and target in anchors and anchor not in anchors[target]): bad.append(f'{name}: {href}')
    assert not bad, '\n'.join(sorted(set(bad)))

def test_search_finds_posterior(site, browser):
    out, base = site
    page, complaints = visit(browser, base, 'wide')
    page.goto(base)
    page.fill('.smalldocs-search input', 'posterior')
    found = page.wait_for_selector('.search-result')
    assert 'posterior' in found.inner_text().lower()
    found.click()
    page.wait_for_url(lambda url: url!=base)
    assert 'posterior' in page.inner_text('main').lower()
    page.close()
    assert not complaints

def test_every_exported_name_is_documented(site, browser):
    out, base = site
    page, _ = visit(browser, base, 'wide')
    names, missing, here = exported(), [], None
    assert names
    for name,place in sorted(names.items(), key=lambda o: o[1]):
        where, anchor = place.split('#')
        if where!=here: page.goto(base+where); here = where
        short = name.split('.', 2)[2]
        entry = page.query_selector(f'[id="{anchor}"]')
        if entry is None and '.' in short: # a method written in the class body stands with its class
            entry = page.query_selector(f'[id="{short.split(".")[0].lower()}"]')
        if entry is None: missing.append(f'{name}: no entry #{anchor} on {where}')
    page.close()
    assert not missing, '\n'.join(missing)

def test_chapters_are_linked_in_order(site, browser):
    out, base = site
    page, _ = visit(browser, base, 'phone')
    page.goto(base)
    walked = ['index']
    while (following := page.query_selector('.nav-page-next a')):
        following.click()
        page.wait_for_load_state()
        walked.append(page.url.removeprefix(base).removesuffix('.html'))
    page.close()
    assert walked[1:] == [o.stem[3:] for o in sorted((root/'nbs').glob('[0-9]*.ipynb'))]

def test_readme_is_the_home_page():
    assert (root/'README.md').read_text('utf-8') == docs['readme'](write=False), 'run python tools/docs.py'
