"Who is let in, what an address may name, and what a killed server has kept"
import http.client, json, os, random, re, shutil, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path
from urllib.parse import quote, urlsplit
import pytest
from desk_tools import NAMES, ask, free_port, photographs, serving

root = Path(__file__).resolve().parents[2]

@pytest.fixture(scope='module')
def desk(made, model, tmp_path_factory):
    "(address, `Review`) of an album in which nothing is decided"
    home = tmp_path_factory.mktemp('desk')
    shutil.copytree(made/'color', home/'color')
    with serving(home/'color', model, originals=made/'scans') as o: yield o

def raw(url, path, method='GET', headers=(), body=None):
    "(status, headers, body) of a request whose path nobody tidies up"
    o = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    o.putrequest(method, path, skip_host='Host' in dict(headers))
    for k,v in dict(headers).items(): o.putheader(k, v)
    if body is not None: o.putheader('Content-Length', str(len(body)))
    o.endheaders(body)
    r = o.getresponse()
    out = r.status,dict(r.getheaders()),r.read()
    o.close()
    return out

def change(o, **what): return dict(key=o['key'], saw=o['saw'], version=0, **what)

# ---- access ----
ADDRESSES = ['/', '/desk.js', '/album', '/thumbnails/{key}', '/color/{key}/1280',
    '/gray/{key}/full', '/colorings/{key}/1/run/320', '/about/{key}', '/since/0/0',
    '/decisions.csv', '/summary.html']
POSTS = '/decisions', '/undo', '/redo', '/decisions.csv', '/deliveries'

def test_only_by_the_names_of_this_computer_and_not_for_other_websites(desk):
    url,review = desk
    key = photographs(url)['farm.jpg']['key']
    image = {'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image'}
    foreign = ({'Host': 'evil.example'}, 404), ({'Origin': 'http://evil.example'}, 403), \
        ({'Sec-Fetch-Site': 'cross-site'}, 403), ({'Origin': 'null'}, 403), (image, 403)
    for more,want in foreign:
        for o in ADDRESSES: assert raw(url, o.format(key=key), headers=more)[0]==want, (o, more)
        for o in POSTS: assert raw(url, o, 'POST', more, b'{}')[0]==want, (o, more)
    assert not review.album.states() and review.delivery is None
    status,headers,_ = raw(url, f'/thumbnails/{key}')
    assert status==200 and "default-src 'none'" in headers['content-security-policy']
    assert headers['cross-origin-resource-policy']=='same-origin'

def test_a_stranger_in_the_network_gets_nothing_without_the_token(home, model):
    with serving(home/'color', model, host='0.0.0.0') as (url,review):
        base,token = url.replace('localhost', '127.0.0.1').split('?token=')
        for o in ADDRESSES: assert raw(base, o.format(key='x'))[0]==401, o
        for o in POSTS: assert raw(base, o, 'POST', body=b'{}')[0]==401, o
        status,headers,_ = raw(base, f'/?token={token}')
        assert status==303
        cookie = {'Cookie': headers['set-cookie'].split(';')[0]}
        told = json.loads(raw(base, '/album', headers=cookie)[2])
        assert told['out']=='color-accepted' and not told['local']
        assert str(home) not in json.dumps(told) # whoever comes learns no paths

# ---- paths ----
TRICKS = ['/../report.jsonl', '/thumbnails/../report.jsonl', '/thumbnails/..%2freport.jsonl',
    '/thumbnails/%2e%2e%2freport.jsonl', '/color/..%2f..%2freport.jsonl/full', '/report.jsonl',
    '//etc/passwd', '/%2fetc%2fpasswd', '/thumbnails//etc/passwd', '/desk.js/../../routes.py',
    '/%2e%2e/routes.py', '/color/farm.jpg/full', '/thumbnails/farm.jpg', '/decisions.sqlite',
    '/page/desk.js', '/desk.html', '/color/{key}/../../report.jsonl', '/color/{key}/320%2f..',
    '/.desk-thumbnails/x.jpg', '/thumbnails/{key}%00.jpg', '/thumbnails/{key}/', '/about/..']

@pytest.mark.parametrize('path', TRICKS)
def test_no_address_is_a_path(desk, path):
    url,_ = desk
    status,_,body = raw(url, path.format(key=photographs(url)['farm.jpg']['key']))
    assert status in (400, 404) and b'source_sha256' not in body and b'root:' not in body

