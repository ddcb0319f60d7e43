"The web page as its visitors meet it: photographs of the archive, a real browser, no network"
import base64, io, json, re, signal, time
from pathlib import Path
from urllib.request import Request, urlopen
import numpy as np, pytest, tifffile, torch
from PIL import Image
from colorized.app.strokes import draw_strokes
from colorized.inference.colorization import MAX_UNCERTAINTY
from colorized.photo.lab import rgb_to_lab
from colorized.photo.reading import read_scan
from exif import change, exiftool, tags

root = Path(__file__).resolve().parents[2]
images = root/'nbs/images'
sizes = dict(wide=dict(width=1280, height=900), phone=dict(width=390, height=844))

# ---- visitors ----
class Visitor:
    "A person with a browser; complaints of the browser and all requests are noted"
    def __init__(self, browser, base, **context):
        settings = dict(viewport=sizes['wide'], reduced_motion='reduce')
        self.context = browser.new_context(**dict(settings, **context))
        self.requests,self.complaints = [],[]
        self.context.on('request', lambda r: self.requests.append(r.url))
        self.context.on('console', self._note)
        self.context.on('weberror', lambda e: self.complaints.append(f'exception: {e.error}'))
        self.page = self.context.new_page()
        self.page.set_default_timeout(240_000)
        self.page.goto(base)
        self.page.wait_for_selector('body[data-ready]')
    def _note(self, message):
        if message.type in ('error', 'warning'):
            self.complaints.append(f'{message.type}: {message.text}')
    def until(self, js, arg=None, seconds=240):
        """Wait for a condition.

        The page's own policy forbids to evaluate strings in it, as `wait_for_function` does"""
        deadline = time.monotonic()+seconds
        while not (o := self.page.evaluate(js, arg)):
            assert time.monotonic()<deadline, f'{js} {arg}: {self.messages}'
            self.page.wait_for_timeout(20)
        return o
    def bring(self, *files):
        self.page.set_input_files('#files', files)
    def rest(self, n):
        "Wait until `n` photographs are colored and nothing is under way"
        rests = 'p => p.state=="ready" && !p.painting && !p.busy && !p.sampling'
        self.until(f'n => photos.length==n && photos.every({rests})', n)
    @property
    def messages(self):
        return self.page.locator('#messages p').all_inner_texts()
    def picture(self, id='after'):
        "(H,W,4) uint8 as the page shows it"
        data = self.page.get_attribute(f'#{id}', 'src').split(',')[1]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert('RGBA'))
    def after(self, act, rest=True):
        "Do something that changes the colors; seconds until the page shows them"
        self.until('!now.painting')
        src = self.page.get_attribute('#after', 'src')
        start = time.monotonic()
        act()
        self.until('s => document.getElementById("after").src!=s', src)
        seconds = time.monotonic()-start
        if rest:
            self.until('!now.painting')
        return seconds
    def press(self, key, n=1):
        for _ in range(n):
            self.page.keyboard.press(key)
    def focus(self):
        js = '(o => o.id || o.name || o.type)(document.activeElement)'
        return self.page.evaluate(js)
    def tab_to(self, name):
        for _ in range(40):
            self.press('Tab')
            if self.focus()==name: return
        raise AssertionError(f'{name} cannot be reached with Tab')
    def stroke(self, color, x, y, dx=0.05, dy=0.):
        "Paint with the mouse: a palette color, where it begins, how far it goes (fractions)"
        self.page.get_by_role('radio', name=color, exact=True).check(force=True)
        b,mouse = self.page.locator('#canvas').bounding_box(),self.page.mouse
        at = lambda u,v: (b['x']+u*b['width'], b['y']+v*b['height'])
        mouse.move(*at(x, y))
        mouse.down()
        mouse.move(*at(x+dx, y+dy), steps=5)
        mouse.up()
    def download(self, folder, button='#save'):
        with self.page.expect_download() as d:
            self.page.click(button)
        path = folder/d.value.suggested_filename
        d.value.save_as(path)
        return path
    def close(self, base):
        "The visit ends, and the page says so; nothing was asked for outside, nothing went wrong"
        outside = [o for o in self.requests if not o.startswith((base, 'data:', 'blob:'))]
        renew = Request(f"{base}visits/{self.page.evaluate('visit.visitor')}", method='POST')
        for o in (self.page, self.context):
            o.unroute_all() # what is intercepted as the page closes may be lost, its last word too
        self.page.close()
        deadline = time.monotonic()+30
        # the browser passes the word on, which the end of the context would cut short
        while json.load(urlopen(renew))['here']:
            assert time.monotonic()<deadline, 'the page left without a word'
            time.sleep(0.1)
        self.context.close()
        assert len(self.requests)>3 and not outside, outside
        assert not self.complaints, self.complaints

