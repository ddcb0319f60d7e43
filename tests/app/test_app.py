"The web page as its visitors meet it: `colorized app` in a process of its own, photographs of the archive, a real browser with the network closed."
import base64, io, json, os, re, shutil, signal, socket, subprocess, sys, time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen
import numpy as np, pytest, tifffile, torch
from PIL import Image
from colorized.app.server import draw_strokes
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import rgb_to_lab
from colorized.photo.scan import read_scan

root = Path(__file__).resolve().parents[2]
images = root/'nbs/images'
browser_path = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
pytestmark = pytest.mark.skipif(browser_path is None, reason='needs Chromium')
torch.set_num_threads(1)
sizes = dict(wide=dict(width=1280, height=900), phone=dict(width=390, height=844))

# ---- the server and its visitors ----
SPY = '''import json, socket, sys
log = open(sys.argv.pop(1), 'a')
def note(event, args):
    if event in ('socket.bind', 'socket.connect'): log.write(json.dumps([event, str(args[1])])+'\\n'); log.flush()
    if event=='socket.getaddrinfo': log.write(json.dumps([event, str(args[0])])+'\\n'); log.flush()
sys.addaudithook(note)
from colorized.cli.main import main
sys.exit(main())
'''

class Server:
    "`colorized app` with small limits; it notes every address that it binds, connects to or looks up"
    def __init__(self, folder):
        with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
        self.folder,self.log,self.base = folder,folder/'sockets',f'http://127.0.0.1:{port}/'
        (folder/'tmp').mkdir()
        env = dict(os.environ, OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', TMPDIR=str(folder/'tmp'), PYTHONUNBUFFERED='1')
        for k in [k for k in env if k.lower().startswith('gradio_') or k.lower()=='no_proxy']: del env[k]
        with open(folder/'out', 'w') as out:
            self.process = subprocess.Popen([sys.executable, '-c', SPY, str(self.log), 'app', '--port', str(port), '--device', 'cpu', '--threads', '1',
                '--max-photos', '4', '--max-megapixels', '12'], stdout=out, stderr=subprocess.STDOUT, env=env,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)) # ignored where the tests run under nohup
        deadline = time.monotonic()+120
        while 'The page is at' not in self.said:
            assert self.process.poll() is None and time.monotonic()<deadline, self.said
            time.sleep(0.1)
    @property
    def said(self): return (self.folder/'out').read_text()
    @property
    def kept(self): return [Path(d)/o for top in (self.folder/'tmp').glob('colorized-*') for d,_,files in os.walk(top) for o in files] # a folder may go meanwhile, which walk forgives and glob does not
    @property
    def sockets(self): return [tuple(json.loads(o)) for o in self.log.read_text().splitlines()]
    @property
    def cpu(self): # seconds that it computed in its life
        o = Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return (int(o[11])+int(o[12]))/os.sysconf('SC_CLK_TCK')
    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(120)

@pytest.fixture(scope='module')
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp('app'))
    yield s
    if s.process.poll() is None: s.end()

@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright
    flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
             '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1']
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=browser_path, args=flags)
        yield b
        b.close()

@pytest.fixture(scope='module')
def colorizer(): return Colorizer.from_pretrained(device='cpu')