@pytest.mark.parametrize('path', [
    '/color/{key}/0', '/color/{key}/321', '/color/{key}/1e9', '/gray/{key}/FULL',
    '/colorings/{key}/-1/run/320', '/colorings/{key}/4294967296/run/320',
    '/colorings/{key}/1/3.01/320', '/colorings/{key}/1/nan/320', '/colorings/{key}/1/inf/320',
    '/colorings/{key}/x/run/320', '/colorings/{key}/1/run/full', '/since/-1/0', '/since/x/0'])
def test_what_is_no_number_is_refused(desk, path):
    url,_ = desk
    status,_,body = raw(url, path.format(key=photographs(url)['farm.jpg']['key']))
    assert status in (400, 404) and b'Traceback' not in body

# ---- questions ----
@pytest.mark.parametrize('asked', [
    b'', b'no', b'[]', b'{"a":'+b'['*100_000, {}, dict(reviewer='Anna'),
    dict(reviewer='Anna', changes=[]), dict(reviewer='Anna', changes={}),
    dict(reviewer='', changes=['{c}']), dict(reviewer=7, changes=['{c}']),
    dict(reviewer='a\nb', changes=['{c}']), dict(reviewer='Anna', changes=['{c}', '{c}'])])
def test_wrong_questions_decide_nothing(desk, asked):
    url,review = desk
    right = change(photographs(url)['farm.jpg'], decision='accepted')
    if isinstance(asked, dict) and 'changes' in asked and isinstance(asked['changes'], list):
        asked = dict(asked, changes=[right for _ in asked['changes']])
    status,said = ask(url+'decisions', asked)
    assert status==400 and said['error'] and not review.album.states()

def test_too_long_is_told(desk):
    url,_ = desk
    assert ask(url+'decisions', b' '*5_000_001)[0]==413

def test_what_cannot_be_had_says_why(home, model):
    (home/'color/farm.jpg').unlink()
    (home/'color/mill.jpg').write_bytes(b'letter')
    with serving(home/'color', model) as (url,_):
        known = photographs(url)
        assert (known['farm.jpg']['status'], known['mill.jpg']['status'])==('vanished', 'replaced')
        for name,word in ('farm.jpg', 'not in the album'), ('mill.jpg', 'not a photograph'):
            status,said = ask(f"{url}thumbnails/{known[name]['key']}")
            assert status==404 and word in said['error'] and str(home) not in said['error']
        assert ask(f"{url}thumbnails/{known['garden.jpg']['key']}")[0]==200
        statuses = ask(url+'since/0/0')[1]['statuses']
        assert [o[:2] for o in statuses]==[[known['mill.jpg']['key'], 'unreadable']]
        assert 'not the file' not in json.dumps(ask(f"{url}about/{known['garden.jpg']['key']}")[1])

def test_looking_works_where_nothing_can_be_decided(home, model):
    with serving(home/'color', model, look_only=True) as (url,_):
        known = photographs(url)
        assert 'looking only' in ask(url+'album')[1]['why_not']
        assert ask(f"{url}color/{known['farm.jpg']['key']}/1280")[0]==200
        asked = dict(reviewer='Anna', changes=[change(known['farm.jpg'], decision='accepted')])
        status,said = ask(url+'decisions', asked)
        assert status==403 and 'Nothing can be decided here' in said['error']

def test_two_at_once_and_the_quicker_is_kept(home, model):
    with serving(home/'color', model) as (url,_):
        known,answers = photographs(url),[]
        def decide(name):
            asked = dict(reviewer=name, changes=[change(o, note=name) for o in known.values()])
            answers.append((name, *ask(url+'decisions', asked)))
        threads = [threading.Thread(target=decide, args=(f'r{i}',)) for i in range(6)]
        for o in threads: o.start()
        for o in threads: o.join()
        won, = [name for name,status,_ in answers if status==200]
        for name,status,said in answers:
            if name==won: continue
            assert status==409 and f'{won} has decided' in said['error'] and len(said['states'])==6
        states = ask(url+'album')[1]['states']
        assert {o['note'] for o in states.values()}=={won}

