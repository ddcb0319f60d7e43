"The desk as people use it: a real browser, the keyboard, a screen reader's view, two reviewers"
import json, os, time
import pytest
from axe_playwright_python.sync_playwright import Axe
from desk_tools import NAMES, ask, free_port, photographs, serving
from colorized.batch.ledger import read_report
from colorized.desk.server import open_review, serve_desk

SIZES = dict(wide=dict(width=1280, height=800), phone=dict(width=390, height=844))

class Reviewer:
    "A person with a browser; complaints of the browser and all requests are noted"
    def __init__(self, browser, url, size='wide', **context):
        settings = dict(viewport=SIZES[size], reduced_motion='reduce')
        self.url,self.context = url,browser.new_context(**{**settings, **context})
        self.requests,self.complaints = [],[]
        self.context.on('request', lambda r: self.requests.append(r.url))
        self.context.on('console', self._note)
        self.context.on('weberror', lambda e: self.complaints.append(f'exception: {e.error}'))
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.goto(url)
        self.page.wait_for_selector('body[data-ready]')
    def _note(self, message):
        if message.type in ('error', 'warning'): self.complaints.append(message.text)
    def until(self, js, arg=None, seconds=30):
        "The page's own policy forbids to evaluate strings in it, as `wait_for_function` does"
        deadline = time.monotonic()+seconds
        while not (o := self.page.evaluate(js, arg)):
            assert time.monotonic()<deadline, (js, arg, self.complaints)
            self.page.wait_for_timeout(20)
        return o
    def press(self, *keys):
        for o in keys: self.page.keyboard.press(o)
    def kept(self):
        "{path: state} on the server, once everything has arrived there"
        self.until('document.getElementById("unkept").hidden')
        self.page.wait_for_timeout(100)
        told = ask(self.url+'album')[1]
        paths = {o['key']: k for k,o in photographs(self.url).items()}
        return {paths[k]: o for k,o in told['states'].items()}
    def decided(self): return {k: o['decision'] for k,o in self.kept().items()}
    @property
    def current(self):
        "The label of the photograph that has the focus"
        js = '''() => { const box = document.getElementById("grid")
            return document.getElementById(box.getAttribute("aria-activedescendant")).ariaLabel }'''
        return self.page.evaluate(js)
    @property
    def focus(self): return self.page.evaluate('document.activeElement.id')
    @property
    def said(self): return self.page.inner_text('#said')
    @property
    def messages(self): return self.page.locator('#messages p').all_inner_texts()
    def order(self):
        js = '''[...document.querySelectorAll(".cell")]
            .sort((a, b) => a.ariaPosInSet-b.ariaPosInSet).map(o => o.title)'''
        return self.page.evaluate(js)
    def close(self, expect=()):
        self.context.close()
        outside = [o for o in self.requests if not o.startswith((self.url, 'data:'))]
        assert len(self.requests)>5 and not outside, outside
        left = [o for o in self.complaints if not any(e in o for e in expect)]
        assert not left, left

@pytest.fixture
def desk(home, model):
    with serving(home/'color', model, originals=home/'scans') as o: yield o

@pytest.fixture
def anna(desk, browser):
    o = Reviewer(browser, desk[0])
    yield o
    o.close()

def by_doubt(folder):
    rows = read_report(folder).values()
    return [o['path'] for o in sorted(rows, key=lambda o: (-o['uncertainty'], o['path']))]

# ---- by keyboard ----
def test_an_afternoon_by_keyboard(anna, home):
    first,second,third,fourth,fifth,sixth = want = by_doubt(home/'color')
    assert anna.order()==want and anna.focus=='grid' # the most doubtful first
    assert anna.current.startswith(f'{first}, undecided, uncertainty ')
    anna.press('a', 'x', 'f')
    assert anna.current.startswith(f'{fourth}, undecided')
    anna.press('n')
    anna.page.keyboard.type('Roof was slate')
    anna.press('Control+Enter')
    assert anna.focus=='grid'
    anna.press('ArrowRight', 'a', 'u')
    kept = anna.kept()
    assert {k: o['decision'] for k,o in kept.items()}=={first: 'accepted', second: 'rejected',
        third: 'flagged', fourth: 'undecided', fifth: 'accepted', sixth: 'undecided'}
    assert kept[fourth]['note']=='Roof was slate' and kept[fourth]['reviewer']=='Anna'
    assert anna.order()==want # nothing moves under the hand
    assert anna.page.inner_text('#count')=='4 of 6 decided'
    anna.press('r')
    assert anna.order()==[fourth, sixth, first, second, third, fifth]