class Visitor:
    "A person with a browser of their own; complaints of the browser and all requests are noted"
    def __init__(self, browser, base, **context):
        self.context,self.requests,self.complaints = browser.new_context(**dict(dict(viewport=sizes['wide'], reduced_motion='reduce'), **context)),[],[]
        self.context.on('request', lambda r: self.requests.append(r.url))
        self.context.on('console', lambda m: self.complaints.append(f'{m.type}: {m.text}') if m.type in ('error', 'warning') else None)
        self.context.on('weberror', lambda e: self.complaints.append(f'exception: {e.error}'))
        self.page = self.context.new_page()
        self.page.set_default_timeout(240_000)
        self.page.goto(base)
        self.page.wait_for_selector('body[data-ready]')
    def until(self, js, arg=None, seconds=240):
        "Wait for a condition. The page's own policy forbids to evaluate strings inside it, as `wait_for_function` does"
        deadline = time.monotonic()+seconds
        while not (o := self.page.evaluate(js, arg)):
            assert time.monotonic()<deadline, f'{js} {arg}: {self.messages}'
            self.page.wait_for_timeout(20)
        return o
    def bring(self, *files):
        self.page.set_input_files('#files', files)
    def rest(self, n):
        "Wait until `n` photographs are coloured and nothing is under way"
        self.until('n => photos.length==n && photos.every(p => p.state=="ready" && !p.painting && !p.busy && !p.sampling)', n)
    @property
    def messages(self): return self.page.locator('#messages p').all_inner_texts()
    def picture(self, id='after'):
        "(H,W,4) uint8 as the page shows it"
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(self.page.get_attribute(f'#{id}', 'src').split(',')[1]))).convert('RGBA'))
    def after(self, act, rest=True):
        "Do something that changes the colours; seconds until the page shows them"
        self.until('!now.painting')
        src = self.page.get_attribute('#after', 'src')
        start = time.monotonic(); act()
        self.until('s => document.getElementById("after").src!=s', src)
        seconds = time.monotonic()-start
        if rest: self.until('!now.painting')
        return seconds
    def press(self, key, n=1):
        for _ in range(n): self.page.keyboard.press(key)
    def focus(self): return self.page.evaluate('document.activeElement.id || document.activeElement.name || document.activeElement.type')
    def tab_to(self, name):
        for _ in range(40):
            self.press('Tab')
            if self.focus()==name: return
        raise AssertionError(f'{name} cannot be reached with Tab')
    def stroke(self, colour, x, y, dx=0.05, dy=0.):
        "Paint a short stroke with the mouse: a palette colour, where it begins, how far it goes (fractions)"
        self.page.get_by_role('radio', name=colour, exact=True).check(force=True)
        b,mouse = self.page.locator('#canvas').bounding_box(),self.page.mouse
        mouse.move(b['x']+x*b['width'], b['y']+y*b['height']); mouse.down()
        mouse.move(b['x']+(x+dx)*b['width'], b['y']+(y+dy)*b['height'], steps=5); mouse.up()
    def download(self, folder, button='#save'):
        with self.page.expect_download() as d: self.page.click(button)
        path = folder/d.value.suggested_filename
        d.value.save_as(path)
        return path
    def close(self, base):
        "The visit ends, and the page says so to the server: nothing was asked for outside, nothing went wrong"
        outside,name = [o for o in self.requests if not o.startswith((base, 'data:', 'blob:'))],self.page.evaluate('visit.visitor')
        self.page.close()
        deadline = time.monotonic()+30 # the word is passed on by the browser, which the end of the context would cut short
        while json.load(urlopen(Request(f'{base}visits/{name}', method='POST')))['here']:
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
def exiftool(*args): return subprocess.run(['exiftool', *map(str, args)], capture_output=True, check=True, text=True).stdout
def tags(path): return json.loads(exiftool('-j', '-G1', '-a', path))[0]
def ab(pixels): return rgb_to_lab(torch.from_numpy(pixels[...,:3].copy()).permute(2,0,1)[None])[0,1:].numpy()
def chroma(pixels): return np.hypot(*ab(pixels)).mean()
def patch_ab(pixels, x, y): # mean chroma around a point
    h,w = pixels.shape[:2]; r = round(0.015*min(h, w)); i,j = round(y*h),round(x*w)
    return ab(pixels[i-r:i+r, j-r:j+r]).mean((1,2))

@pytest.fixture(scope='module')
def tiff(tmp_path_factory):
    "A 16-bit scan with an archive's papers, made of a postcard of 1910"
    path = tmp_path_factory.mktemp('scan')/'Moscow, Idaho 1910 (ü).tif'
    gray = read_scan(images/'campus-1910.jpg').pixels
    gray = gray if gray.ndim==2 else gray[...,1]
    tifffile.imwrite(path, gray.astype(np.uint16)*257-np.arange(gray.shape[1], dtype=np.uint16)%200*(gray>0), photometric='minisblack')
    exiftool('-q', '-overwrite_original', '-IFD0:Artist=Unknown', '-XMP-dc:Title=Administration building', '-XMP-dc:Rights=Public Domain', '-IPTC:City=Moscow', path)
    return path

# ---- what they do ----
def few_pixels(folder, *names):
    "Small copies of photographs: the network is through with them in less than half the time"
    folder.mkdir()
    for o in names:
        im = Image.open(images/o); im.thumbnail((300,300)); im.save(folder/o, quality=95)
    return folder

