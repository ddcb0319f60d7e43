"`colorized app` without a browser: its questions as they travel, and who is kept out"
import json, os, platform, re, signal, socket, subprocess, sys, tempfile, threading, time
from functools import partial
from http.cookiejar import CookieJar
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen
import pytest
from PIL import Image
from test_page import no_files_within

PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/riverfront-1931.jpg'

def ask(server, path, method='GET', data=None, **headers):
    "Status, body, headers"
    try:
        with urlopen(Request(server.base+path, data, headers, method=method)) as r:
            return r.status,r.read(),r.headers
    except HTTPError as e:
        return e.code,e.read(),e.headers

def visit(server):
    return json.loads(ask(server, 'visits', 'POST')[1])['visitor']

@pytest.fixture
def photo(server):
    "A visitor's photograph; the visitor leaves at the end, and nothing stays"
    visitor = visit(server)
    body = ask(server, f'photos/{visitor}?name=a.jpg', 'POST', PHOTO.read_bytes())[1]
    yield json.loads(body)['id']
    assert ask(server, f'visits/{visitor}/leave', 'POST')[0]==200 and not server.kept

class Question:
    "A question, and its events with the time of each as they arrive"
    def __init__(self, server, name, **arguments):
        self.name,self.events = name,[]
        data = json.dumps(arguments).encode()
        self.reply = urlopen(Request(f'{server.base}questions/{name}', data))
        assert self.reply.headers['content-type'].startswith('text/event-stream')
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()
    def _listen(self):
        for line in self.reply:
            if line.startswith(b'data: '):
                self.events.append((time.monotonic(), json.loads(line[6:])))
    def result(self):
        self.thread.join(240)
        assert not self.thread.is_alive()
        return [o for _,o in self.events]
    def when(self, key):
        return [t for t,o in self.events if key in o]

# ---- questions ----
def test_progress_arrives_while_it_is_made(server, photo):
    q = Question(server, 'uncertainty', photo=photo, strokes=[])
    events = q.result()
    assert events[0]==dict(place=0) and list(events[-1])==['answer']
    assert events[-1]['answer']['image'].startswith('data:image/webp;base64,')
    assert [o['progress'] for o in events[1:-1]]==[i/8 for i in range(9)]
    told = q.when('progress')
    assert told[-1]-told[0]>0.1, 'all of it was told at the end'

def test_saving_counts_and_is_fetched_once_more(server, photo):
    arguments = dict(photo=photo, seed=0, strokes=[], saturation=1)
    first,second = [Question(server, 'save', **arguments).result() for _ in range(2)]
    done = [o['progress'] for o in first if 'progress' in o]
    assert done==sorted(done) and done[0]==0 and done[-1]==1
    urls = [o[-1]['answer']['url'] for o in (first, second)]
    status,body,headers = ask(server, urls[1])
    assert status==200 and body[:3]==b'\xff\xd8\xff'
    assert headers['content-disposition']=='attachment; filename="a.colorized.jpg"'
    for gone in urls[0], urls[1]+'x', urls[1].replace(photo, 'x'):
        assert ask(server, gone)[0]==404, gone

@pytest.mark.slow
def test_two_slow_questions_queue(server, photo):
    "And a quick one passes them by"
    first = Question(server, 'uncertainty', photo=photo, strokes=[])
    while not first.when('progress'):
        time.sleep(0.01)
    slow = Question(server, 'sample', photo=photo, seed=9, strokes=[], saturation=1)
    third = Question(server, 'sample', photo=photo, seed=10, strokes=[], saturation=1)
    quick = Question(server, 'color', photo=photo, seed=0, strokes=[], saturation=1)
    events = [o.result() for o in (first, slow, third, quick)]
    assert [o for o in events[1] if 'place' in o][-1]==dict(place=0)
    assert [o for o in events[2] if 'place' in o]==[dict(place=1), dict(place=0)]
    assert slow.when('progress')[0]>=first.when('progress')[-1]
    assert third.when('progress')[0]>=slow.when('progress')[-1]
    assert quick.when('answer')[0]<first.when('answer')[0]
    assert all('answer' in o[-1] for o in events)