def test_undo_and_redo_also_after_a_restart(home, model, browser):
    port,want = free_port(),by_doubt(home/'color')
    start = lambda: serve_desk(open_review(home/'color', reviewer='Anna', model=str(model)),
                               port=port, wait=False)
    url,end = start()
    v = Reviewer(browser, url)
    v.press('a', 'x')
    both = {want[0]: 'accepted', want[1]: 'rejected'}
    assert v.decided()==both
    end()
    url,end = start()
    v.page.reload()
    v.page.wait_for_selector('body[data-ready]')
    v.press('Control+z', 'Control+z')
    assert {o['decision'] for o in v.kept().values()}=={'undecided'}
    v.until('p => document.getElementById("said").textContent.includes(p)', want[0])
    assert v.current.startswith(want[0]) # undo leads to what it changed
    v.press('Control+z')
    v.until('document.querySelectorAll("#messages p").length')
    assert 'nothing to undo' in v.messages[0]
    v.press('Control+y', 'Control+Shift+Z')
    assert v.decided()==both
    v.close(['400', 'ERR_CONNECTION'])
    end()

def test_several_at_once_are_one_action(anna, home):
    want = by_doubt(home/'color')
    anna.press('Shift+ArrowRight', 'Shift+ArrowRight', 'a')
    assert {k for k,o in anna.kept().items() if o['decision']=='accepted'}==set(want[:3])
    anna.press('Control+z')
    assert {o['decision'] for o in anna.kept().values()}=={'undecided'}
    anna.press('Control+a', 'x')
    assert {o['decision'] for o in anna.kept().values()}=={'rejected'}

def test_sorting_and_filtering(anna, home):
    page = anna.page
    anna.press('a')
    page.select_option('#order', 'name')
    assert anna.order()==sorted(NAMES)
    page.get_by_role('radio', name='Accepted').click()
    assert anna.order()==by_doubt(home/'color')[:1]
    page.get_by_role('radio', name='All').click()
    page.select_option('#folder', '1910')
    assert anna.order()==['1910/barn.jpg', '1910/boat.png']
    anna.press('n')
    page.keyboard.type('a fine barn')
    anna.press('Control+Enter')
    page.select_option('#folder', '*')
    page.fill('#search', 'FINE')
    assert len(anna.order())==1
    page.fill('#search', 'no such')
    assert page.is_visible('#empty') and not page.is_visible('#grid')
    page.click('#all')
    assert len(anna.order())==6 and anna.focus=='grid'
    anna.press('/')
    assert anna.focus=='search'
    page.keyboard.type('axf') # letters, not decisions
    anna.press('Escape')
    assert anna.focus=='all' and len(anna.kept())==2
    anna.press('Enter')
    assert anna.focus=='grid' and len(anna.order())==6

def test_single_keys_can_be_switched_off(anna):
    anna.press('?')
    assert anna.page.is_visible('#keys')
    anna.press('a') # behind the window nothing is decided
    anna.page.uncheck('#single')
    anna.press('Escape', 'a', 'x', '+', 's', '1')
    assert anna.page.is_hidden('#loupe') and not anna.kept()
    anna.press('ArrowRight', 'Enter')
    assert anna.page.is_visible('#loupe')
    anna.page.click('#accepted')
    assert [o['decision'] for o in anna.kept().values()]==['accepted']