def test_choose_correct_save(server, visitor, tiff, colorizer, tmp_path):
    "The whole of it with a mouse: a 16-bit TIFF, which no browser can show"
    v = visitor; page = v.page
    assert 'They do not leave this computer' in page.inner_text('#terms')
    v.bring(tiff); v.rest(1)
    whole = colorizer.colorize(tiff, n_samples=8)
    assert page.inner_text('#tag')=='Colour is invented' and 'invented' in page.inner_text('footer')
    assert '1080 × 695' in page.inner_text('#facts') and 'TIFF, 16 bits' in page.inner_text('#kind')
    # before and after, and the slider between them
    assert chroma(v.picture('before'))<1 < chroma(v.picture('after'))
    b = page.locator('#frame').bounding_box()
    page.mouse.move(b['x']+b['width']/2, b['y']+100); page.mouse.down(); page.mouse.move(b['x']+b['width']/4, b['y']+100, steps=3); page.mouse.up()
    assert page.evaluate('getComputedStyle($("after")).clipPath').endswith('25%)') and page.input_value('#split')=='25'
    # the uncertainty, against the library's own
    page.check('#doubting'); v.until('!$("doubt").hidden')
    veil = v.picture('doubt')[...,3].astype(float)
    want = np.asarray(Image.fromarray(whole.uncertainty).resize(veil.shape[::-1], Image.BOX)).clip(0, 10)
    assert veil.shape==(309, 480) and np.corrcoef(veil.flat, want.flat)[0,1]>0.99 and veil.std()>2
    page.uncheck('#doubting'); assert page.is_hidden('#doubt')
    # another sample
    assert page.locator('#samples img:visible').count()==5
    v.after(lambda: page.locator('#samples label').nth(2).click())
    want = ab(whole.array(2, 8))
    assert np.abs(ab(v.picture())-want).mean()<0.1*np.abs(ab(whole.array(0, 8))-want).mean()+1 # JPEG
    # a hint, obeyed at once
    at,red = (0.3, 0.87),np.array(ab(np.array([[[0x9c,0x2f,0x2c]]], np.uint8)))[:,0,0]
    before = patch_ab(v.picture(), *at)
    v.after(lambda: v.stroke('Red', at[0]-0.025, at[1]))
    now = patch_ab(v.picture(), *at)
    far = lambda o: np.linalg.norm(o-red)
    assert now[0]>before[0]+10 and far(now)<0.6*far(before), (before, now)
    def effort(y):
        v.rest(1); start = server.cpu
        wall = v.after(lambda: v.stroke('Leaf green', 0.8, y), rest=False)
        return server.cpu-start,wall
    cpu,wall = min(effort(y) for y in (0.8, 0.75))
    start = time.process_time(); colorizer.colorize(tiff, hints=[(100, 100, 'red')]).image(); whole = time.process_time()-start
    print(f'a stroke: {cpu:.2f} s of one core, {wall:.2f} s until it is seen; reading, colouring and painting anew: {whole:.2f} s')
    assert cpu<min(2, 1.5*whole) # two seconds are promised; as computing time, whatever else this machine does: half of it where a processor has bfloat16
    v.after(lambda: page.click('#undo')); assert page.evaluate('now.strokes.length')==2
    v.after(lambda: v.press('Control+z')); assert page.evaluate('now.strokes.length')==1
    page.click('#done')
    # saturation
    def strength(n): page.evaluate('n => { $("saturation").value = n; $("saturation").dispatchEvent(new Event("input")) }', n)
    v.after(lambda: strength(0)); assert chroma(v.picture())<1
    v.after(lambda: strength(120))
    # the file
    path = v.download(tmp_path); v.rest(1)
    assert path.name=='Moscow, Idaho 1910 (ü).colorized.tif' and 'Saved as' in page.inner_text('#saved')
    hints = draw_strokes(page.evaluate('now.strokes'), (695,1080))
    colorizer.colorize(tiff, seed=2, hints=hints, saturation=1.2).save(tmp_path/'want.tif')
    got,want = tifffile.imread(path),tifffile.imread(tmp_path/'want.tif')
    assert got.shape==(695,1080,3) and got.dtype==np.uint16 and np.array_equal(got, want)
    t = tags(path)
    assert (t['IFD0:Artist'], t['XMP-dc:Title'], t['XMP-dc:Rights'], t['IPTC:City'])==('Unknown', 'Administration building', 'Public Domain', 'Moscow')
    assert t['XMP-iptcExt:DigitalSourceType'].endswith('compositeWithTrainedAlgorithmicMedia')
    xmp = exiftool('-b', '-XMP', path)
    assert '>2<' in re.search('<[^>]*:Seed>.*', xmp)[0] and '#9c2f2c at' in xmp and colorizer.sha256 in xmp