def test_who_leaves_gives_up_the_place(server, photo):
    strokes = lambda y: [dict(color='#ff0000', radius=0.1, points=[[0.5, y]])]
    first = Question(server, 'uncertainty', photo=photo, strokes=strokes(0.1))
    second = Question(server, 'uncertainty', photo=photo, strokes=strokes(0.3))
    third = Question(server, 'sample', photo=photo, seed=0, strokes=[], saturation=1)
    while not first.when('progress') or not second.events:
        time.sleep(0.01)
    for q in second, first: # one waits, one is being done
        q.reply.fp.raw._sock.shutdown(socket.SHUT_RDWR)
    assert 'answer' in third.result()[-1]
    assert not second.when('progress') and not any(q.when('answer') for q in (first, second))

def test_what_goes_wrong_is_told(server, photo):
    color = dict(photo=photo, seed=0, strokes=[], saturation=1)
    for wrong,word in (dict(seed=-1), 'seed'), (dict(saturation=9), 'saturation'):
        error = Question(server, 'color', **dict(color, **wrong)).result()[-1]['error']
        assert word in error, error
    for wrong,word in (dict(strokes=7), 'strokes'), (dict(photo='guess'), 'not here any more'):
        body = json.dumps(dict(color, **wrong)).encode()
        status,said,_ = ask(server, 'questions/color', 'POST', body) # before it waits
        assert status==400 and word in json.loads(said)['error']

# ---- strangers ----
def test_the_page_is_kept_at_home(server):
    status,_,headers = ask(server, '')
    assert status==200 and headers['cache-control']=='no-store'
    assert "default-src 'none'" in headers['content-security-policy']
    assert headers['referrer-policy']=='no-referrer'
    assert headers['x-content-type-options']=='nosniff'
    assert not headers.get('access-control-allow-origin') and not headers.get('server')

def test_only_its_own_addresses(server):
    unknown = ('config', 'info', 'login', 'docs', 'openapi.json', 'page.py', 'page.html', 'page/',
        'files/a/b', '%2e%2e/server.py', 'page.css/', 'questions', 'visits/')
    for path in unknown:
        status,_,headers = ask(server, path)
        assert status==404, path
        assert "default-src 'none'" in headers['content-security-policy']
    for path in 'visits','questions/color','photos/a':
        assert ask(server, path)[0]==405, path

def test_only_by_the_names_of_this_computer(server):
    assert ask(server, '', Host='LOCALHOST:1')[0]==200
    for host in 'evil.example','localhost.evil.example','127.0.0.1.evil.example':
        assert ask(server, '', Host=host)[0]==404
        assert ask(server, 'visits', 'POST', Host=host)[0]==404

def test_not_for_other_websites(server):
    "What a browser sends for a page of another origin, or to show ours inside it"
    own = server.base.rstrip('/')
    assert ask(server, 'visits', 'POST', Origin=own, **{'Sec-Fetch-Site':'same-origin'})[0]==200
    for origin in 'http://evil.example', 'null', own.replace('127.0.0.1', 'localhost'), own+'0', \
            'http://[x':
        assert ask(server, 'visits', 'POST', Origin=origin)[0]==403, origin
    link = {'Sec-Fetch-Site':'cross-site', 'Sec-Fetch-Mode':'navigate',
            'Sec-Fetch-Dest':'document'}
    assert ask(server, '', **link)[0]==200
    for more in dict(method='POST'), {'Sec-Fetch-Dest':'iframe'}, {'Sec-Fetch-Mode':'no-cors'}:
        assert ask(server, '', **{**link, **more})[0]==403, more
    headers = ask(server, '')[2]
    assert "frame-ancestors 'none'" in headers['content-security-policy']
    assert headers['x-frame-options']=='DENY'

@pytest.mark.parametrize('name', [
    '../evil.jpg', '../../../../tmp/evil.jpg', 'a"; filename="evil.exe',
    'a\r\nSet-Cookie: x=1.jpg'])
def test_no_name_from_outside_is_a_path(server, name, tmp_path):
    "An upload under that name, saved and fetched: all of it stays in the server's own folder"
    small = tmp_path/'small.jpg'
    Image.open(PHOTO).resize((40, 30)).save(small)
    visitor = visit(server)
    body = ask(server, f'photos/{visitor}?name={quote(name)}', 'POST', small.read_bytes())[1]
    photo = json.loads(body)['id']
    saved = Question(server, 'save', photo=photo, seed=0, strokes=[], saturation=1).result()[-1]
    status,_,headers = ask(server, saved['answer']['url'])
    given = headers['content-disposition']
    assert status==200 and given.startswith('attachment;') and 'Set-Cookie' not in headers
    assert not set('/\\\r\n') & set(re.sub("utf-8''", '', given)), given
    files = [o for o in server.folder.rglob('*') if o.is_file() and 'sockets'!=o.name!='out']
    kept = r'tmp/colorized-page-\w+/(owner\.json|photos/\w+/(original|files-\w+/[^/]+))'
    for o in files:
        assert re.fullmatch(kept, o.relative_to(server.folder).as_posix()), o
    for path in f'files/{photo}/..%2foriginal', f'files/{photo}/../original', f'photos/../{photo}':
        assert ask(server, path)[0] in (404, 405), path
    assert ask(server, f'visits/{visitor}/leave', 'POST')[0]==200