@pytest.fixture
def visitor(server, browser):
    v = Visitor(browser, server.base)
    yield v
    v.close(server.base)

# ---- helpers ----
def ab(pixels):
    rgb = torch.from_numpy(pixels[...,:3].copy()).permute(2,0,1)
    return rgb_to_lab(rgb[None])[0,1:].numpy()

def chroma(pixels):
    return np.hypot(*ab(pixels)).mean()

def patch_ab(pixels, x, y):
    "Mean chroma around a point"
    h,w = pixels.shape[:2]
    r,i,j = round(0.015*min(h, w)),round(y*h),round(x*w)
    return ab(pixels[i-r:i+r, j-r:j+r]).mean((1,2))

def no_files_within(server, seconds, but=frozenset()):
    deadline = time.monotonic()+seconds
    while set(server.kept)-but and time.monotonic()<deadline:
        time.sleep(0.1)
    return not set(server.kept)-but

@pytest.fixture(scope='module')
def tiff(tmp_path_factory):
    "A 16-bit scan with an archive's metadata, made of a postcard of 1910"
    path = tmp_path_factory.mktemp('scan')/'Moscow, Idaho 1910 (ü).tif'
    gray = read_scan(images/'campus-1910.jpg').pixels
    gray = gray if gray.ndim==2 else gray[...,1]
    low = np.arange(gray.shape[1], dtype=np.uint16)%200*(gray>0)
    tifffile.imwrite(path, gray.astype(np.uint16)*257-low, photometric='minisblack')
    change(path, '-IFD0:Artist=Unknown', '-XMP-dc:Title=Administration building',
        '-XMP-dc:Rights=Public Domain', '-IPTC:City=Moscow')
    return path

# ---- what they do ----
def check_uncertainty(v, whole):
    "Against the library's own"
    v.page.check('#show-uncertainty')
    v.until('!$("uncertainty").hidden')
    overlay = v.picture('uncertainty')[...,3].astype(float)
    want = Image.fromarray(whole.uncertainty).resize(overlay.shape[::-1], Image.BOX)
    want = np.asarray(want).clip(0, MAX_UNCERTAINTY)
    assert overlay.shape==(309, 480) and overlay.std()>2
    assert np.corrcoef(overlay.flat, want.flat)[0,1]>0.99
    v.page.uncheck('#show-uncertainty')
    assert v.page.is_hidden('#uncertainty')

def check_slider(v):
    b,mouse = v.page.locator('#frame').bounding_box(),v.page.mouse
    mouse.move(b['x']+b['width']/2, b['y']+100)
    mouse.down()
    mouse.move(b['x']+b['width']/4, b['y']+100, steps=3)
    mouse.up()
    assert v.page.evaluate('getComputedStyle($("after")).clipPath').endswith('25%)')
    assert v.page.input_value('#split')=='25'