def test_eight_at_once(server, browser, colorizer, tmp_path):
    "Four people bring two photographs each in the same moment; everyone gets their own, as the library would colour it"
    names = sorted(o.name for o in images.glob('*.jpg'))[:8]
    small = few_pixels(tmp_path/'small', *names)
    people = [Visitor(browser, server.base) for _ in range(4)]
    for i,v in enumerate(people): v.bring(*[small/o for o in names[2*i:2*i+2]])
    for v in people: v.rest(2)
    for i,v in enumerate(people):
        assert v.page.evaluate('photos.map(p => p.name)')==names[2*i:2*i+2] and not v.messages
        for j,name in enumerate(names[2*i:2*i+2]):
            v.page.locator('#strip button').nth(j).click()
            path = v.download(tmp_path)
            assert path.name==name.replace('.jpg', '.colorized.jpg')
            colorizer.colorize(small/name).save(tmp_path/'want.jpg', overwrite=True)
            assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(tmp_path/'want.jpg'))), name
    assert len(server.kept)>=16
    for v in people: v.close(server.base)
    deadline = time.monotonic()+10
    while server.kept and time.monotonic()<deadline: time.sleep(0.1)
    assert not server.kept, 'photographs of people who have gone lie about'

def test_the_veil_belongs_to_one_photograph_and_gives_way_to_the_brush(visitor, tmp_path):
    v = visitor; page = v.page
    v.bring(*few_pixels(tmp_path/'small', 'riverfront-1931.jpg', 'buffalo-1908.jpg').iterdir()); v.rest(2)
    page.check('#doubting'); v.until('!$("doubt").hidden')
    page.evaluate('document.querySelectorAll("#strip button")[1].click()')
    assert page.evaluate('$("doubt").hidden && !$("after").classList.contains("doubted") && $("doubting").checked') # the first one's veil is not laid over the second
    v.until('!$("doubt").hidden'); v.rest(2)
    page.set_viewport_size(dict(width=1280, height=800))
    v.stroke('Red', 0.4, 0.6); v.rest(2)
    assert page.is_hidden('#doubt') and not page.is_checked('#doubting') and page.evaluate('getComputedStyle($("after")).filter')=='none'
    assert page.evaluate('(() => { const b = $("undo").getBoundingClientRect(); return document.elementFromPoint(b.x+b.width/2, b.y+b.height/2) === $("undo") })()'), 'Undo is covered'

@pytest.mark.parametrize('when', ['on its way', 'arrived'])
def test_a_photograph_can_be_removed_while_it_comes(server, browser, when):
    v = Visitor(browser, server.base)
    before,late = set(server.kept),[]
    def slow(route):
        late.append(route)
        if when=='arrived': route.continue_()
    v.context.route('**/photos/*name=*', slow)
    v.bring(images/'campus-1910.jpg')
    if when=='arrived': v.page.evaluate('() => { window.removed = new Promise(done => { const f = XMLHttpRequest.prototype; setInterval(() => { if (photos[0] && photos[0].request === null) { forget(photos[0]); done() } }, 1) }) }')
    else: v.until('photos[0]?.state=="busy"'); v.page.click('#remove')
    v.until('!photos.length && !running')
    deadline = time.monotonic()+10
    while set(server.kept)-before and time.monotonic()<deadline: v.page.wait_for_timeout(50)
    assert late and not set(server.kept)-before and not v.messages
    v.close(server.base)