def test_the_map_names_every_key_that_does_something(anna):
    anna.press('Shift+?')
    rows = anna.page.locator('#map tr').all_inner_texts()
    assert len(rows)>=28 and any('Accept' in o for o in rows) and all('\t' in o for o in rows)

# ---- the loupe ----
def shown(v, id='color'):
    return v.page.evaluate('id => document.getElementById(id)?.getAttribute("src") ?? ""', id)

def test_the_loupe_shows_gray_and_color_and_every_pixel(anna, home):
    want = by_doubt(home/'color')
    key = photographs(anna.url)[want[0]]['key']
    anna.press('Enter')
    anna.until('k => document.getElementById("color")?.src.includes(k)', f'color/{key}/')
    assert anna.focus=='loupe' and want[0] in anna.page.inner_text('#what')
    anna.press('w')
    anna.until('k => document.getElementById("gray")?.src.includes(k)', f'gray/{key}/')
    clip = 'getComputedStyle(document.getElementById("color")).clipPath'
    assert anna.page.evaluate(clip).endswith('50%)') and anna.page.input_value('#wipe')=='50'
    anna.press(']', 'g')
    assert anna.page.evaluate(clip).endswith('100%)')
    anna.press('g', 'z')
    anna.until('k => document.getElementById("color")?.src.includes(k)', f'color/{key}/full')
    box = anna.page.evaluate('document.getElementById("frame").style.width')
    assert box=='120px' and anna.page.get_attribute('#zoom', 'aria-pressed')=='true'
    anna.press('z', 'ArrowRight')
    assert want[1] in anna.page.inner_text('#what') and f'2 of 6: {want[1]}' in anna.said
    anna.press('i')
    anna.until('document.querySelectorAll("#about li").length>2')
    anna.press('Escape')
    assert anna.focus=='grid' and anna.current.startswith(want[1])

def test_neighbors_are_loaded_ahead(anna, home):
    want,known = by_doubt(home/'color'),photographs(anna.url)
    anna.press('ArrowRight', 'ArrowRight', 'Enter')
    near = [known[want[i]]['key'] for i in (0, 1, 3, 4)]
    deadline = time.monotonic()+10
    while not all(any(f'color/{k}/' in o for o in anna.requests) for k in near):
        assert time.monotonic()<deadline
        anna.page.wait_for_timeout(20)
    before = len(anna.requests)
    anna.press('ArrowRight')
    anna.until('k => document.getElementById("color")?.src.includes(k)', known[want[3]]['key'])
    asked = [o for o in anna.requests[before:] if known[want[3]]['key'] in o]
    assert not asked # it was there already

def test_another_seed_and_a_stronger_color(anna, home, desk):
    path = by_doubt(home/'color')[0]
    key = photographs(anna.url)[path]['key']
    anna.press('s')
    anna.until('document.querySelectorAll("#seeds .there").length==9')
    labels = anna.page.locator('#seeds [role=radio]').all_inner_texts()
    assert 'Seed 0, in the album' in labels[0] and 'Seed 8' in labels[8]
    anna.press('ArrowRight', '3')
    anna.until('k => document.getElementById("color")?.src.includes(k)', f'colorings/{key}/2/run/')
    assert anna.kept()[path]['seed']==2
    anna.press('+', '+')
    assert anna.kept()[path]['strength']==1.2
    anna.until('k => document.getElementById("color")?.src.includes(k)', f'{key}/2/1.2/')
    anna.press('-')
    assert anna.kept()[path]['strength']==1.1
    anna.press('0')
    state = anna.kept()[path]
    assert (state['seed'], state['strength'], state['decision'])==(None, None, 'undecided')
    anna.until('k => document.getElementById("color")?.src.includes(k)', f'color/{key}/')

def test_without_originals_other_colorings_say_what_is_missing(home, model, browser):
    os.rename(home/'scans', home/'gone')
    rows = [dict(o, source=str(home/'scans')) for o in read_report(home/'color').values()]
    (home/'color/report.jsonl').write_text('\n'.join(map(json.dumps, rows))+'\n')
    with serving(home/'color', model) as (url,_):
        v = Reviewer(browser, url)
        v.press('s')
        v.until('document.getElementById("seeds").innerText.includes("--originals")')
        v.press('Escape', 'g') # gray from the color version
        v.until('document.getElementById("gray")?.complete')
        v.close()