def check_hint(v):
    "Obeyed at once"
    at,red = (0.3, 0.87),np.array(ab(np.array([[[0x9c,0x2f,0x2c]]], np.uint8)))[:,0,0]
    before = patch_ab(v.picture(), *at)
    v.after(lambda: v.stroke('Red', at[0]-0.025, at[1]))
    now = patch_ab(v.picture(), *at)
    far = lambda o: np.linalg.norm(o-red)
    assert now[0]>before[0]+10 and far(now)<0.6*far(before), (before, now)

def check_effort(v, server, colorizer, tiff):
    """Two seconds are promised for a stroke.

    As computing time, whatever else this machine does; half of it where a processor has bfloat16"""
    def effort(y):
        v.rest(1)
        start = server.cpu
        wall = v.after(lambda: v.stroke('Leaf green', 0.8, y), rest=False)
        return server.cpu-start,wall
    cpu,wall = min(effort(y) for y in (0.8, 0.75))
    start = time.process_time()
    colorizer.colorize(tiff, hints=[(100, 100, 'red')]).image()
    whole = time.process_time()-start
    print(f'a stroke: {cpu:.2f} s of one core, {wall:.2f} s until it is seen; '
          f'reading, coloring and painting anew: {whole:.2f} s')
    assert cpu<min(2, 1.5*whole)

def check_file(path, tiff, colorizer, strokes, tmp_path):
    "The same pixels as the library's, and the metadata of the original"
    hints = draw_strokes(strokes, (695,1080))
    result = colorizer.colorize(tiff, seed=2, hints=hints, saturation=1.2)
    result.save(tmp_path/'want.tif')
    got,want = tifffile.imread(path),tifffile.imread(tmp_path/'want.tif')
    assert got.shape==(695,1080,3) and got.dtype==np.uint16 and np.array_equal(got, want)
    t = tags(path)
    kept = t['IFD0:Artist'], t['XMP-dc:Title'], t['XMP-dc:Rights'], t['IPTC:City']
    assert kept==('Unknown', 'Administration building', 'Public Domain', 'Moscow')
    source = t['XMP-iptcExt:DigitalSourceType']
    assert source.endswith('compositeWithTrainedAlgorithmicMedia')
    xmp = exiftool('-b', '-XMP', path)
    assert '>2<' in re.search('<[^>]*:Seed>.*', xmp)[0]
    assert '#9c2f2c at' in xmp and colorizer.sha256 in xmp

@pytest.mark.slow
def test_choose_correct_save(server, visitor, tiff, colorizer, tmp_path):
    "The whole of it with a mouse: a 16-bit TIFF, which no browser can show"
    v,page = visitor,visitor.page
    assert 'They do not leave this computer' in page.inner_text('#terms')
    v.bring(tiff)
    v.rest(1)
    whole = colorizer.colorize(tiff, n_samples=8)
    assert page.inner_text('#tag')=='Color is invented'
    assert 'invented' in page.inner_text('footer')
    assert '1080 × 695' in page.inner_text('#facts')
    assert 'TIFF, 16 bits' in page.inner_text('#kind')
    assert chroma(v.picture('before'))<1 < chroma(v.picture('after'))
    check_slider(v)
    check_uncertainty(v, whole)
    assert page.locator('#samples img:visible').count()==5
    v.after(lambda: page.locator('#samples label').nth(2).click())
    want,first = ab(whole.array(2, 8)),ab(whole.array(0, 8))
    assert np.abs(ab(v.picture())-want).mean()<0.1*np.abs(first-want).mean()+1 # JPEG
    check_hint(v)
    check_effort(v, server, colorizer, tiff)
    v.after(lambda: page.click('#undo'))
    assert page.evaluate('now.strokes.length')==2
    v.after(lambda: v.press('Control+z'))
    assert page.evaluate('now.strokes.length')==1
    page.click('#done')
    saturate = '''n => {
        $("saturation").value = n
        $("saturation").dispatchEvent(new Event("input")) }'''
    v.after(lambda: page.evaluate(saturate, 0))
    assert chroma(v.picture())<1
    v.after(lambda: page.evaluate(saturate, 120))
    path = v.download(tmp_path)
    v.rest(1)
    assert path.name=='Moscow, Idaho 1910 (ü).colorized.tif'
    assert 'Saved as' in page.inner_text('#saved')
    check_file(path, tiff, colorizer, page.evaluate('now.strokes'), tmp_path)

