"Fetching: servers that misbehave, the rules of conduct, and the cache"
import gzip, subprocess, sys, threading, time
from email.utils import formatdate
import pytest
from colorized.iiif.fetch import Fetcher, IIIFError
from colorized.photo.reading import read_scan
from museum import body, broken_off, flat, slow, small, status

def test_nothing_of_the_reading_loads_torch():
    modules = 'fetch','resources','v2','manifest','choice'
    code = f"import sys, {', '.join(f'colorized.iiif.{o}' for o in modules)}; "
    code += "assert not {'torch', 'requests', 'PIL'} & {*sys.modules}, sorted(sys.modules)"
    subprocess.run([sys.executable, '-c', code], check=True)

def endless(h):
    h.send_response(200)
    h.end_headers()
    for _ in range(400):
        h.wfile.write(b'x'*2**16)
        time.sleep(0.05)

# Answers

def test_an_error_is_one_line():
    assert str(IIIFError('a\x1b]0;x\x07\nb\u202ec é'))==r'a\x1b]0;x\x07\nb\u202ec é'

def test_a_long_wait_is_not_sat_out(museum, tmp_path):
    small(museum.folder/'a.jpg')
    museum.faults['/a.jpg'] = status(503, Retry_After=4000)
    with pytest.raises(IIIFError, match='4000 s') as e:
        Fetcher(tmp_path/'c').get(f'{museum.url}/a.jpg')
    assert f'{museum.url}/a.jpg' in str(e.value) and len(museum.log)==1

@pytest.mark.parametrize('fault,says', [
    (status(302, Location='ftp://x.org/a'), 'not valid'),
    (status(302, Location='/a.jpg'), 'circles'),
    (status(401), 'protected'),
    (status(403), 'protected'),
    (status(410), 'HTTP 410'),
    (lambda h: h.connection.shutdown(2), 'broke off|cannot be reached')])
def test_other_answers(museum, tmp_path, fault, says):
    museum.faults['/a.jpg'] = fault
    with pytest.raises(IIIFError, match=says) as e:
        Fetcher(tmp_path/'c', rate=100, retries=0).get(f'{museum.url}/a.jpg')
    assert str(e.value).startswith(f'{museum.url}/a.jpg') and not (tmp_path/'c').exists()

def test_nothing_but_the_web(tmp_path):
    f = Fetcher(tmp_path)
    for url in ('file:///etc/passwd', 'photo.jpg', 'http://', 'http://[', ''):
        with pytest.raises(IIIFError, match='not an address'): f.get(url)
    with pytest.raises(IIIFError, match='127.0.0.1:1/.*reached'):
        Fetcher(tmp_path, retries=0).get('http://127.0.0.1:1/x')

def test_too_much_is_refused(museum, tmp_path):
    (museum.folder/'big.jpg').write_bytes(b'\xff'*3_000_000)
    f = Fetcher(tmp_path/'c', max_bytes=2**20)
    with pytest.raises(IIIFError, match='more than 1 MB') as e: f.get(f'{museum.url}/big.jpg')
    assert e.value.status==413

def test_what_trickles_is_given_up(museum, tmp_path):
    "Each part comes in time, but the whole never would"
    museum.faults['/a.jpg'] = endless
    f,start = Fetcher(tmp_path/'c', rate=100, retries=0, patience=0.3),time.monotonic()
    with pytest.raises(IIIFError, match='not complete') as e: f.get(f'{museum.url}/a.jpg')
    assert e.value.status==408 and time.monotonic()-start<15

def test_what_is_no_picture_is_asked_for_once(museum, tmp_path):
    museum.faults = {'/a.jpg': body(b'<html>'), '/b.jpg': body(flat(300, 200)[:-300]),
                     '/c.jpg': body(flat(300, 200)[:100]), '/d.jpg': body(b'')}
    def of_others(data): raise ValueError('Truncated File Read')
    checks = dict(a=read_scan, b=read_scan, c=read_scan, d=of_others)
    f = Fetcher(tmp_path/'c', rate=200, retries=1)
    for k,n in dict(a=1, b=2, c=2, d=2).items():
        with pytest.raises(IIIFError): f.get(f'{museum.url}/{k}.jpg', check=checks[k])
        assert museum.asked().count(f'/{k}.jpg')==n
    assert not (tmp_path/'c').exists()

OK = b'HTTP/1.1 200 OK\r\n'
CHUNKS = b'Transfer-Encoding: chunked\r\n\r\n'

def drips(start, part, pause=0.05):
    "An answer that begins so and goes on with the same part until nobody listens"
    def fault(h):
        h.wfile.write(start)
        for _ in range(int(20/pause)):
            h.wfile.write(part)
            time.sleep(pause)
    return fault