# ---- trouble ----
def test_what_is_wrong_is_shown_and_the_rest_works(home, model, browser):
    (home/'color/farm.jpg').unlink()
    data = bytearray((home/'color/mill.jpg').read_bytes())
    data[20:-2] = b'x'*(len(data)-22) # of the same size
    (home/'color/mill.jpg').write_bytes(data)
    with serving(home/'color', model) as (url,_):
        v = Reviewer(browser, url)
        label = 'n => document.querySelector(`.cell[title="${n}"]`).ariaLabel'
        v.until(f'n => ({label})(n).includes("unreadable")', 'mill.jpg')
        assert 'gone is not in the album any more' in v.page.evaluate(label, 'farm.jpg')
        v.page.get_by_role('radio', name='Trouble').click()
        assert set(v.order())=={'farm.jpg', 'mill.jpg'}
        v.press('Enter')
        assert v.page.is_visible('#broken') or v.page.is_visible('#frame')
        v.press('f', 'Escape')
        assert [o['decision'] for o in v.kept().values()]==['flagged']
        v.close(['404'])

def test_a_second_reviewer_is_told_and_sees_the_first(anna, browser, home):
    path = by_doubt(home/'color')[0]
    max_ = Reviewer(browser, anna.url)
    max_.page.click('#reviewer')
    max_.page.fill('#reviewer-name', 'Max')
    max_.press('Enter')
    max_.page.evaluate('document.getElementById("grid").focus()')
    anna.press('a')
    anna.kept()
    max_.press('x') # before his page has heard of it
    max_.until('document.querySelectorAll("#messages p").length')
    assert f'Anna has decided about “{path}” meanwhile (accepted)' in max_.messages[0]
    assert anna.kept()[path]['decision']=='accepted'
    label = 'n => document.querySelector(`.cell[title="${n}"]`).ariaLabel'
    assert 'accepted, by Anna' in max_.page.evaluate(label, path)
    max_.press('ArrowLeft', 'x') # now he has seen it
    assert max_.kept()[path]['reviewer']=='Max'
    anna.until(f'n => ({label})(n).includes("rejected, by Max")', path, seconds=10)
    max_.close(['409'])

def test_what_the_server_cannot_hear_is_kept_until_it_is_back(home, model, browser):
    port = free_port()
    start = lambda: serve_desk(open_review(home/'color', reviewer='Anna', model=str(model)),
                               port=port, wait=False)
    url,end = start()
    v = Reviewer(browser, url)
    end()
    v.press('a', 'x', 'f')
    v.until('document.getElementById("unkept").textContent.includes("3 not kept yet")')
    assert not v.page.evaluate('dispatchEvent(new Event("beforeunload", {cancelable:true}))')
    _,end = start()
    v.until('document.getElementById("unkept").hidden')
    assert sorted(o['decision'] for o in v.kept().values())==['accepted', 'flagged', 'rejected']
    v.close(['ERR_CONNECTION'])
    end()

def test_looking_only_says_why(home, model, browser):
    with serving(home/'color', model, look_only=True) as (url,_):
        v = Reviewer(browser, url)
        assert 'nothing can be decided here: the desk was opened' in v.page.inner_text('#notice')
        v.press('Enter')
        v.until('document.getElementById("color")?.complete')
        v.press('a', 'n', '+')
        assert len(v.messages)==1 and 'Nothing can be decided here' in v.messages[0]
        assert not v.kept()
        v.close()