def test_a_question_is_json_with_its_arguments_and_nothing_else(server):
    known = dict(photo='guess', seed=0, strokes=[], saturation=1)
    bodies = [b'', b'[', b'photo=guess', b'[]', b'{}', b'null', b'['*10**5,
        *[json.dumps(o).encode() for o in (dict(known, path='/etc/hostname'), dict(photo='a'),
            dict(known, photo=dict(path='x.png', url='http://example.org/x.png')))]]
    for body in bodies:
        assert ask(server, 'questions/color', 'POST', body)[0]==400, body[:80]
    for question in 'close','_colored','ask','__init__':
        assert ask(server, f'questions/{question}', 'POST', b'{}')[0]==400, question

def test_a_question_is_not_endless(server):
    "Sent by hand, for the answer comes before the end; what is announced need not come"
    with socket.create_connection(('127.0.0.1', server.port)) as s:
        s.sendall(b'POST /questions/color HTTP/1.1\r\nHost: localhost\r\n'
                  b'Transfer-Encoding: chunked\r\n\r\n')
        chunk = b'100000\r\n'+b' '*2**20+b'\r\n'
        for _ in range(2):
            s.sendall(chunk)
        assert s.recv(100).startswith(b'HTTP/1.1 413 ')

def test_what_is_cut_off_is_no_trouble_in_the_terminal(server):
    "A browser may close while a photograph comes, or while a question does"
    visitor,said = visit(server),server.said
    for path in f'photos/{visitor}?name=b.tif', 'questions/color':
        with socket.create_connection(('127.0.0.1', server.port)) as s:
            s.sendall(f'POST /{path} HTTP/1.1\r\nHost: localhost\r\n'
                      f'Content-Length: 1000000\r\n\r\nII*'.encode())
            while path.startswith('photos') and not server.kept:
                time.sleep(0.01)
        assert no_files_within(server, 10)
        for _ in range(3): # when they are answered it has noticed
            visit(server)
    assert server.said==said

def test_limits_hold_without_the_page(server):
    visitor,some = visit(server),bytes(5_000_000)
    for _ in range(4):
        assert ask(server, f'photos/{visitor}?name=a.tif', 'POST', some)[0]==200
    status,body,_ = ask(server, f'photos/{visitor}?name=b.tif', 'POST', some)
    assert status==400 and 'Only 4 photographs' in json.loads(body)['error']
    assert ask(server, 'photos/nobody?name=a.tif', 'POST', some)[0]==400
    assert len(server.kept)==4
    assert ask(server, f'visits/{visitor}/leave', 'POST')[0]==200 and not server.kept
    other = visit(server)
    status,body,_ = ask(server, f'photos/{other}?name=b.tif', 'POST', bytes(201_000_000))
    assert status==400 and 'too large: 201 MB, the limit is 200 MB' in json.loads(body)['error']
    body = ask(server, f'photos/{other}?name=b.tif', 'POST', bytes(80_000_000))[1] # or a clip?
    told = Question(server, 'read', photo=json.loads(body)['id']).result()[-1]['error']
    assert told=='“b.tif” is too large: 80 MB, the limit is 79 MB.' and not server.kept

@pytest.mark.slow
def test_an_evil_website_in_the_browser(server, browser, tmp_path):
    "It may lead here, and can neither ask, nor show, nor learn anything"
    (tmp_path/'evil.html').write_text(f"""<title>evil</title><body><script>
      const told = {{}}, at = {server.base!r}
      const tried = (name, f) => f().catch(() => 'no').then(o => {{ told[name] = o }})
      const load = tag => new Promise((yes, no) => {{
        const o = document.body.appendChild(document.createElement(tag))
        o.onload = () => yes('loaded')
        o.onerror = no
        o.src = at+(tag=='img' ? 'page.svg' : 'page.js')
      }})
      Promise.all([
        tried('post', async () => (await fetch(at+'visits', {{method:'POST'}})).status),
        tried('read', async () => (await fetch(at)).status),
        tried('image', () => load('img')), tried('script', () => load('script')),
      ]).then(() => {{ document.title = JSON.stringify(told) }})
    </script><iframe src="{server.base}"></iframe>""")
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    evil = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f'http://127.0.0.1:{evil.server_port}/evil.html')
    page.wait_for_function('document.title.startsWith("{")')
    assert json.loads(page.title())=={o: 'no' for o in ('post', 'read', 'image', 'script')}
    assert 'Choose photographs' not in page.frames[-1].content()
    page.close()
    evil.shutdown()

