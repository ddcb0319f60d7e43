"The site as a reader meets it: every page in a real browser, wide and at phone width, offline."
import ast, contextlib, functools, hashlib, html, http.server, io, json, re, runpy, subprocess, sys
import threading, time
from pathlib import Path
import pytest, yaml
from playwright.sync_api import Error

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import house, try_page
docs = runpy.run_path(str(root/'tools/docs.py'))
config = yaml.safe_load((root/'_quarto.yml').read_text('utf-8'))

sizes = {'wide': dict(width=1280, height=900), 'phone': dict(width=390, height=844)}
at_each_size = pytest.mark.parametrize('size', sizes)

# Pages of the book when all chapters lay in one folder. Links to them are in the world.
OLD_PAGES = ('schedule denoiser reverse vlb samplers lab scan encoder unet data learner metrics'
             ' colorizer batch cli app store fleet iiif_image iiif_manifest iiif').split()

def unnumbered(name):
    "The name of a page, from that of its notebook"
    return re.sub(r'(^|/)\d+[a-z]?_', r'\1', name)

def page_of(nb):
    "The page that a notebook becomes"
    return unnumbered(nb.relative_to(root/'nbs').with_suffix('.html').as_posix())

def notebooks(under=''):
    "All notebooks that become pages"
    found = sorted((root/'nbs'/under).rglob('*.ipynb'))
    return [o for o in found if '.ipynb_checkpoints' not in o.parts]

def cells(nb, kind):
    "The sources of the cells of one kind"
    found = json.loads(nb.read_text('utf-8'))['cells']
    return [''.join(c['source']) for c in found if c['cell_type']==kind]

def chapters():
    "The pages of the chapters, in the order in which they use each other"
    return [o.replace('.', '/') for o in house.chapters()]

def sections():
    "The sidebar as `_quarto.yml` has it: (section, the paths of its pages), top to bottom"
    path = lambda o: o if isinstance(o, str) else o['href']
    for o in config['website']['sidebar']['contents']:
        if 'section' in o:
            yield o['section'],[path(p) for p in o['contents']]
        else:
            yield '',[path(o)]

def sidebar():
    "The pages of the sidebar, top to bottom"
    return [unnumbered(re.sub(r'\.\w+$', '', o)) for _,paths in sections() for o in paths]

def exported():
    "Where nbdev's index says that each public name is documented: (module, name, page, anchor)"
    index = runpy.run_path(str(root/'colorized/_modidx.py'))['d']['syms']
    for module,names in index.items():
        for full,(place,_) in names.items():
            name = full.removeprefix(f'{module}.')
            if not any(o.startswith('_') for o in name.split('.')):
                page,_,anchor = place.partition('#')
                yield module.removeprefix('colorized.'),name,page,anchor

class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *args): pass

@contextlib.contextmanager
def served(folder):
    "The address at which a folder is served"
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()

@pytest.fixture(scope='module')
def site():
    "The freshly built site, served on 127.0.0.1: its folder and address"
    p = subprocess.run([sys.executable, '-c', 'import docs; docs.site()'], cwd=root/'tools',
                       capture_output=True, text=True, timeout=600)
    said = p.stdout+p.stderr
    assert p.returncode==0, said
    assert not re.findall(r'^warning: .*', said, re.M), said
    out = root/'_docs'
    with served(out) as base:
        yield out,base

def test_the_address_in_each_docstring_leads_to_the_chapter(site):
    "In Markdown, with the code that the module holds"
    modules = [o for o in (root/'colorized').rglob('*.py') if not o.name.startswith('_')]
    for f in modules:
        code = f.read_text('utf-8')
        address = re.search(r'^Docs: https://[^/]+/colorized/(\S+)"""', code, re.M)
        text = (site[0]/address[1]).read_text('utf-8')
        names = re.findall(r'^(?:def|class) [a-zA-Z]\w*', code, re.M)
        assert text.startswith('# ') and all(o in text for o in names), f

def is_redirect(file): return 'http-equiv="refresh"' in file.read_text('utf-8')

def pages(out):
    "The pages of the book; what stands at an old address only leads on"
    return sorted(o.relative_to(out).as_posix() for o in out.rglob('*.html') if not is_redirect(o))

