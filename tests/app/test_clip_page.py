"A clip of film on the page, in a real browser: shots, a frame under the brush, the files"
import hashlib, json, signal, sys
from pathlib import Path
import numpy as np, pytest
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from app_server import Server
from test_page import SMALL, Visitor, axe_contrasts, no_files_within, sizes

pytest.importorskip('av', reason="needs the extra film")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'film'))
from film_files import luma_planes, picture, write_film

@pytest.fixture(scope='module')
def server(tmp_path_factory, model):
    "With the smallest network, which is quick"
    s = Server(tmp_path_factory.mktemp('clips'), '--model', model, '--max-clip-megabytes', 1)
    yield s
    if s.process.poll() is None:
        s.end()

@pytest.fixture
def reel(tmp_path):
    frames = [picture(i, (128, 96)) for i in range(4)]
    frames += [picture(i, (128, 96), seed=1)//2+100 for i in range(4)]
    return write_film(tmp_path/'Old reel (ü).mkv', frames, size=(128, 96))

SHOTS = 'now?.kind=="clip" && now.shots.length && now.shots.every((_, i) => now.thumbs[i])'

def test_axe_finds_no_barrier_and_a_phone_is_wide_enough(server, browser, reel):
    "Its shots, and a frame of one"
    v = Visitor(browser, server.base)
    assert 'Clips of film of up to 60 seconds' in v.page.inner_text('#terms')
    v.bring(reel)
    v.until(SHOTS)
    assert v.page.locator('#shots button').all_inner_texts()==[
        'Shot 1: 0:00, 4 frames', 'Shot 2: 0:00, 4 frames']
    found = [axe_contrasts(v, 'shots')]
    v.page.locator('#shots button').nth(1).click()
    v.until('now.kind=="frame" && now.image && !now.painting')
    assert v.page.is_hidden('#choices') and v.page.is_hidden('#save')
    found.append(axe_contrasts(v, 'a frame'))
    v.page.set_viewport_size(sizes['phone'])
    for state in 'a frame on a phone', 'shots on a phone':
        v.page.wait_for_timeout(50)
        assert v.page.evaluate('document.documentElement.scrollWidth<=innerWidth'), state
        small = v.page.evaluate(SMALL)
        assert not small, f'too small for a finger: {small}'
        if v.page.evaluate('now.kind')=='frame':
            v.page.click('#back')
    assert state.startswith('shots') and v.page.evaluate('now.kind')=='clip'
    for scheme in 'light','dark':
        assert min(o for state in found for o in state[scheme])>=4.5
    v.close(server.base)
    assert no_files_within(server, 10)

def paint_by_keyboard(v):
    "Open the second shot, paint a dot, go back"
    for _ in range(20):
        v.press('Tab')
        if v.page.evaluate('document.activeElement.innerText').startswith('Shot 2'): break
    v.press('Enter')
    v.until('now.kind=="frame" && now.image && !now.painting')
    assert v.focus()=='back'
    v.page.get_by_role('radio', name='Red', exact=True).focus()
    v.press('Space')
    v.press('Enter')
    assert v.focus()=='canvas'
    v.after(lambda: v.press('Space'))
    v.press('Escape')
    v.page.focus('#back')
    v.press('Enter')
    assert 'corrected' in v.page.evaluate('document.activeElement.innerText')

def test_a_clip_in_color_is_not_offered_to_be_colored(server, browser, tmp_path):
    chroma = np.full((48, 64), 60),np.full((48, 64), 190)
    chroma[0][:,32:] = 200
    path = write_film(tmp_path/'a.mkv', [picture(i, (128, 96)) for i in range(4)], size=(128, 96),
                      chroma=chroma)
    v = Visitor(browser, server.base)
    v.bring(path)
    v.until(SHOTS)
    assert v.page.is_hidden('#color-clip')
    assert v.page.inner_text('#clip-says')=='This clip is in color already.'
    v.close(server.base)

@pytest.mark.slow
def test_color_correct_save(server, browser, reel, tmp_path):
    "By keyboard; canceled once; watched; downloaded with its record"
    v,page = Visitor(browser, server.base),None
    page = v.page
    v.bring(reel)
    v.until(SHOTS)
    page.click('#color-clip')
    v.until('document.activeElement.id=="cancel" && !!now.stop')
    v.press('Enter')
    v.until('!now.stop')
    assert page.is_visible('#color-clip') and 'goes on from there' in page.inner_text('#clip-says')
    paint_by_keyboard(v)
    page.evaluate('''() => { window.seen = []
        new MutationObserver(() => seen.push($("clip-says").textContent)).observe(
            $("clip-says"), {childList:true, characterData:true, subtree:true}) }''')
    page.click('#color-clip')
    v.until('now.files')
    seen = page.evaluate('seen')
    assert any(o.startswith('Shot 2 of 2') for o in seen), seen
    assert 'Making the copy for viewing' in seen
    assert page.evaluate('document.activeElement.innerText').startswith('For viewing: MP4')
    v.until('$("video").readyState>=2') # this browser has H.264
    assert page.evaluate('[$("video").videoWidth, $("video").videoHeight]')==[128, 96]
    axe_contrasts(v, 'the files')
    files = [v.download(tmp_path, f'#downloads li:nth-child({i}) a:nth-child({j})')
             for i in (1, 2) for j in (2, 1)]
    assert [o.name for o in files[1::2]]==[f'Old reel (ü).colorized.{o}' for o in ('mp4', 'mkv')]
    for record,film in zip(files[::2], files[1::2]):
        said = json.loads(record.read_text('utf-8'))
        assert record.name==f'{film.name}.json'
        assert said['output_sha256']==hashlib.sha256(film.read_bytes()).hexdigest()
        assert len(said['Settings']['film_hints'])>=1
    was,now = luma_planes(reel),luma_planes(files[-1])
    assert all((a==b).all() for (_,a),(_,b) in zip(was, now, strict=True))
    page.locator('#shots button').nth(0).click()
    v.until('now.image && !now.painting')
    v.stroke('Navy blue', 0.5, 0.5)
    v.until('now.strokes.length==1 && !now.painting')
    page.click('#back')
    assert page.inner_text('#color-clip')=='Color it again'
    was = page.evaluate('now.files')
    page.click('#color-clip')
    page.click('#cancel')
    v.until('!now.stop')
    assert page.inner_text('#status')==page.inner_text('#clip-says')
    assert page.evaluate('now.files')==was and page.is_visible('#downloads')
    v.download(tmp_path, '#downloads a')
    page.click('#clip-remove')
    v.until('!photos.length')
    assert page.inner_text('#status')=='“Old reel (ü).mkv” was removed.'
    assert no_files_within(server, 10)
    v.close(server.base)

def test_a_clip_is_not_lost_by_haste(server, browser, reel, small_copies):
    "An early way back, a record alone, a player that fails, the focus after Remove"
    v = Visitor(browser, server.base)
    page,asks = v.page,'!dispatchEvent(new Event("beforeunload", {cancelable:true}))'
    v.bring(reel)
    v.until(SHOTS)
    page.locator('#shots button').nth(1).click()
    v.until('now.kind=="frame" && now.image && !now.painting')
    page.evaluate('''() => { const f = window.known = fetch
        window.fetch = async (...a) => {
            await new Promise(yes => setTimeout(yes, 500))
            return f(...a) } }''')
    v.stroke('Red', 0.5, 0.5)
    page.click('#back') # before the answer
    v.until('!now.frames[1].painting')
    assert page.evaluate('$("shots").children[1].querySelector("img").src === now.frames[1].image')
    page.evaluate('now.frames[1].strokes = []') # as a clip on which nobody painted
    page.evaluate('now.saved = true')
    assert not page.evaluate(asks)
    page.click('#color-clip')
    v.until('now.files')
    assert page.evaluate(asks)
    link = '#downloads li:nth-child(1) a'
    for n,lost in (2, True), (1, False):
        with page.expect_download():
            page.click(f'{link}:nth-child({n})')
        assert page.evaluate(asks)==lost
    page.evaluate('$("video").dispatchEvent(new Event("error"))')
    v.bring(*small_copies('riverfront-1931.jpg'))
    v.rest(2)
    for i in 1,0:
        page.locator('#strip button').nth(i).click()
    assert page.is_visible('#downloads') and page.is_hidden('#video')
    page.locator('#strip button').nth(1).click()
    page.focus('#remove')
    v.press('Enter')
    assert v.focus()=='clip-remove'
    page.evaluate('window.fetch = known; null') # a page that closes has no half second
    v.close(server.base)

# Questions for the whole clip: `streams` are the answers, given by the test
STREAMS = '''() => {
    const f = window.fetch
    window.streams = []
    window.tell_page = (i, event) =>
        streams[i].enqueue(new TextEncoder().encode(`data: ${JSON.stringify(event)}\\n\\n`))
    window.fetch = async (url, o) => String(url).endsWith('film') ?
        new Response(new ReadableStream({start(c) {
            streams.push(c); c.asked = JSON.parse(o.body)
            o.signal.addEventListener('abort', () => c.error(o.signal.reason)) }})) : f(url, o) }'''

def test_clips_wait_in_the_page_and_one_alone_has_a_stream(server, browser, reel):
    "Of the six that a browser opens to one server; strokes, downloads and signs of life need them"
    v = Visitor(browser, server.base)
    page,asks = v.page,'!dispatchEvent(new Event("beforeunload", {cancelable:true}))'
    page.evaluate(STREAMS)
    v.bring(reel, reel, reel)
    v.until('photos.length==3 && photos.every(p => p.state=="ready")')
    ids = page.evaluate('photos.map(p => p.id)')
    asked = lambda: page.evaluate('streams.map(c => c.asked.photo)')
    says = lambda: page.inner_text('#clip-says')
    def color(i):
        page.locator('#strip button').nth(i).click()
        page.click('#color-clip')
    assert not page.evaluate(asks)
    for i in range(3):
        color(i)
    assert says()=='2 clips are before yours' and asked()==ids[:1]
    page.evaluate('tell_page(0, {place:2})') # other people's
    v.until('photos[0].busy=="2 clips are before yours" && now.busy=="4 clips are before yours"')
    page.evaluate('tell_page(0, {progress:0.1})')
    v.until('now.busy=="2 clips are before yours"')
    page.locator('#strip button').nth(1).click()
    assert says()=='One clip is before yours'
    page.click('#cancel')
    v.until('!now.stop && photos[2].busy=="One clip is before yours"')
    assert v.focus()=='color-clip' and says().startswith('Canceled.')
    assert page.inner_text('#status')==says()
    page.click('#color-clip') # behind the third, which is removed
    assert says()=='2 clips are before yours' and page.inner_text('#status')==says()
    page.locator('#strip button').nth(2).click()
    page.click('#clip-remove')
    v.until('now.busy=="One clip is before yours"')
    page.evaluate('''now.frames[1] = {shot:1, strokes:[
        {color:'#9c2f2c', radius:0.05, points:[[0.5, 0.5]]}]}; null''') # painted in line
    page.locator('#strip button').nth(0).click()
    page.evaluate('tell_page(0, {error:"It failed."})')
    v.until('streams.length==2 && !now.stop')
    assert asked()==ids[:2] and v.messages[0].startswith('It failed.') and page.evaluate(asks)
    assert page.evaluate('streams[1].asked.strokes[0][0]')==1
    page.evaluate('photos[1].frames = []; null')
    page.locator('#strip button').nth(1).click()
    page.click('#cancel')
    v.until('!now.stop')
    assert not page.evaluate('line.length') and not page.evaluate(asks)
    v.close(server.base)

def test_what_it_does_not_take_is_said_at_once(server, browser, reel, tmp_path):
    v = Visitor(browser, server.base)
    with open(tmp_path/'long.mkv', 'wb') as f:
        f.truncate(1_100_000)
    (tmp_path/'list.mp4').write_text('#EXTM3U\n/etc/passwd\n')
    v.bring(tmp_path/'long.mkv', tmp_path/'list.mp4')
    v.until('document.querySelectorAll("#messages p").length==2 && !photos.length')
    said = ' '.join(v.messages)
    assert 'the limit for clips is 1 MB' in said and 'could not be opened as a film' in said
    v.page.evaluate('visit.clips.why_not = "Not here."') # as where the extra is not installed
    assert v.page.evaluate('clip_terms()')=='Not here. '
    v.bring(reel)
    v.until('document.querySelectorAll("#messages p").length==1')
    assert 'is a film. Not here.' in v.messages[0] and v.page.is_visible('#drop')
    v.close(server.base)

def ask(server, path, data=None, **headers):
    try:
        with urlopen(Request(server.base+path, data, headers)) as r:
            return r.status,r.read(),r.headers
    except HTTPError as e:
        return e.code,e.read(),e.headers

def events(server, question, **arguments):
    "As lines come; the stream is closed by whoever has heard enough"
    data = json.dumps(arguments).encode()
    with urlopen(Request(f'{server.base}questions/{question}', data)) as r:
        for line in r:
            if line.startswith(b'data: '):
                yield json.loads(line[6:])

def test_over_http_a_film_is_fetched_in_parts_and_by_its_key_alone(server, reel):
    visitor = json.loads(ask(server, 'visits', b'')[1])['visitor']
    body = ask(server, f'photos/{visitor}?name=a.mkv', reel.read_bytes())[1]
    id = json.loads(body)['id']
    *_,shots = events(server, 'shots', photo=id)
    assert len(shots['answer']['shots'])==2
    *_,made = events(server, 'film', photo=id, strokes=[])
    url = made['answer']['files'][0]['url']
    status,whole,headers = ask(server, url)
    assert status==200 and headers['content-type']=='video/mp4'
    assert "media-src 'self'" in headers['content-security-policy']
    status,part,_ = ask(server, url, Range='bytes=100-199')
    assert status==206 and part==whole[100:200]
    for gone in url+'x', url.rsplit('/', 1)[0]+'/..%2foriginal', url.replace(id, 'x'):
        assert ask(server, gone)[0]==404
    assert ask(server, url, **{'Sec-Fetch-Site':'cross-site'})[0]==403
    for question in 'thumbnail','frame','paint','film':
        assert ask(server, f'questions/{question}', b'{}')[0]==400
    assert ask(server, f'visits/{visitor}/leave', b'')[0]==200
    assert ask(server, url)[0]==404 and not server.kept

def test_the_focus_stays_where_somebody_put_it_while_a_clip_was_colored(server, browser, reel):
    v = Visitor(browser, server.base)
    page = v.page
    page.evaluate(STREAMS)
    v.bring(reel)
    v.until('photos[0]?.state=="ready"')
    assert v.focus()=='add' # where the files were is hidden now
    page.click('#color-clip')
    v.until('streams.length==1')
    page.focus('#shots button')
    page.evaluate('''() => { const file = name => ({url:'x', name, size:'1 kB'})
        tell_page(0, {answer:{files:[{...file('a.mkv'), record:file('a.mkv.json')}],
                              remarks:['is it cut short?']}}) }''')
    v.until('now.files')
    assert page.evaluate('!!document.activeElement.closest("#shots")')
    assert page.inner_text('#clip-remarks')=='Notes: is it cut short?'
    v.close(server.base)

def test_ctrl_c_while_a_clip_is_colored_leaves_nothing(server, tmp_path):
    "The last test"
    frames = [picture(i, (128, 96)) for i in range(60)]
    long = write_film(tmp_path/'a.mkv', frames, size=(128, 96), codec='libx264')
    visitor = json.loads(ask(server, 'visits', b'')[1])['visitor']
    id = json.loads(ask(server, f'photos/{visitor}?name=a.mkv', long.read_bytes())[1])['id']
    list(events(server, 'shots', photo=id))
    for o in events(server, 'film', photo=id, strokes=[]):
        if o.get('progress', 0)>0.05:
            server.end_tidily(signal.SIGINT)
            break
    assert not list(server.folder.glob('tmp/*'))