def test_trouble_is_told_and_the_page_lives_on(visitor, tmp_path):
    v = visitor
    (tmp_path/'letter.jpg').write_text('Dear Anna,')
    (tmp_path/'torn.jpg').write_bytes((images/'campus-1910.jpg').read_bytes()[:40_000])
    Image.new('L', (4000,4000)).save(tmp_path/'huge.png')
    with open(tmp_path/'heavy.tif', 'wb') as f: f.truncate(90_000_000)
    v.bring(*[tmp_path/o for o in ('letter.jpg', 'torn.jpg', 'huge.png', 'heavy.tif')])
    v.until('document.querySelectorAll("#messages p").length==4 && !photos.length')
    said = {re.search('“(.*?)”', o)[1]: o for o in v.messages}
    assert 'not a photograph' in said['letter.jpg'] and said['torn.jpg'].startswith('“torn.jpg” could not be opened: the file is incomplete.')
    assert 'megapixels' in said['huge.png'] and '12' in said['huge.png']
    assert 'too large: 90 MB, the limit is 79 MB' in said['heavy.tif']
    assert not any(str(o) in ' '.join(v.messages) for o in (tmp_path, 'Traceback', 'Error', '/tmp', 'original'))
    assert v.page.is_visible('#drop') and v.focus()=='files'
    v.bring(*[few_pixels(tmp_path/'small', 'spinning-1907.jpg')/'spinning-1907.jpg']*5)
    v.until('document.querySelectorAll("#messages p").length==1')
    assert 'Only 4 photographs' in v.messages[0]
    v.rest(4); v.page.click('#remove'); v.rest(3)
    v.stroke('Navy blue', 0.66, 0.06); v.rest(3); assert 'cannot take a colour' in v.page.inner_text('#how') # the sky is white
    v.stroke('Navy blue', 0.2, 0.6); v.rest(3); assert 'cannot take a colour' not in v.page.inner_text('#how')

def test_by_keyboard_alone(visitor, tmp_path):
    v = visitor; page = v.page
    choosers = []; page.on('filechooser', lambda o: choosers.append(o)); page.wait_for_timeout(300) # `expect_file_chooser` may come too late for the key
    v.press('Tab'); assert v.focus()=='files'
    v.press('Enter')
    while not choosers: page.wait_for_timeout(20)
    choosers[0].set_files(images/'riverfront-1931.jpg'); v.rest(1)
    order = []
    for _ in range(9): v.press('Tab'); order.append(v.focus())
    assert order==['split', 'remove', 'seed', 'more', 'saturation', 'doubting', 'brush', 'color', 'save'], order
    v.press('Shift+Tab', 9); assert v.focus()=='add'
    v.press('Tab'); assert v.focus()=='split'
    v.press('ArrowLeft', 5); assert page.evaluate('getComputedStyle($("after")).clipPath').endswith('45%)')
    assert page.evaluate('getComputedStyle($("handle"), "::after").outlineStyle')=='solid', 'the focus cannot be seen'
    v.tab_to('seed'); v.after(lambda: v.press('ArrowRight')); assert page.evaluate('now.seed')==1
    v.tab_to('more'); v.press('Enter'); v.until('now.seeds.length==11 && document.querySelectorAll("#samples img:not([hidden])").length==11')
    v.tab_to('saturation'); v.after(lambda: v.press('ArrowRight', 4)); assert page.evaluate('now.saturation')==1.2
    v.tab_to('doubting'); v.press('Space'); v.until('!$("doubt").hidden'); v.press('Space'); assert page.is_hidden('#doubt')
    v.tab_to('brush'); v.press('Space'); v.press('ArrowRight', 5)
    assert 'Brick' in page.inner_text('#how') and page.is_visible('#keys')
    v.press('Enter'); assert v.focus()=='canvas'
    v.press('ArrowUp', 15); v.press('Shift+ArrowLeft', 4)
    before = v.picture(); v.after(lambda: v.press('Space'))
    x,y = page.evaluate('now.strokes[0].points[0]'); assert (round(x, 3), round(y, 3))==(0.48, 0.2)
    assert (patch_ab(v.picture(), x, y)>patch_ab(before, x, y)+2).all() # redder and yellower than a sky
    v.press('Escape'); assert v.focus()=='brush' and page.is_hidden('#canvas')
    v.tab_to('undo'); v.after(lambda: v.press('Enter')); v.rest(1)
    v.tab_to('save')
    with page.expect_download() as d: v.press('Enter')
    d.value.save_as(tmp_path/'o.jpg'); assert Image.open(tmp_path/'o.jpg').size==(720,501)
    assert page.inner_text('#status') and page.get_attribute('#status', 'role')=='status'