@pytest.mark.parametrize('fault', [
    drips(OK+b'Content-Length: 100000\r\n\r\n', b'x'),
    drips(OK+CHUNKS+b'fff0\r\n', b'x'),
    drips(OK+CHUNKS+b'0\r\n', b'X: y\r\n'*100),
    drips(OK+b'Connection: close\r\n'+CHUNKS+b'0\r\nX: ', b'y'),
    drips(OK+b'X: ', b'x'),
    drips(b'', b'HTTP/1.1 100 Continue\r\n\r\n'*100)],
    ids=['body', 'chunk', 'trailers', 'closing', 'header', 'continue'])
def test_a_byte_now_and_then_is_not_enough(museum, tmp_path, fault):
    museum.faults['/a.jpg'] = fault
    f,start = Fetcher(tmp_path/'c', rate=100, retries=0, patience=0.5, timeout=5),time.monotonic()
    with pytest.raises(IIIFError, match='not complete') as e: f.get(f'{museum.url}/a.jpg')
    assert e.value.status==408 and time.monotonic()-start<10

def test_a_deadline_is_over_with_its_request(museum, tmp_path):
    "The next one goes over the same connection, and has time of its own"
    small(museum.folder/'a.jpg')
    f = Fetcher(tmp_path/'c', rate=100, retries=0, patience=0.5)
    def late(h):
        time.sleep(0.3)
        h.wfile.write(OK+b'Content-Length: 2\r\n\r\nok')
    museum.faults['/a.jpg'] = late
    for _ in range(3): assert f.get(f'{museum.url}/a.jpg', keep=False)==b'ok'

@pytest.mark.parametrize('more,part', [
    (b'Content-Length: 999999999\r\n\r\n', b'x'*2**16),
    (CHUNKS, b'10000\r\n'+b'x'*2**16+b'\r\n'),
    (b'Content-Encoding: gzip\r\n\r\n'+gzip.compress(bytes(2**24)), b'')])
def test_the_body_of_a_redirect_is_not_read(museum, tmp_path, more, part):
    small(museum.folder/'a.jpg')
    head = b'HTTP/1.1 302 Found\r\nLocation: /a.jpg\r\n'
    museum.faults['/b.jpg'] = drips(head+more, part)
    f,start = Fetcher(tmp_path/'c', rate=100, retries=0, max_bytes=2**20),time.monotonic()
    assert f.get(f'{museum.url}/b.jpg')==(museum.folder/'a.jpg').read_bytes()
    assert museum.asked()==['/b.jpg', '/a.jpg'] and time.monotonic()-start<5

def test_what_cannot_be_unpacked(museum, tmp_path):
    museum.faults['/a.jpg'] = lambda h: h.answer(200, b'no gzip', Content_Encoding='gzip')
    with pytest.raises(IIIFError, match='cannot be unpacked'):
        Fetcher(tmp_path/'c', rate=100, retries=0).get(f'{museum.url}/a.jpg')

def test_one_answer_may_be_limited(museum, tmp_path):
    museum.faults['/a.json'] = body(b' '*(2**20+1))
    f = Fetcher(tmp_path/'c', rate=100)
    with pytest.raises(IIIFError, match='more than 1 MB'):
        f.get(f'{museum.url}/a.json', most=2**20)
    assert f.get(f'{museum.url}/a.json')

# The cache

def test_only_what_is_whole_is_kept(museum, tmp_path):
    "An answer that broke off is no answer; the good one is kept under a name of its own"
    small(museum.folder/'a.jpg')
    url = f'{museum.url}/a.jpg'
    museum.faults['/a.jpg'] = [broken_off, status(500), status(404)]
    f = Fetcher(tmp_path/'c', rate=200, retries=0)
    for _ in range(3):
        with pytest.raises(IIIFError): f.get(url)
        assert not (tmp_path/'c').exists()
    data = f.get(url)
    files = [o for o in (tmp_path/'c').rglob('*') if o.is_file()]
    assert files==[f.cache_path(url)] and files[0].read_bytes()==data
    assert f.get(url)==data and len(museum.log)==4
    assert f.get(url, keep=False)==data and len(museum.log)==5