@pytest.mark.slow
def test_eight_at_once(server, browser, colorizer, small_copies, tmp_path):
    "Four people bring two photographs each in the same moment; everyone gets their own"
    names = sorted(o.name for o in images.glob('*.jpg'))[:8]
    small = small_copies(*names)
    people = [Visitor(browser, server.base) for _ in range(4)]
    for i,v in enumerate(people):
        v.bring(*small[2*i:2*i+2])
    for v in people:
        v.rest(2)
    for i,v in enumerate(people):
        theirs = names[2*i:2*i+2]
        assert v.page.evaluate('photos.map(p => p.name)')==theirs and not v.messages
        for j,name in enumerate(theirs):
            v.page.locator('#strip button').nth(j).click()
            path = v.download(tmp_path)
            assert path.name==name.replace('.jpg', '.colorized.jpg')
            colorizer.colorize(small[2*i+j]).save(tmp_path/'want.jpg', overwrite=True)
            got,want = [np.asarray(Image.open(o)) for o in (path, tmp_path/'want.jpg')]
            assert np.array_equal(got, want), name # as the library would color it
    assert len(server.kept)>=16
    for v in people:
        v.close(server.base)
    assert no_files_within(server, 10), 'photographs of people who have gone lie about'

@pytest.mark.slow
def test_the_overlay_belongs_to_one_photograph_and_gives_way_to_the_brush(visitor, small_copies):
    v,page = visitor,visitor.page
    v.bring(*small_copies('riverfront-1931.jpg', 'buffalo-1908.jpg'))
    v.rest(2)
    page.check('#show-uncertainty')
    v.until('!$("uncertainty").hidden')
    page.evaluate('document.querySelectorAll("#strip button")[1].click()')
    # the first one's overlay is not laid over the second
    assert page.evaluate('$("uncertainty").hidden && $("show-uncertainty").checked')
    assert not page.evaluate('$("after").classList.contains("uncertain")')
    v.until('!$("uncertainty").hidden')
    v.rest(2)
    page.set_viewport_size(dict(width=1280, height=800))
    v.stroke('Red', 0.4, 0.6)
    v.rest(2)
    assert page.is_hidden('#uncertainty') and not page.is_checked('#show-uncertainty')
    assert page.evaluate('getComputedStyle($("after")).filter')=='none'
    reachable = '''(() => {
        const b = $("undo").getBoundingClientRect()
        return document.elementFromPoint(b.x+b.width/2, b.y+b.height/2) === $("undo") })()'''
    assert page.evaluate(reachable), 'Undo is covered'

@pytest.mark.parametrize('when', ['on its way', 'arrived'])
def test_a_photograph_can_be_removed_while_it_comes(server, browser, when):
    v = Visitor(browser, server.base)
    before,late = set(server.kept),[]
    def slow(route):
        late.append(route)
        if when=='arrived':
            route.continue_()
    v.context.route('**/photos/*name=*', slow)
    v.bring(images/'campus-1910.jpg')
    if when=='arrived':
        v.page.evaluate('''() => { setInterval(() => {
            if (photos[0]?.request !== null) return
            forget(photos[0]); window.removed = true }, 1) }''')
        v.until('window.removed')
    else:
        v.until('photos[0]?.state=="busy"')
        v.page.click('#remove')
    v.until('!photos.length && !running')
    assert late and no_files_within(server, 10, before) and not v.messages
    v.close(server.base)