def test_axe_finds_no_barrier(server, browser, tmp_path):
    "Names, roles, structure and contrast, judged by axe-core on every state of the page, wide and on a phone; contrast in the dark, too"
    from axe_playwright_python.sync_playwright import Axe
    axe,contrasts = Axe(),dict(light=[], dark=[])
    def check(state):
        for scheme,found in contrasts.items():
            v.page.emulate_media(color_scheme=scheme, reduced_motion='reduce')
            only = dict(runOnly=dict(type='rule', values=['color-contrast'])) if scheme=='dark' else {}
            r = axe.run(v.page, options=dict(resultTypes=['violations', 'passes'], **only)).response
            assert not r['violations'], (state, scheme, [(o['id'], [n['html'] for n in o['nodes']]) for o in r['violations']])
            found.extend(d['data']['contrastRatio'] for o in r['passes'] if o['id']=='color-contrast' for n in o['nodes'] for d in n['any'] if d['data'].get('contrastRatio'))
    v = Visitor(browser, server.base); check('empty')
    v.bring(*few_pixels(tmp_path/'small', 'riverfront-1931.jpg', 'buffalo-1908.jpg').iterdir(), root/'settings.ini'); v.rest(2)
    v.page.check('#doubting'); v.until('!$("doubt").hidden'); check('two photographs, a message, the veil')
    v.stroke('Navy blue', 0.5, 0.5); v.rest(2); check('painting')
    v.page.set_viewport_size(sizes['phone']); v.page.wait_for_timeout(50); check('phone')
    assert v.page.evaluate('document.documentElement.scrollWidth<=innerWidth'), 'wider than a phone'
    small = v.page.evaluate('''() => [...document.querySelectorAll('button, label.setting, .swatch, #sizes label, #samples label')].filter(o => o.checkVisibility())
        .map(o => [o.id || o.title || o.innerText, o.getBoundingClientRect()]).filter(([, r]) => r.width<24 || r.height<24).map(([n]) => n)''')
    assert not small, f'too small for a finger: {small}'
    for scheme,found in contrasts.items():
        print(f'lowest contrast, {scheme}: {min(found)} of {len(found)}')
        assert len(found)>20 and min(found)>=4.5
    v.close(server.base)

def test_strangers_are_kept_out(server):
    "Only the page's own questions, only by the names of this computer, and within the limits also without the page"
    def ask(path, method='GET', data=None, **headers):
        try:
            with urlopen(Request(server.base+path, data=data, method=method, headers=headers)) as r: return r.status,r.read(),r.headers
        except HTTPError as e: return e.code,e.read(),e.headers
    status,_,headers = ask('')
    assert status==200 and "default-src 'none'" in headers['content-security-policy'] and not headers.get('access-control-allow-origin')
    for path in ('config', 'info', 'gradio_api/info', 'gradio_api/file=/etc/hostname', 'gradio_api/proxy=http://example.org', 'login', 'docs', 'openapi.json', 'page.py', 'files/a/b'):
        assert ask(path)[0]==404, path
    question = lambda *data: ask('gradio_api/queue/join', 'POST', json.dumps(dict(data=data, fn_index=0, session_hash='s')).encode(), **{'Content-Type': 'application/json'})
    assert question({'path': 'x.png', 'url': 'http://example.org/x.png', 'meta': {'_type': 'gradio.FileData'}})[0]==404 # Gradio would go and fetch it
    assert question('nobody', None)[0]==200 and ask('gradio_api/queue/join', 'POST', b'[')[0]==404
    assert ask('', Host='evil.example')[0]==404 and ask('visits', 'POST', Host='evil.example')[0]==404
    visitor = json.loads(ask('visits', 'POST')[1])['visitor']
    some = bytes(5_000_000)
    for _ in range(4): assert ask(f'photos/{visitor}?name=a.tif', 'POST', some)[0]==200
    status,body,_ = ask(f'photos/{visitor}?name=b.tif', 'POST', some)
    assert status==400 and 'Only 4 photographs' in json.loads(body)['error']
    assert ask('photos/nobody?name=a.tif', 'POST', some)[0]==400
    assert len(server.kept)==4
    assert ask(f'visits/{visitor}/leave', 'POST')[0]==200 and not server.kept

def test_nothing_left_the_computer_and_nothing_stays(server):
    "The last test: what the server bound, connected to and looked up in its life, and what it leaves behind"
    assert {o for e,o in server.sockets if e=='socket.getaddrinfo'}<={'127.0.0.1', 'localhost', 'None'}, server.sockets
    for event,address in server.sockets:
        if event!='socket.getaddrinfo': assert address.startswith(("('127.0.0.1',", "('::1',")) or address.startswith("''"), (event, address)
    assert any(e=='socket.bind' for e,_ in server.sockets)
    assert server.end(signal.SIGHUP)==0, server.said # the terminal is closed
    assert not list((server.folder/'tmp').glob('colorized-*')) and 'Traceback' not in server.said, server.said