def test_a_cached_answer_must_do(museum, tmp_path):
    "What a reader of yesterday kept is fetched again where the one of today cannot use it"
    small(museum.folder/'a.jpg')
    f = Fetcher(tmp_path/'c', rate=200)
    path = f.cache_path(f'{museum.url}/a.jpg')
    for left in (b'', b'<html>', flat(300, 200)[:-300]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(left)
        want = (museum.folder/'a.jpg').read_bytes()
        assert f.get(f'{museum.url}/a.jpg', check=read_scan)==path.read_bytes()==want
    assert len(museum.log)==3

# Conduct

def in_4_seconds(h):
    h.answer(503, Retry_After=formatdate(time.time()+4, usegmt=True))

@pytest.mark.parametrize('answer,seconds', [
    (status(503, Retry_After=3), 3),
    (in_4_seconds, pytest.approx(3, abs=1.1)), # a date has whole seconds
    (status(503, Retry_After='soon'), 1),
    (status(503, Retry_After=f"{'9'*400} Jan 2020 00:00:00 GMT"), 1),
    (status(503), 1)])
def test_retry_after_is_waited_for(museum, tmp_path, clock, answer, seconds):
    "A number or a date; without it, or with nonsense, a second"
    small(museum.folder/'a.jpg')
    museum.faults['/a.jpg'] = [answer]
    Fetcher(tmp_path/'c', rate=100, retries=1).get(f'{museum.url}/a.jpg')
    (first,_,_),(second,_,_) = museum.log
    assert second-first==seconds

def test_the_pace_holds_across_redirects(museum, tmp_path, clock):
    "The request that a redirect causes is a request, and waits for its turn"
    small(museum.folder/'a.jpg')
    museum.faults = {'/b.jpg': status(302, Location='/c.jpg'),
                     '/c.jpg': status(302, Location='/a.jpg')}
    f = Fetcher(tmp_path/'c', rate=5)
    for i in range(2): f.get(f'{museum.url}/b.jpg', keep=False)
    times = [t for t,_,_ in museum.log]
    assert f.n_requests==6 and times==pytest.approx([i/5 for i in range(6)])

def test_a_late_answer_is_followed_by_a_pause(museum, tmp_path, clock):
    "A server that took 0.3 s is not asked at once when it is done"
    small(museum.folder/'a.jpg')
    museum.faults['/a.jpg'] = slow
    f = Fetcher(tmp_path/'c', rate=5)
    for i in range(2): f.get(f'{museum.url}/a.jpg', keep=False)
    assert [t for t,_,_ in museum.log]==pytest.approx([0, 0.3+0.75/5])

def test_no_way_into_a_private_network(museum, tmp_path):
    "Neither directly nor by a redirect, which is not even asked"
    inside = museum.url.replace('127.0.0.1', 'localhost')
    small(museum.folder/'a.jpg')
    museum.faults['/moved.jpg'] = status(302, Location=f'{inside}/a.jpg')
    f = Fetcher(tmp_path/'c', rate=100, retries=0)
    assert f.get(f'{museum.url}/moved.jpg', keep=False) # of one's own server it may
    f.public_only = True
    museum.log.clear()
    with pytest.raises(IIIFError, match='private network'): f.get(f'{inside}/a.jpg')
    with pytest.raises(IIIFError, match='private network'): f.get(f'{museum.url}/moved.jpg')
    assert museum.log==[] # 127.0.0.1 is private as well

def test_no_password_is_sent(museum, tmp_path, monkeypatch):
    "requests takes one from ~/.netrc by itself, after a redirect as well"
    (tmp_path/'.netrc').write_text('machine 127.0.0.1 login curator password secret\n')
    (tmp_path/'.netrc').chmod(0o600)
    monkeypatch.setenv('HOME', str(tmp_path))
    small(museum.folder/'a.jpg')
    museum.faults = {'/b.jpg': status(302, Location='/a.jpg')}
    f,u = Fetcher(tmp_path/'c', rate=200),museum.url
    for url in (f'{u}/a.jpg', f'{u}/b.jpg', u.replace('//', '//curator:secret@')+'/a.jpg'):
        f.get(url, keep=False)
    assert len(museum.log)==4 and not any('Authorization' in h for _,_,h in museum.log)

def test_no_cookie_is_kept(museum, tmp_path):
    museum.faults['/a.jpg'] = lambda h: h.answer(200, b'x', Set_Cookie='a=b')
    f = Fetcher(tmp_path/'c', rate=100)
    for _ in range(2): f.get(f'{museum.url}/a.jpg', keep=False)
    assert not any('Cookie' in h for _,_,h in museum.log) and not f._session.cookies

@pytest.mark.parametrize('begin', [b'', b'HTTP/1.1 200 OK\r\n\r\nhalf'])
def test_a_silent_server_can_be_interrupted(museum, tmp_path, begin):
    "whether it has begun to answer or not, and half an answer is not kept"
    over,said = threading.Event(),[]
    def silent(h):
        h.wfile.write(begin)
        over.wait(30)
    museum.faults['/a'] = silent
    fetcher,url = Fetcher(tmp_path/'c', rate=100),f'{museum.url}/a'
    def get():
        try: fetcher.get(url)
        except IIIFError as e: said.append(str(e))
    thread = threading.Thread(target=get)
    thread.start()
    while not museum.log: time.sleep(0.01)
    time.sleep(0.5) # it waits now
    fetcher.stop()
    thread.join(10)
    over.set()
    assert said==['interrupted'] and not fetcher.cache_path(url).exists()

def test_waits_and_downloads_can_be_interrupted(museum, tmp_path):
    "A server that asks for a minute, and an answer that goes on and on"
    for fault in (status(503, Retry_After=60), endless):
        museum.faults['/a.jpg'] = fault
        f = Fetcher(tmp_path/'c', rate=100)
        timer = threading.Timer(0.5, f.stop)
        timer.start()
        start = time.monotonic()
        with pytest.raises(IIIFError, match='^interrupted$'): f.get(f'{museum.url}/a.jpg')
        assert time.monotonic()-start<15
        timer.join()
    assert not (tmp_path/'c').exists()