def test_a_name_and_a_note_are_never_markup(home, model, browser):
    evil = '<img src=x onerror="document.title=1">.jpg'
    row = read_report(home/'color')['farm.jpg']
    os.rename(home/'color/farm.jpg', home/'color'/evil)
    with open(home/'color/report.jsonl', 'a') as f:
        f.write(json.dumps(dict(row, path=evil, output=evil))+'\n')
    with serving(home/'color', model) as (url,_):
        v = Reviewer(browser, url)
        v.page.fill('#search', 'onerror')
        v.press('Escape', 'n')
        v.page.keyboard.type('<b id=evil>')
        v.press('Control+Enter', 'Enter', 'i')
        v.until('document.getElementById("about").textContent.includes("<b id=evil>")')
        assert evil in v.page.inner_text('#what') and not v.page.locator('#evil').count()
        assert v.page.evaluate('document.title')=='color: desk'
        v.close()

# ---- a large album ----
@pytest.fixture(scope='module')
def large(made, tmp_path_factory):
    "3,000 links to six photographs; without a measured uncertainty"
    home = tmp_path_factory.mktemp('large')
    rows = list(read_report(made/'color').values())
    with open(home/'report.jsonl', 'w') as f:
        for i in range(3000):
            row = rows[i%6]
            name = f'{i:04}{os.path.splitext(row["output"])[1]}'
            os.link(made/'color'/row['output'], home/name)
            f.write(json.dumps(dict(row, path=name, output=name, uncertainty=None))+'\n')
    return home

def test_a_large_album_is_drawn_where_it_is_seen(large, model, browser):
    with serving(large, model) as (url,_):
        v = Reviewer(browser, url)
        cells = 'document.querySelectorAll(".cell").length'
        assert 20<v.page.evaluate(cells)<80
        assert '--uncertainty' in v.page.inner_text('#notice')
        assert v.page.input_value('#order')=='undecided'
        v.press('End')
        assert v.current.startswith('2999') and v.page.evaluate(cells)<80
        v.until('''() => { const o = document.querySelector('.cell[title^="2999"] img')
            return o?.complete && o.naturalWidth }''')
        assert sum('/thumbnails/' in o for o in v.requests)<160
        v.press('Home', 'PageDown', 'ArrowDown')
        posinset = 'document.querySelector(".cell.current").ariaPosInSet'
        assert 13<=int(v.page.evaluate(posinset))<100
        seen = '''() => { const c = document.querySelector(".cell.current").getBoundingClientRect()
            const g = document.getElementById("grid").getBoundingClientRect()
            return c.top >= g.top && c.bottom <= g.bottom+1 }'''
        assert v.page.evaluate(seen)
        v.page.evaluate('document.getElementById("grid").scrollTop = 5000')
        v.until('''() => { const c = [...document.querySelectorAll(".cell")], g = document
            .getElementById("grid").getBoundingClientRect()
            return c.some(o => { const b = o.getBoundingClientRect()
                return b.top > g.top && b.bottom < g.bottom }) }''')
        v.close()

# ---- for everybody ----
def check_axe(v, state):
    "No violations of WCAG 2.2 AA, judged by axe-core, and nothing of low contrast"
    tags = 'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'
    options = dict(resultTypes=['violations', 'passes'],
                   runOnly=dict(type='tag', values=list(tags)))
    r = Axe().run(v.page, options=options).response
    wrong = [(o['id'], [n['html'][:200] for n in o['nodes']]) for o in r['violations']]
    assert not wrong, (state, wrong)
    nodes = [n for o in r['passes'] if o['id']=='color-contrast' for n in o['nodes']]
    data = [d['data'] for n in nodes for d in n['any']]
    return [o['contrastRatio'] for o in data if o.get('contrastRatio')]