def test_a_table_goes_out_and_comes_back(home, model):
    with serving(home/'color', model) as (url,_):
        text = ask(url+'decisions.csv')[1].decode('utf-8-sig')
        edited = text.replace('undecided', 'accepted', 3).encode()
        status,said = ask(f"{url}decisions.csv?reviewer={quote('Jürgen')}", edited)
        assert status==200 and {o['reviewer'] for o in said['states'].values()}=={'Jürgen'}
        assert len(said['states'])==3
        bad = ask(url+'decisions.csv?reviewer=Anna', b'path,decision\nfarm.jpg,no\n')
        assert bad[0]==400 and bad[1]['error'].startswith('Line 2')
        anew = edited.replace(b'accepted', b'rejected')
        assert ask(url+'decisions.csv', re.sub(rb',1,', b',,', anew))[0]==400 # by nobody
        assert ask(url+'deliveries', {})[0]==200
        while (o := ask(url+'since/0/0')[1]['delivery'])['state']=='at work': time.sleep(0.02)
        assert (o['state'], o['copied'], o['folder'])==('done', 3, str(home/'color-accepted'))
        page = ask(url+'summary.html')[1].decode()
        assert 'Jürgen' in page

# ---- a real process, and real kills ----
class Desk:
    "`colorized desk` in a process of its own"
    def __init__(self, folder, model, tmp):
        self.port = free_port()
        self.url,self.out = f'http://127.0.0.1:{self.port}/',tmp/f'out-{self.port}'
        env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(root), PYTHONUNBUFFERED='1',
                   TMPDIR=str(tmp))
        command = [sys.executable, '-m', 'colorized', 'desk', folder, '--port', self.port,
                   '--model', model, '--device', 'cpu', '--threads', 1]
        hear = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
        with open(self.out, 'w') as out:
            self.process = subprocess.Popen(list(map(str, command)), stdout=out,
                stderr=subprocess.STDOUT, env=env, preexec_fn=hear)
        deadline = time.monotonic()+120
        while 'The page is at' not in self.out.read_text():
            assert self.process.poll() is None and time.monotonic()<deadline, self.out.read_text()
            time.sleep(0.05)

def decide_until_dead(desk, told):
    "One decision after the other, as fast as the server takes them; `told` grows with its answers"
    known,states = photographs(desk.url),ask(desk.url+'album')[1]['states']
    version = {k: o['version'] for k,o in states.items()}
    n = 0
    while True:
        o = known[NAMES[n%6]]
        n += 1
        asked = dict(change(o, note=f'{n}'), version=version.get(o['key'], 0))
        try: status,said = ask(desk.url+'decisions', dict(reviewer='Anna', changes=[asked]))
        except (OSError, http.client.HTTPException): return
        assert status==200
        version[o['key']] = said['states'][o['key']]['version']
        told.append((o['key'], version[o['key']], f'{n}'))

def test_a_killed_desk_loses_at_most_the_key_being_pressed(home, model, tmp_path):
    (tmp_path/'tmp').mkdir()
    desk = Desk(home/'color', model, tmp_path/'tmp')
    told,moment = [],random.Random(1)
    thread = threading.Thread(target=decide_until_dead, args=(desk, told))
    thread.start()
    while len(told)<20: time.sleep(0.01)
    time.sleep(moment.random()*0.3)
    desk.process.send_signal(signal.SIGKILL)
    thread.join()
    desk.process.wait()
    again = Desk(home/'color', model, tmp_path/'tmp')
    states = ask(again.url+'album')[1]['states']
    events = sum(o['version'] for o in states.values())
    assert events in (len(told), len(told)+1)
    for key,version,note in {k: (k, v, n) for k,v,n in told}.values(): # the last of each
        kept = states[key]
        assert (kept['version'], kept['note'])==(version, note) or kept['version']==version+1
    assert ask(again.url+'undo', dict(reviewer='Anna'))[0]==200 # goes on after the kill
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(60)==0, again.out.read_text()
    assert re.fullmatch(r'The page is at \S+ \(Ctrl\+C ends it\)\n', again.out.read_text())
    assert not (home/'color/decisions.sqlite-wal').exists() # tidied up

def test_nothing_is_left_in_the_temporary_folder(home, model, monkeypatch, tmp_path):
    (tmp_path/'tmp').mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path/'tmp'))
    with serving(home/'color', model, look_only=True) as (url,_):
        ask(f"{url}thumbnails/{photographs(url)['farm.jpg']['key']}")
        assert list((tmp_path/'tmp').iterdir())
    assert not list((tmp_path/'tmp').iterdir())