@pytest.mark.slow
def test_firefox_says_that_it_leaves(server, firefox):
    "By going elsewhere, and by closing a tab, not the last one"
    def bring():
        firefox.go(server.base)
        firefox.until('document.body.dataset.ready')
        firefox.bring('files', PHOTO)
        firefox.until('photos[0]?.id')
        assert len(server.kept)==1
    bring()
    firefox.go('about:blank')
    assert no_files_within(server, 10)
    firefox.tab = firefox.call('browsingContext.create', type='tab')['context']
    bring()
    firefox.call('browsingContext.close', context=firefox.tab)
    assert no_files_within(server, 10)

# ---- beyond this computer ----
@pytest.fixture
def open_server(model, monkeypatch, tmp_path, port):
    "A page for the whole network: (its address, its port)"
    from colorized.app.server import serve
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    url,end = serve('0.0.0.0', port, str(model), 'cpu', wait=False)
    yield url,port
    end()

def test_a_stranger_in_the_network_gets_nothing(open_server):
    url,port = open_server
    plain,token = url.split('?token=')
    tries = '', '?token=', '?token=guess', f'?token={token[:-1]}', f'page.js?token={token}', \
        f'visits?token={token}', f'?x={token}'
    for o in tries:
        with pytest.raises(HTTPError) as e:
            urlopen(plain+o)
        assert e.value.code==401, o
    for cookie in 'colorized=', f'colorized-{port}=', f'colorized-{port}={token}x', f'x={token}':
        with pytest.raises(HTTPError) as e:
            urlopen(Request(plain, headers={'Cookie':cookie}))
        assert e.value.code==401, cookie
    assert len(token)>=22 and 'localhost' in plain

def test_who_has_the_address_is_in(open_server):
    "By a cookie, which the address is left without, and which scripts cannot read"
    url,port = open_server
    jar = CookieJar()
    browser = build_opener(HTTPCookieProcessor(jar))
    with browser.open(url) as r:
        assert r.status==200 and 'token' not in r.url
    [cookie] = jar
    assert cookie.has_nonstandard_attr('HttpOnly') and cookie.name==f'colorized-{port}'
    visit = browser.open(Request(r.url+'visits', method='POST'))
    assert json.loads(visit.read())['local'] is False

def test_the_opened_browser_gets_a_token_for_one_time(model, monkeypatch, tmp_path, port):
    "Other users of the computer read it in the browser's command line"
    from colorized.app.server import serve
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    opened = []
    monkeypatch.setattr('webbrowser.open', opened.append)
    url,end = serve('0.0.0.0', port, str(model), 'cpu', open_browser=True, wait=False)
    try:
        [address] = opened
        assert address.split('?')[0]==url.split('?')[0] and address!=url
        visit = lambda: build_opener(HTTPCookieProcessor(CookieJar())).open(address)
        with visit() as r:
            assert r.status==200
        with pytest.raises(HTTPError) as e: # with a place for the cookie, too
            visit()
        assert e.value.code==401
    finally:
        end()

def test_a_token_that_can_be_guessed_is_refused(port):
    from colorized.app.server import serve
    for token in 'letmein', '', 'sixteen letters!':
        with pytest.raises(ValueError, match='at least 16') as e:
            serve('0.0.0.0', port, token=token, wait=False)
        assert not token or token not in str(e.value)

# ---- starting and ending ----
SHAPES = """
import sys, torch
from colorized.app.server import serve
url,end = serve('127.0.0.1', int(sys.argv[1]), sys.argv[2], 'cpu', wait=False)
weight = torch.randn(32, 32, 3, 3)
def convolve(side):
    with torch.inference_mode(), torch.backends.mkldnn.verbose(2):
        torch.nn.functional.conv2d(torch.randn(1, 32, side, side), weight)
for side in *range(32, 72), 32, *range(72, 232), 32:
    print('SIDE', side, flush=True)
    convolve(side)
end()
"""