@pytest.mark.parametrize('size', ['wide', pytest.param('phone', marks=pytest.mark.slow)])
def test_axe_finds_no_barrier(desk, browser, size):
    v = Reviewer(browser, desk[0], size)
    v.press('a', 'x', 'f', 'n')
    found = check_axe(v, 'note')
    v.page.keyboard.type('x')
    v.press('Control+Enter')
    found += check_axe(v, 'grid')
    v.press('?')
    found += check_axe(v, 'keys')
    v.press('Escape')
    v.page.click('#deliver')
    found += check_axe(v, 'deliver')
    v.press('Escape')
    v.page.evaluate('document.getElementById("grid").focus()')
    v.press('Enter', 'w', 'i')
    v.until('document.querySelectorAll("#about li").length')
    found += check_axe(v, 'loupe')
    v.press('i', 'z')
    found += check_axe(v, 'every pixel')
    v.press('z', 's')
    v.until('document.querySelectorAll("#seeds .there").length==9')
    found += check_axe(v, 'seeds')
    v.page.evaluate('document.documentElement.scrollWidth<=innerWidth') or pytest.fail('too wide')
    assert len(found)>60 and min(found)>=4.5, min(found)
    v.close()

SMALL = '''[...document.querySelectorAll('button, select, input, a')].filter(o => {
    const b = (o.closest('label.check') ?? o).getBoundingClientRect()
    return b.width && (b.width < 24 || b.height < 24) }).map(o => o.id || o.outerHTML)'''

def test_everything_has_a_button_large_enough(desk, browser):
    "WCAG 2.5.8: 24 pixels"
    for size in SIZES:
        v = Reviewer(browser, desk[0], size)
        assert not v.page.evaluate(SMALL)
        v.press('Enter', '?')
        assert not v.page.evaluate(SMALL)
        v.close()

def test_tab_goes_from_top_to_bottom(anna):
    seen = ['grid']
    for _ in range(40):
        anna.press('Tab')
        seen.append(anna.focus or anna.page.evaluate('document.activeElement.value'))
        if seen[-1]=='accepted' and len(seen)>2: break
    assert seen[:2]==['grid', 'accepted']
    before = []
    anna.page.evaluate('document.activeElement.blur()')
    anna.page.evaluate('document.getElementById("size").focus()')
    for _ in range(9):
        before.append(anna.focus or anna.page.evaluate('document.activeElement.value'))
        anna.press('Tab')
    assert before==['size', 'reviewer', 'deliver', 'help', 'all', 'order', 'folder', 'search',
                    'grid']

def test_a_state_is_a_shape_and_a_word_besides_its_color(anna):
    anna.press('a', 'x', 'f')
    anna.kept()
    js = '''Object.fromEntries([...document.querySelectorAll(".cell")].map(o =>
        [o.ariaLabel.split(", ")[1], o.querySelector(".mark use").getAttribute("href")]))'''
    marks = anna.page.evaluate(js)
    assert set(marks)=={'accepted', 'rejected', 'flagged', 'undecided'}
    assert len(set(marks.values()))==4

def test_what_happens_is_said(anna, home):
    want = by_doubt(home/'color')
    anna.press('a')
    assert anna.said.startswith(f'{want[0].rpartition("/")[2]} accepted. {want[1]}, undecided')
    for id in 'said','busy','unkept','delivered': # heard without being looked at
        assert anna.page.get_attribute(f'#{id}', 'role')=='status'
    assert anna.page.get_attribute('#messages', 'aria-live')=='assertive'

def test_reduced_motion(desk, browser):
    moves = '''() => [...document.querySelectorAll(".picture img")].some(o =>
        getComputedStyle(o).transitionDuration !== "0s")'''
    found = []
    for wish in 'reduce','no-preference':
        v = Reviewer(browser, desk[0], reduced_motion=wish)
        found.append(v.page.evaluate(moves))
        v.close()
    assert found==[False, True]

def test_high_contrast(desk, browser):
    v = Reviewer(browser, desk[0], forced_colors='active')
    v.press('a')
    style = '''s => getComputedStyle(document.querySelector(s)).outlineStyle'''
    assert v.page.evaluate(style, '.cell.current')=='solid'
    v.close()

def test_letters_of_twice_the_size(desk, browser):
    v = Reviewer(browser, desk[0], 'phone')
    v.page.evaluate('document.documentElement.style.fontSize = "200%"')
    assert v.page.evaluate('document.documentElement.scrollWidth')<=390
    v.press('Enter')
    assert v.page.evaluate('document.documentElement.scrollWidth')<=390
    v.close()