def test_nobody_asks_about_a_photograph_that_was_removed(server, browser):
    "The server would call the question wrong"
    v = Visitor(browser, server.base)
    held = []
    v.context.route('**/questions/read', lambda route: held.append(route))
    v.bring(images/'campus-1910.jpg')
    v.until('photos[0]?.id')
    while not held:
        v.page.wait_for_timeout(20)
    with v.page.expect_response(lambda r: r.request.method=='DELETE'):
        v.page.click('#remove')
    for o in held: o.continue_() # comes after the removal
    v.until('!running')
    assert held and not v.messages
    v.close(server.base)

# Overlays for strokes that nobody painted yet: eight colorings each
ASK_OVERLAYS = """n => { for (let i = 0; i < n; i++) ask("uncertainty", {photo:now.id, strokes:[
    {color:"#ff0000", radius:0.1, points:[[0.05*i, 0.5]]}]}).catch(() => {}) }"""

@pytest.mark.slow
def test_a_closed_page_ends_its_questions(server, browser):
    "Four overlays are half a minute of work; nobody does it for a page that is closed"
    v = Visitor(browser, server.base)
    v.bring(images/'campus-1910.jpg')
    v.rest(1)
    v.page.evaluate(ASK_OVERLAYS, 4)
    v.page.wait_for_timeout(1000)
    v.close(server.base)
    start = server.cpu
    assert no_files_within(server, 10)
    def idle():
        before = server.cpu
        time.sleep(3)
        return server.cpu-before<0.1
    deadline = time.monotonic()+120
    while not idle():
        assert time.monotonic()<deadline
    assert server.cpu-start<4, 'it went on coloring for nobody'

def test_places_and_progress_are_shown(visitor, small_copies):
    "What waits says how many come before, and what is done how far it is"
    v = visitor
    v.bring(*small_copies('riverfront-1931.jpg'))
    v.rest(1)
    v.page.evaluate('''() => {
        window.seen = []
        // what others ask for comes before ours
        for (const seed of [100, 101])
            ask("sample", {photo:now.id, seed, strokes:[], saturation:1})
        new MutationObserver(() => seen.push(['busy', $("busy").textContent])).observe(
            $("busy"), {childList:true, characterData:true, subtree:true})
        new MutationObserver(() => seen.push(['progress', $("progress").value])).observe(
            $("progress"), {attributes:true})
        $("show-uncertainty").click() }''') # at once, while the others wait
    v.until('!$("uncertainty").hidden')
    seen = v.page.evaluate('seen')
    said = [o for kind,o in seen if kind=='busy']
    assert 'One picture is before yours' in said and 'Comparing eight colorings' in said
    shown = [o for kind,o in seen if kind=='progress' and 0<o<1]
    assert shown==sorted(shown) and len(set(shown))>1, seen

@pytest.mark.slow
def test_trouble_is_told_and_the_page_lives_on(visitor, small_copies, tmp_path):
    v = visitor
    (tmp_path/'letter.jpg').write_text('Dear Anna,')
    (tmp_path/'torn.jpg').write_bytes((images/'campus-1910.jpg').read_bytes()[:40_000])
    Image.new('L', (4000,4000)).save(tmp_path/'huge.png')
    with open(tmp_path/'heavy.tif', 'wb') as f:
        f.truncate(90_000_000)
    v.bring(*[tmp_path/o for o in ('letter.jpg', 'torn.jpg', 'huge.png', 'heavy.tif')])
    v.until('document.querySelectorAll("#messages p").length==4 && !photos.length')
    said = {re.search('“(.*?)”', o)[1]: o for o in v.messages}
    assert 'not a photograph' in said['letter.jpg']
    torn = '“torn.jpg” could not be opened: the file is incomplete.'
    assert said['torn.jpg'].startswith(torn)
    assert 'megapixels' in said['huge.png'] and '12' in said['huge.png']
    assert 'too large: 90 MB, the limit is 79 MB' in said['heavy.tif']
    secret = tmp_path, 'Traceback', 'Error', '/tmp', 'original'
    assert not any(str(o) in ' '.join(v.messages) for o in secret)
    assert v.page.is_visible('#drop') and v.focus()=='files'
    v.bring(*small_copies('spinning-1907.jpg')*5)
    v.until('document.querySelectorAll("#messages p").length==1')
    assert 'Only 4 photographs' in v.messages[0]
    v.rest(4)
    v.page.click('#remove')
    v.rest(3)
    v.stroke('Navy blue', 0.66, 0.06) # the sky is white
    v.rest(3)
    assert 'cannot take a color' in v.page.inner_text('#how')
    v.stroke('Navy blue', 0.2, 0.6)
    v.rest(3)
    assert 'cannot take a color' not in v.page.inner_text('#how')

