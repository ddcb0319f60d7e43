"""Name servers that lie, and where the connections go: 127.0.0.1 plays the network of whoever
colors, 127.0.0.2 the internet"""
import socket, sys
import pytest
from colorized.iiif import addresses
from colorized.iiif.fetch import Fetcher, IIIFError
from colorized.iiif.manifest import read_manifest
from museum import Museum, album, small, status

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith('linux'), reason='all of 127.0.0.0/8 is this machine')
INSIDE,OUTSIDE = '127.0.0.1','127.0.0.2'

@pytest.fixture
def internet(museum, tmp_path, monkeypatch):
    "A museum on the internet, at the port of the one inside, and names with answers in turn"
    (tmp_path/'outside').mkdir()
    outside = Museum(tmp_path/'outside', OUTSIDE, museum.server_port)
    outside.names,real = {},socket.getaddrinfo
    def look_up(host, port, *args, **kwargs):
        answers = outside.names.get(host)
        if answers:
            host = answers.pop(0) if len(answers)>1 else answers[0]
        return real(host, port, *args, **kwargs)
    monkeypatch.setattr(socket, 'getaddrinfo', look_up)
    monkeypatch.setattr(addresses, 'is_public', lambda address: address==OUTSIDE)
    for o in museum,outside:
        small(o.folder/'a.jpg')
    yield outside
    outside.shutdown()

def asks(tmp_path, **kwargs):
    f = Fetcher(tmp_path/'c', rate=200, **{'retries':0, **kwargs})
    f.public_only = True
    return f

def test_the_address_that_was_checked_is_connected_to(museum, internet, tmp_path):
    "The name moves inside between the check and the connection: each time it is asked, it changes"
    internet.names['rebind.example'] = [OUTSIDE, INSIDE]
    url = f'http://rebind.example:{museum.server_port}/a.jpg'
    asks(tmp_path).get(url)
    assert len(internet.log)==1 and museum.log==[]
    assert internet.log[0][2]['Host']==f'rebind.example:{museum.server_port}' # its name stays

def test_without_the_pin_it_would_not_be(museum, internet, tmp_path, monkeypatch):
    "The same attack on connections of urllib3 as they are"
    internet.names['rebind.example'] = [OUTSIDE, INSIDE]
    monkeypatch.setattr(addresses, '_pinned', lambda base, *args: base)
    asks(tmp_path).get(f'http://rebind.example:{museum.server_port}/a.jpg')
    assert internet.log==[] and len(museum.log)==1

def test_a_redirect_to_a_name_that_moves(museum, internet, tmp_path):
    internet.names.update({'museum.example': [OUTSIDE], 'rebind.example': [OUTSIDE, INSIDE]})
    port = museum.server_port
    internet.faults['/b.jpg'] = status(302, Location=f'http://rebind.example:{port}/a.jpg')
    asks(tmp_path).get(f'http://museum.example:{port}/b.jpg')
    assert internet.asked()==['/b.jpg', '/a.jpg'] and museum.log==[]

def test_after_a_failure_it_is_checked_again(museum, internet, tmp_path, monkeypatch):
    internet.names['rebind.example'] = ['127.0.0.3', INSIDE] # where nobody listens, then inside
    monkeypatch.setattr(addresses, 'is_public', lambda o: o in (OUTSIDE, '127.0.0.3'))
    with pytest.raises(IIIFError, match='rebind.example.*private network'):
        asks(tmp_path, retries=1).get(f'http://rebind.example:{museum.server_port}/a.jpg')
    assert museum.log==[]

def test_a_connection_is_checked_by_itself(museum, internet, tmp_path, monkeypatch):
    "Also where nothing was checked before"
    monkeypatch.setattr(addresses.Hosts, 'is_private', lambda self, url: False)
    with pytest.raises(IIIFError, match='private network'):
        asks(tmp_path).get(f'{museum.url}/a.jpg')
    assert museum.log==[]

def test_a_manifest_does_not_gain_trust_by_moving(museum, internet, tmp_path):
    """First its name lies inside, so that it may lead anywhere; then it would come from outside,
    and lead inside"""
    album(internet, [dict(id=f'{museum.url}/a.jpg')])
    album(museum, [dict(id=f'{museum.url}/a.jpg')], label={'en': ['Ours']})
    internet.names['rebind.example'] = [INSIDE, OUTSIDE]
    f = Fetcher(tmp_path/'c', rate=200, retries=0)
    doc = read_manifest(f'http://rebind.example:{museum.server_port}/album.json', f, str)
    assert doc['label']=={'en': ['Ours']} and internet.log==[]

@pytest.mark.parametrize('host', [
    'localhost', '127.1', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0',
    '169.254.169.254', 'LOCALHOST.', '10.0.0.1', '192.168.0.1', '[fe80::1]', '[64:ff9b::7f00:1]'])
def test_spellings_of_inside(tmp_path, host):
    f = asks(tmp_path)
    with pytest.raises(IIIFError, match='private network|cannot be reached|not valid'):
        f.get(f'http://{host}:1/a.jpg')
    assert f.n_requests==0 or f.hosts.is_private(f'http://{host}:1/')

def test_a_name_beyond_ascii_is_one_name(internet, tmp_path):
    "requests and Python spell ß differently; what is checked is what requests will ask for"
    hosts = addresses.Hosts()
    internet.names.update({'xn--strae-oqa.example': [OUTSIDE], 'strasse.example': [INSIDE]})
    assert not hosts.is_private('http://straße.example/a.json')
    assert list(hosts._known)==['xn--strae-oqa.example']