@pytest.mark.skipif(platform.machine() not in ('x86_64', 'AMD64'), reason='by oneDNN on x86 only')
def test_programs_of_old_shapes_are_dropped(model, port):
    "After 40 shapes, four programs each, the first is there; after 160 more not: 1,024 are usual"
    r = subprocess.run([sys.executable, '-c', SHAPES, str(port), str(model)],
        capture_output=True, text=True, check=True)
    made = [o for o in r.stdout.split('SIDE ') if o.startswith('32\n')]
    found = [re.search('create:cache_(hit|miss),cpu,convolution', o)[1] for o in made]
    assert found==['miss', 'hit', 'miss']

def test_folders_of_dead_servers_go(tmp_path, monkeypatch):
    "And nothing else: not those of living ones, of other programs, of other users, nor links"
    from colorized.app import server as module
    from colorized.batch.claims import process_identity
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    dead = subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'],
                          capture_output=True, text=True).stdout
    claims = dict(alive=process_identity(), dead={**process_identity(), 'pid':int(dead)},
                  elsewhere={**process_identity(), 'host':'elsewhere'})
    for name,claim in claims.items():
        home = tmp_path/f'colorized-page-{name}'
        (home/'photos/x').mkdir(parents=True)
        (home/'photos/x/original').write_bytes(b'grandpa')
        (home/'owner.json').write_text(json.dumps(claim))
    (tmp_path/'other/photos').mkdir(parents=True)
    (tmp_path/'other/owner.json').write_text(json.dumps(claims['dead']))
    (tmp_path/'colorized-page-link').symlink_to(tmp_path/'other')
    (tmp_path/'colorized-page-new').mkdir() # whose server had no time to write
    theirs = tmp_path/'colorized-page-dead'
    with monkeypatch.context() as m:
        m.setattr(os, 'getuid', lambda: theirs.stat().st_uid+1)
        module._remove_abandoned()
    assert theirs.exists()
    module._remove_abandoned()
    left = {o.name.removeprefix('colorized-page-') for o in tmp_path.iterdir()}
    assert left=={'alive', 'elsewhere', 'other', 'link', 'new'}
    assert (tmp_path/'other/photos').exists()
    folder,photos = module._own_folder()
    module._remove_abandoned()
    assert photos.exists() and photos.stat().st_mode&0o777==0o700
    folder.cleanup()

def test_ctrl_c_does_not_lose_the_thread_that_serves(model, tmp_path, monkeypatch, port):
    "Lost, it went on while the interpreter ended, which aborted now and then"
    import colorized.app.server as module
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    listener = module._listen('127.0.0.1', port)
    running = module._start(listener, str(model), 'cpu', None, True, None)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        running.wait()
    signal.signal(signal.SIGALRM, before)
    assert all(o.is_alive() for o in running.threads)
    running.end()
    assert not any(o.is_alive() for o in running.threads) and not list(tmp_path.iterdir())

def test_a_port_that_is_taken(server):
    command = 'import sys; from colorized.cli.main import main; sys.exit(main())'
    for port,word in (server.port, 'choose another with --port'),(0, '1..65535'):
        r = subprocess.run([sys.executable, '-c', command, 'app', '--port', str(port)],
            capture_output=True, text=True)
        assert r.returncode==1 and word in r.stderr and r.stderr.count('\n')==1, r.stderr

def test_without_its_requirements(tmp_path):
    (tmp_path/'uvicorn.py').write_text('raise ImportError("no module named uvicorn")')
    code = 'import sys; sys.path.insert(0, sys.argv[1]); import colorized.app.server'
    r = subprocess.run([sys.executable, '-c', code, tmp_path], capture_output=True, text=True)
    assert r.returncode and "pip install 'colorized[app]'" in r.stderr.splitlines()[-1]

def test_nothing_left_the_computer_and_nothing_stays(server):
    "The last test: Ctrl+C while it colors and while a photograph comes"
    visitor = visit(server)
    body = ask(server, f'photos/{visitor}?name=a.jpg', 'POST', PHOTO.read_bytes())[1]
    photo = json.loads(body)['id']
    q = Question(server, 'uncertainty', photo=photo, strokes=[])
    with socket.create_connection(('127.0.0.1', server.port)) as s:
        s.sendall(f'POST /photos/{visitor}?name=b.tif HTTP/1.1\r\nHost: localhost\r\n'
                  f'Content-Length: 1000000\r\n\r\nII*'.encode())
        while len(server.kept)<2 or not q.when('progress'):
            time.sleep(0.01)
        server.end_tidily(signal.SIGINT)
    assert not q.when('answer')