@pytest.mark.slow
def test_a_name_is_never_markup(visitor):
    "Neither of a photograph nor in a complaint about one"
    v,name = visitor,'<img src=x onerror="document.title=1"><b id=evil>.jpg'
    small = io.BytesIO()
    Image.open(images/'riverfront-1931.jpg').resize((40, 30)).save(small, 'JPEG')
    file = lambda data: dict(name=name, mimeType='image/jpeg', buffer=data)
    v.bring(file(small.getvalue()), file(b'no picture'))
    v.until('photos.length==1 && photos[0].state=="ready"')
    assert any(name in o for o in v.messages)
    assert not v.page.query_selector('#evil') and v.page.title()!='1'
    assert not [o for o in v.requests if o.endswith('/x')]

def choose_by_keyboard(v, file):
    choosers = []
    v.page.on('filechooser', lambda o: choosers.append(o)) # no method of a list
    v.page.wait_for_timeout(300) # `expect_file_chooser` may come too late for the key
    v.press('Tab')
    assert v.focus()=='files'
    v.press('Enter')
    while not choosers:
        v.page.wait_for_timeout(20)
    choosers[0].set_files(file)
    v.rest(1)

def paint_by_keyboard(v):
    v.tab_to('brush')
    v.press('Space')
    v.press('ArrowRight', 5)
    assert 'Brick' in v.page.inner_text('#how') and v.page.is_visible('#keys')
    v.press('Enter')
    assert v.focus()=='canvas'
    v.press('ArrowUp', 15)
    v.press('Shift+ArrowLeft', 4)
    before = v.picture()
    v.after(lambda: v.press('Space'))
    x,y = v.page.evaluate('now.strokes[0].points[0]')
    assert (round(x, 3), round(y, 3))==(0.48, 0.2)
    # redder and yellower than a sky
    assert (patch_ab(v.picture(), x, y)>patch_ab(before, x, y)+2).all()
    v.press('Escape')
    assert v.focus()=='brush' and v.page.is_hidden('#canvas')

@pytest.mark.slow
def test_by_keyboard_alone(visitor, tmp_path):
    v,page = visitor,visitor.page
    choose_by_keyboard(v, images/'riverfront-1931.jpg')
    order = []
    for _ in range(9):
        v.press('Tab')
        order.append(v.focus())
    want = 'split remove seed more saturation show-uncertainty brush color save'.split()
    assert order==want, order
    v.press('Shift+Tab', 9)
    assert v.focus()=='add'
    v.press('Tab')
    assert v.focus()=='split'
    v.press('ArrowLeft', 5)
    assert page.evaluate('getComputedStyle($("after")).clipPath').endswith('45%)')
    outline = page.evaluate('getComputedStyle($("handle"), "::after").outlineStyle')
    assert outline=='solid', 'the focus cannot be seen'
    v.tab_to('seed')
    v.after(lambda: v.press('ArrowRight'))
    assert page.evaluate('now.seed')==1
    v.tab_to('more')
    v.press('Enter')
    v.until('now.seeds.length==11')
    v.until('document.querySelectorAll("#samples img:not([hidden])").length==11')
    v.tab_to('saturation')
    v.after(lambda: v.press('ArrowRight', 4))
    assert page.evaluate('now.saturation')==1.2
    v.tab_to('show-uncertainty')
    v.press('Space')
    v.until('!$("uncertainty").hidden')
    v.press('Space')
    assert page.is_hidden('#uncertainty')
    paint_by_keyboard(v)
    v.tab_to('undo')
    v.after(lambda: v.press('Enter'))
    v.rest(1)
    v.tab_to('save')
    with page.expect_download() as d:
        v.press('Enter')
    d.value.save_as(tmp_path/'o.jpg')
    assert Image.open(tmp_path/'o.jpg').size==(720,501)
    assert page.inner_text('#status') and page.get_attribute('#status', 'role')=='status'