def visit(browser, base, size):
    "A page of the browser that notes complaints and outside requests, and the list of them"
    page,complaints = browser.new_page(viewport=sizes[size]),[]
    page.set_default_timeout(120_000) # on a busy machine
    def on_console(m):
        if m.type in ('error', 'warning'):
            complaints.append(f'{m.type}: {m.text} on {page.url}')
    def on_response(r):
        if r.status>=400:
            complaints.append(f'{r.status}: {r.url}')
    def on_request(r):
        if not r.url.startswith((base, 'data:')):
            complaints.append(f'outside request: {r.url} on {page.url}')
    page.on('console', on_console)
    page.on('pageerror', lambda e: complaints.append(f'exception: {e} on {page.url}'))
    page.on('response', on_response)
    page.on('request', on_request)
    return page,complaints

def settle(page, seconds=60):
    "Wait for try.html, which loads itself anew once, with the headers that threads need"
    deadline = time.monotonic()+seconds
    while True:
        try:
            if page.evaluate('document.body.dataset.ready'): return
        except Error as e:
            assert 'context was destroyed' in str(e)
        assert time.monotonic()<deadline, 'try.html is never ready'
        time.sleep(0.05)

FACTS = '''() => Promise.race([document.fonts.ready, new Promise((_, fail) => setTimeout(
    fail, 60000, new Error(`the fonts of ${location} are never ready`)))]).then(() => {
    const all = s => Array.from(document.querySelectorAll(s));
    const short = o =>
        o.tagName.toLowerCase() + '.' + o.className + ' ' + o.textContent.trim().slice(0, 40);
    const source = o => o.src.slice(0, 80);
    const cut = [];  // what is cut off at the right without being in a box that scrolls
    const walk = o => {
        if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(o).overflowX)) return;
        if (o.matches('.katex, .anchorjs-link')) return;
        const r = o.getBoundingClientRect();
        if (r.width && r.right > document.documentElement.clientWidth + 1) cut.push(short(o));
        else Array.from(o.children).forEach(walk);
    };
    all('main, header, footer').forEach(walk);
    const plain = o => {
        const c = o.cloneNode(true);
        c.querySelectorAll('code, .katex').forEach(k => k.remove());
        return c.innerText;
    };
    const texts = 'p, li, td, h1, h2, h3, figcaption, .katex-error'.split(', ');
    const images = Array.from(document.images);
    return {
        text: all(texts.map(o => 'main ' + o).join(', ')).map(plain).join('\\n'),
        words: document.querySelector('main').textContent,
        title: document.title,
        left_out: 'leftOut' in document.body.dataset,
        displays: all('.katex-display').length,
        hidden: all('.katex-display').filter(o => o.scrollWidth > o.clientWidth + 1).map(short),
        headings: all('main :is(h1, h2, h3, h4)').filter(o =>
            o.scrollWidth > o.clientWidth + 1).map(short),
        captions: all('caption, figcaption').filter(o =>
            o.scrollWidth > o.clientWidth + 1 || o.offsetWidth > o.parentElement.clientWidth + 1
        ).map(short),
        errors: all('.katex-error').length,
        images: images.filter(o => !(o.complete && o.naturalWidth)).map(source),
        nameless: images.filter(o => !o.hasAttribute('alt') && !o.closest('.cell')).map(source),
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
    """What stands on each page at a width: seen('wide') -> ({page: facts}, complaints)

    Each page is opened once, as a phone has it, then made wide."""
    out,base = site
    page,complaints = visit(browser, base, 'phone')
    facts = {o: {} for o in ('phone', 'wide')}
    for name in pages(out):
        page.set_viewport_size(sizes['phone'])
        page.goto(base+name, wait_until='load')
        if name=='try.html':
            settle(page)
        for size,there in facts.items():
            page.set_viewport_size(sizes[size])
            there[name] = page.evaluate(FACTS)
    page.close()
    return lambda size: (facts[size],complaints)

RAW_MATHS = r'\$\$|\\begin|\\end\{|\\\(|\\\[|@eq-|\{#eq|\$\S[^$\n]*\S\$'
RAW_MARKUP = r'\{\{<|^:::|\]\('

def flaws(o, size):
    "What is wrong with a page of which `o` are the facts"
    yield from (f'raw math {m!r}' for m in re.findall(RAW_MATHS, o['text']))
    yield from (f'raw markup {m!r}' for m in re.findall(RAW_MARKUP, o['text'], re.M))
    yield from (f'broken image {i}' for i in o['images'])
    yield from (f'image without a description {i}' for i in o['nameless'])
    yield from (f'cut off at the edge of the {size} screen: {i}' for i in o['cut'][:3])
    if o['errors']:
        yield f"KaTeX rejects {o['errors']} formulas"
    if not o['title']:
        yield 'no title'
    if o['wide']>0:
        yield f"{o['wide']} pixels wider than the {size} screen"
    if o['narrow']<.55*sizes[size]['width']:
        yield f"only {o['narrow']} pixels of text on the {size} screen"

@at_each_size
def test_every_page_is_sound(seen, size):
    facts,complaints = seen(size)
    bad = [f'{name}: {flaw}' for name,o in facts.items() for flaw in flaws(o, size)]
    assert not bad+complaints, '\n'.join(bad+complaints)

@at_each_size
def test_what_stands_for_the_page_in_the_tab_is_sound(browser, tmp_path, monkeypatch, capsys, size):
    "Without npm the site is whole, and says what it lacks"
    def missing(): raise FileNotFoundError('npm')
    monkeypatch.setattr(try_page, 'packages', missing)
    try_page.build(tmp_path)
    assert 'try.html was left out: FileNotFoundError: npm' in capsys.readouterr().out
    for name in 'index.html','favicon.svg':
        (tmp_path/name).touch()
    with served(tmp_path) as base:
        page,complaints = visit(browser, base, size)
        page.goto(f'{base}try.html', wait_until='load')
        settle(page)
        facts = page.evaluate(FACTS)
        page.close()
    assert not [*flaws(facts, size), *complaints] and facts['left_out']
    assert 'built without' in facts['text'] and facts['links']==[f'{base}index.html']

@at_each_size
@pytest.mark.parametrize('what', ['captions', 'headings'])
def test_captions_and_headings_are_read_without_scrolling(seen, size, what):
    bad = {name: o[what] for name,o in seen(size)[0].items() if o[what]}
    assert not bad

def test_every_formula_and_its_number_fit_on_a_wide_screen(seen):
    bad = {name: o['hidden'] for name,o in seen('wide')[0].items() if o['hidden']}
    assert not bad

def test_pictures_of_the_card_have_one_caption_and_another_text(site):
    text = (site[0]/'model_card.html').read_text('utf-8')
    captions = re.findall(r'<figcaption>(.+?)</figcaption>', text, re.S)
    said = re.findall(r'<img [^>]*?alt="(.+?)"', text)
    card = (root/'colorized/weights/MODEL_CARD.md').read_text('utf-8')
    italic = re.findall(r'^\*(.+)\*$', card, re.M)
    assert len(captions)==len(said)==len(set(captions+said))/2==3
    assert [html.unescape(o).strip() for o in captions]==italic
    assert '<em>'+captions[0].strip() not in text

def test_no_broken_link_and_no_orphan(site, seen):
    out,base = site
    facts,_ = seen('wide')
    bad,reached = set(),{'index.html'}
    for name,o in facts.items():
        for href in o['links']:
            if not href.startswith(base): continue
            target,_,anchor = href.removeprefix(base).partition('#')
            target = target or 'index.html'
            reached.add(target)
            lost = anchor and target in facts and anchor not in facts[target]['ids']
            lost = lost and not facts[target]['left_out'] # its photographs, too
            if lost or not (out/target).is_file():
                bad.add(f'{name}: {href}')
    bad |= {f'{name}: no link leads there' for name in facts.keys()-reached}
    assert not bad, '\n'.join(sorted(bad))

def test_links_of_the_readme_lead_to_pages(site):
    "It is read outside of the site, so it names whole addresses"
    out,_ = site
    base = re.escape(config['website']['site-url'])
    linked = re.findall(rf'{base}/([\w/.-]+\.html)', (root/'README.md').read_text('utf-8'))
    assert len(linked)>5
    assert not set(linked)-set(pages(out))

def test_old_addresses_lead_on(site, browser):
    out,base = site
    page,complaints = visit(browser, base, 'wide')
    book = set(pages(out))
    reached = {}
    for old in OLD_PAGES:
        assert is_redirect(out/f'{old}.html')
        page.goto(f'{base}{old}.html')
        page.wait_for_url(lambda url: url!=f'{base}{old}.html')
        page.wait_for_load_state('load')
        reached[old] = page.url.removeprefix(base)
    page.close()
    assert set(reached.values())<=book
    assert len(set(reached.values()))==len(OLD_PAGES), 'each page has gone to a place of its own'
    assert reached['scan']=='photo/scan.html' and reached['iiif']=='iiif/publish.html'
    assert not complaints

ON_SCREEN = '''() => {
    const r = document.getElementById(location.hash.slice(1)).getBoundingClientRect();
    return r.top >= 0 && r.top < innerHeight/3;
}'''

@pytest.mark.parametrize('old,new', [
    ('scan.html#write_scan', 'photo/writing.html#write_scan'), # to another chapter than the page
    ('scan.html#scan', 'photo/scan.html#scan'),
    ('metrics.html#report', 'evaluation/report.html#report'), # three parts have a report
    ('learner.html#train', 'training/train.html#train'),
    ('lab.html#how-colorful', 'photo/lab.html#how-colorful'), # no name of the package
    ('experiments/planning.html#measured', 'fleet/planning.html#measured'), # out of a folder
    ('experiments/results.html#things-and-scenes', 'results.html#things-and-scenes')]) # no notebook
def test_an_old_address_of_an_entry_leads_to_the_entry(site, browser, old, new):
    out,base = site
    page,complaints = visit(browser, base, 'wide')
    page.goto(base+old)
    page.wait_for_url(base+new)
    page.wait_for_load_state('load')
    page.wait_for_function(ON_SCREEN) # it scrolls smoothly
    page.close()
    assert not complaints

def test_a_page_may_have_several_old_addresses(site):
    "Each of them leads to a page that is one"
    out,_ = site
    old = docs['_aliases']()
    several = [k for k,new in old.items() if new=='experiments/training.html']
    assert len(several)>1 and 'experiments/held.html' in several
    assert old['experiments/more_collections.html']=='collections.html' # no notebook
    book = set(pages(out))
    assert set(old.values())<=book and not set(old)&book
    for k,new in old.items(): assert is_redirect(out/k) and new in (out/k).read_text('utf-8')

def test_an_old_address_leads_on_without_scripts(site, browser):
    out,base = site
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(base+'learner.html')
    page.wait_for_url(base+'training/learner.html')
    context.close()

def test_previous_and_next_lead_through_the_book(site, browser, seen):
    out,base = site
    facts,_ = seen('phone')
    name_of = lambda url: url.removeprefix(base).removesuffix('.html') or 'index'
    walked,here = [],'index'
    while here:
        walked.append(here)
        following = facts[f'{here}.html']['next']
        if following:
            following = name_of(following)
            assert name_of(facts[f'{following}.html']['previous'])==here
        here = following
    assert walked==sidebar()
    tutorials = {page_of(o).removesuffix('.html') for o in notebooks('tutorials')}
    assert tutorials<=set(walked), 'a tutorial is missing in the sidebar'
    page,complaints = visit(browser, base, 'phone')
    page.goto(base+'theory/schedule.html')
    page.click('.nav-page-next a')
    page.wait_for_url('**/theory/denoiser.html')
    page.click('.nav-page-previous a')
    page.wait_for_url('**/theory/schedule.html')
    page.close()
    assert not complaints

def test_the_sidebar_has_the_chapters_in_their_order():
    "All parts use `files`; it is read where it is needed first"
    assert chapters()[0]=='files'
    order = chapters()[1:]
    order.insert(order.index('batch/claims'), 'files')
    assert [o for o in sidebar() if o in chapters()]==order

def test_the_list_of_chapters_is_that_of_the_sidebar(site, browser):
    "It is made from the numbered parts of the sidebar; each page with its title and subtitle"
    out,base = site
    page,complaints = visit(browser, base, 'wide')
    page.goto(f'{base}contents.html')
    rows = page.locator('main table tbody tr').all()
    shown = [(o.locator('a').get_attribute('href'), o.inner_text()) for o in rows]
    page.close()
    paths = [p for section,paths in sections() if re.match('[IVX]+ ', section) for p in paths]
    assert [href.removeprefix('./') for href,_ in shown]==[
        re.sub(r'\.\w+$', '.html', unnumbered(p)) for p in paths]
    for (_,text),path in zip(shown, paths):
        title = re.match('# (.+)', cells(root/'nbs'/path, 'markdown')[0])[1]
        assert title in text and len(text)>len(title)+5
    assert {unnumbered(p).removesuffix('.ipynb') for p in paths}>=set(chapters())
    assert not complaints

def test_every_formula_is_typeset(seen):
    facts,_ = seen('wide')
    missing = []
    for nb in notebooks():
        text = re.sub(r'```.*?```|`[^`\n]*`', '', '\n\n'.join(cells(nb, 'markdown')), flags=re.S)
        n = len(re.findall(r'\$\$.+?\$\$', text, re.S))
        typeset = facts[page_of(nb)]['displays']
        if typeset<n:
            missing.append(f'{page_of(nb)}: {typeset} of {n} displayed formulas')
    assert not missing, '\n'.join(missing)
    assert facts['theory/schedule.html']['displays']>5

def test_no_first_paragraph_is_lost(seen):
    "nbdev reads title and subtitle from a notebook's first cell and drops what else stands there"
    facts,_ = seen('wide')
    markup = r'\]\([^)]*\)|<[^>]*>|\$[^$]*\$|\{[^}]*\}'
    bad = []
    for nb in notebooks():
        first = re.sub(r'^- [\w-]+:.*$', '', cells(nb, 'markdown')[0], flags=re.M)
        shown = facts[page_of(nb)]['words'].lower()
        words = re.findall(r'[a-z]{4,}', re.sub(markup, ' ', first).lower())
        lost = [w for w in words if w not in shown]
        if lost: bad.append(f'{page_of(nb)}: {lost}')
    assert not bad, '\n'.join(bad)

def methods_inside():
    "Methods in the bodies of classes stand with their class; a patched one has its own entry"
    for module,file in house.modules().items():
        for c in ast.parse(file.read_text('utf-8')).body:
            if isinstance(c, ast.ClassDef):
                yield from ((module, f'{c.name}.{o.name}') for o in c.body
                            if isinstance(o, ast.FunctionDef))

def test_every_exported_name_is_documented(seen):
    facts,_ = seen('wide')
    names,inside = list(exported()),set(methods_inside())
    assert len({module for module,*_ in names})==len(house.modules()) and inside
    missing = []
    for module,name,page,anchor in names:
        ids = facts[page]['ids']
        with_class = (module, name) in inside and name.split('.')[0].lower() in ids
        if anchor not in ids and not with_class:
            missing.append(f'{module}.{name}: no entry #{anchor} on {page}')
    assert not missing, '\n'.join(missing)

def test_the_api_leads_to_entries_of_all_parts(site, seen):
    out,base = site
    facts,_ = seen('wide')
    links = {o.removeprefix(base) for o in facts['api.html']['links']}
    shown = facts['api.html']['words']
    for module in house.modules():
        assert module in shown
        assert f"{module.replace('.', '/')}.html" in links
    assert {'photo/writing.html#write_scan', 'theory/samplers.html#dpmpp_2m'}<=links

CONTRASTS = '''o => {
    const linear = x => x<=.03928 ? x/12.92 : ((x+.055)/1.055)**2.4;
    const light = c => {
        const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => linear(x/255));
        return .2126*v[0]+.7152*v[1]+.0722*v[2];
    };
    const box = o.closest('.smalldocs-search-results');
    const paper = light(getComputedStyle(box).backgroundColor);
    const contrast = ink => (Math.max(ink, paper)+.05)/(Math.min(ink, paper)+.05);
    return Array.from(o.querySelectorAll('div'))
        .map(d => contrast(light(getComputedStyle(d).color)));
}'''

@at_each_size
def test_search_finds_posterior(site, browser, size):
    out,base = site
    page,complaints = visit(browser, base, size)
    page.goto(base)
    if size=='phone': page.click('.navbar-toggler')
    box = page.locator('.smalldocs-search input:visible')
    box.fill('posterior')
    found = page.locator('.search-result:visible').first
    found.wait_for()
    assert 'posterior' in found.inner_text().lower()
    contrasts = found.evaluate(CONTRASTS)
    assert min(contrasts)>=4.5, f'contrast of the search results: {contrasts}'
    r = found.bounding_box()
    assert 0<=r['x'] and r['x']+r['width']<=sizes[size]['width']+1
    found.click()
    page.wait_for_url(lambda url: url.removesuffix('index.html')!=base)
    assert 'posterior' in page.inner_text('main').lower()
    page.close()
    assert not complaints

def chroma(png):
    "Mean distance of a picture's colors from gray, in 8-bit steps"
    from PIL import Image
    bands = Image.open(io.BytesIO(png)).convert('RGB').split()
    values = lambda o: o.get_flattened_data() if hasattr(o, 'get_flattened_data') else o.getdata()
    spread = [max(p)-min(p) for p in zip(*map(values, bands))]
    return sum(spread)/len(spread)

CLIP = 'o => getComputedStyle(o.querySelector(".compare-before")).clipPath'

@at_each_size
@pytest.mark.parametrize('name', ['index.html', 'gallery.html'])
def test_sliders_obey_mouse_and_keyboard(site, browser, size, name):
    out,base = site
    page,complaints = visit(browser, base, size)
    page.goto(base+name)
    n = page.locator('.compare').count()
    assert n>=3 and page.locator('.compare.compare-ready').count()==n
    box = page.locator('.compare').nth(0)
    slider = box.locator('input')
    slider.scroll_into_view_if_needed()
    value = lambda: float(slider.input_value())
    assert value()==50
    r = box.bounding_box()
    y = r['y']+r['height']/2
    at = lambda share: (r['x']+share*r['width'], y)
    page.mouse.move(*at(.5))
    page.mouse.down()
    page.mouse.move(*at(.3), steps=3)
    page.mouse.move(*at(.2), steps=3)
    page.mouse.up()
    assert 10<value()<30, 'dragged to a fifth of the width'
    page.mouse.click(*at(.75))
    assert 65<value()<85, 'clicked at three quarters'
    before = value()
    page.keyboard.press('ArrowLeft')
    assert value()==before-1 and page.evaluate('document.activeElement.type')=='range'
    assert slider.get_attribute('aria-label')
    assert f'{int(before)-1} %' in slider.get_attribute('aria-valuetext')
    page.evaluate('document.styleSheets[0].insertRule(".compare-line { display: none }")')
    page.keyboard.press('End')
    gray = chroma(box.screenshot())
    page.keyboard.press('Home')
    colored = chroma(box.screenshot())
    assert gray<1 and colored>gray+2, 'left end: all color, right end: the photograph alone'
    page.close()
    assert not complaints

OPEN_SECTIONS = '''Array.from(document.querySelectorAll('#quarto-sidebar .sidebar-item-section'))
    .filter(o => o.querySelector('ul').getBoundingClientRect().height > 0)
    .map(o => o.querySelector('.menu-text').textContent.trim())'''
ACTIVE = '''(o => o.top >= 0 && o.bottom <= innerHeight)(
    document.querySelector("#quarto-sidebar .active").getBoundingClientRect())'''

@pytest.mark.parametrize('name', ['index', 'fleet/run', 'iiif/publish', 'citation'])
def test_sidebar_shows_where_one_is(site, browser, name):
    "The part that is read is open, the others are folded"
    out,base = site
    page,_ = visit(browser, base, 'wide')
    page.goto(f'{base}{name}.html')
    visible,unfolded = page.evaluate(ACTIVE),page.evaluate(OPEN_SECTIONS)
    page.close()
    pages_of = {section: [unnumbered(o) for o in paths] for section,paths in sections() if section}
    here = [k for k,paths in pages_of.items() if f'{name}.ipynb' in paths]
    assert visible
    assert unfolded==here

HEADS = '''Array.from(document.querySelectorAll('.words td:not(:first-child)')).map(o => [
    o.dataset.head, getComputedStyle(o, '::before').content,
    o.getBoundingClientRect().right <= innerWidth])'''

def test_a_phone_says_in_which_column_a_cell_stood(site, browser):
    out,base = site
    page,_ = visit(browser, base, 'phone')
    page.goto(base+'comparison.html')
    heads = page.evaluate(HEADS)
    page.close()
    assert len(heads)>50
    assert all(head and head in shown and fits for head,shown,fits in heads)

def test_readme_is_the_home_page():
    shown = (root/'README.md').read_text('utf-8')
    assert shown==docs['readme'](write=False), 'run python tools/docs.py'

def test_pictures_of_the_readme_exist():
    text = (root/'README.md').read_text('utf-8')
    assert text.index('![')<text.index('```sh'), 'before and after come first'
    assert all((root/o).is_file() for o in re.findall(r'\]\(((?!https?:)[^)#]+)\)', text))

def test_gallery_shows_the_model_of_the_package():
    weights = (root/'colorized/weights/default.safetensors').read_bytes()
    model = hashlib.sha256(weights).hexdigest()[:8]
    shown = (root/'nbs/images/gallery/model.html').read_text('utf-8')
    assert f'data-model="{model}"' in shown, 'run python tools/gallery.py, look at its pictures'

def test_pictures_are_light_and_told_where_they_come_from():
    files = [o for o in (root/'nbs/images').rglob('*') if o.is_file()]
    assert sum(o.stat().st_size for o in files)<3_200_000
    sources = (root/'nbs/images/SOURCES.md').read_text('utf-8')
    pictures = [o for o in files if o.parent.name=='images' and o.suffix!='.md']
    assert not [o.name for o in pictures if f'`{o.name}`' not in sources]