def axe_contrasts(v, state):
    "No violations, judged by axe-core; the contrasts that it measured, by color scheme"
    from axe_playwright_python.sync_playwright import Axe
    found = {}
    for scheme in 'light','dark':
        v.page.emulate_media(color_scheme=scheme, reduced_motion='reduce')
        options = dict(resultTypes=['violations', 'passes'])
        if scheme=='dark':
            options['runOnly'] = dict(type='rule', values=['color-contrast'])
        r = Axe().run(v.page, options=options).response
        wrong = [(o['id'], [n['html'] for n in o['nodes']]) for o in r['violations']]
        assert not wrong, (state, scheme, wrong)
        nodes = [n for o in r['passes'] if o['id']=='color-contrast' for n in o['nodes']]
        data = [d['data'] for n in nodes for d in n['any']]
        found[scheme] = [o['contrastRatio'] for o in data if o.get('contrastRatio')]
    return found

SMALL = '''() => [...document.querySelectorAll(
        'button, label.setting, .swatch, #sizes label, #samples label')]
    .filter(o => o.checkVisibility())
    .map(o => [o.id || o.title || o.innerText, o.getBoundingClientRect()])
    .filter(([, r]) => r.width<24 || r.height<24).map(([n]) => n)'''

def test_axe_finds_no_barrier(server, browser, small_copies):
    "Names, roles, structure and contrast of every state, wide and on a phone, light and dark"
    v = Visitor(browser, server.base)
    found = [axe_contrasts(v, 'empty')]
    v.bring(*small_copies('riverfront-1931.jpg', 'buffalo-1908.jpg'), root/'settings.ini')
    v.rest(2)
    v.page.check('#show-uncertainty')
    v.until('!$("uncertainty").hidden')
    found.append(axe_contrasts(v, 'two photographs, a message, the overlay'))
    v.stroke('Navy blue', 0.5, 0.5)
    v.rest(2)
    found.append(axe_contrasts(v, 'painting'))
    v.page.set_viewport_size(sizes['phone'])
    v.page.wait_for_timeout(50)
    found.append(axe_contrasts(v, 'phone'))
    fits = v.page.evaluate('document.documentElement.scrollWidth<=innerWidth')
    assert fits, 'wider than a phone'
    small = v.page.evaluate(SMALL)
    assert not small, f'too small for a finger: {small}'
    for scheme in 'light','dark':
        contrasts = [o for state in found for o in state[scheme]]
        print(f'lowest contrast, {scheme}: {min(contrasts)} of {len(contrasts)}')
        assert len(contrasts)>20 and min(contrasts)>=4.5
    v.close(server.base)

def test_a_server_that_has_ended_is_named(server, browser, small_copies):
    "And nothing left the computer, and nothing stays. The last test: the terminal is closed"
    v = Visitor(browser, server.base)
    v.bring(*small_copies('riverfront-1931.jpg'))
    v.rest(1)
    v.page.check('#show-uncertainty')
    v.until('$("progress").value>0')
    server.end_tidily(signal.SIGHUP)
    v.until('document.querySelectorAll("#messages p").length==1')
    assert 'The program has stopped. Start it again' in v.messages[0]
    v.context.close()
