"""IIIF with what others made: servers, trees of tiles, manifests of real institutions, a validator's data model. And with servers that misbehave"""
import io, itertools, json, math, os, shutil, signal, socket, subprocess, sys, threading, time
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import iiif_prezi3, numpy as np, pytest, torch
from PIL import Image
from colorized.batch.folder import read_provenance, read_report
from colorized.cli.main import main
from colorized.inference.colorizer import Colorizer
from colorized.iiif.publish import colorize_manifest
from colorized.iiif.image import Fetcher, IIIFError, ImageService, parse_info, write_tiles
from colorized.iiif.manifest import languages, offer, pictures, read_manifest, finish, colour_body, rights_remark, validity_remark
from colorized.photo.scan import Provenance, read_scan

HERE = Path(__file__).parent
PHOTO = HERE.parent/'nbs/images/campus-1910.jpg'
MANIFESTS = sorted(p for p in (HERE/'iiif').glob('*.json') if p.name!='expected.json')
V3 = 'http://iiif.io/api/presentation/3/context.json'
torch.set_num_threads(1)

def gray(data): return np.asarray(Image.open(io.BytesIO(data) if isinstance(data, bytes) else data).convert('L')).astype(float)
def small(path, w=150, h=100, x=0, quality=92):
    "A small photograph of its own, at `path`"
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(PHOTO) as im: im.crop((x, 200, x+3*w, 200+3*h)).resize((w, h)).convert('L').save(path, quality=quality)
    return path

# A museum: a web server with a log, that may misbehave

class Museum(ThreadingHTTPServer):
    daemon_threads = True
    def __init__(self, folder):
        super().__init__(('127.0.0.1', 0), partial(Desk, directory=str(folder)))
        self.folder,self.url,self.log,self.faults,self.now,self.most = Path(folder),f'http://127.0.0.1:{self.server_port}',[],{},0,0
        threading.Thread(target=self.serve_forever, daemon=True).start()
    def asked(self): return [p for _,p,_ in self.log]
    def handle_error(self, *args): pass # a client that hung up

class Desk(SimpleHTTPRequestHandler):
    lock = threading.Lock()
    def do_GET(self):
        s = self.server
        with self.lock: s.log.append((time.monotonic(), self.path, dict(self.headers))); s.now += 1; s.most = max(s.most, s.now)
        self.busy = True
        try:
            fault = s.faults.get(self.path)
            if isinstance(fault, list): fault = fault.pop(0) if fault else None # so many times only
            return fault(self) if fault else super().do_GET()
        finally: self.done()
    def done(self):
        "Before the last byte: whoever has that may ask again before this thread goes on"
        with self.lock: self.server.now -= self.busy; self.busy = False
    def copyfile(self, source, out):
        data = source.read(); self.done(); out.write(data)
    def log_message(self, *args): pass
    def answer(self, status, body=b'', **headers):
        self.send_response(status)
        for k,v in {'Content_Length': len(body), **headers}.items(): self.send_header(k.replace('_', '-'), str(v))
        self.done(); self.end_headers(); self.wfile.write(body)
    def file(self): return Path(self.translate_path(self.path)).read_bytes()

def status(code, **headers): return lambda h: h.answer(code, **headers)
def body(data): return lambda h: h.answer(200, data)
def cut(h): h.answer(200, h.file()[:-800])                                       # a whole answer, half a picture
def broken_off(h): h.answer(200, h.file()[:900], Content_Length=len(h.file()))   # half an answer
def hang(h): time.sleep(1.6); h.answer(200, h.file())
def slow(h): time.sleep(0.3); h.answer(200, h.file())

@pytest.fixture
def museum(tmp_path):
    (tmp_path/'site').mkdir()
    with_ = Museum(tmp_path/'site')
    yield with_
    with_.shutdown()

def canvas(u, i, body, w=150, h=100):
    return dict(id=f'{u}/canvas/{i}', type='Canvas', label={'en': [f'Page {i}']}, width=w, height=h, items=[dict(id=f'{u}/page/{i}', type='AnnotationPage', items=[
        dict(id=f'{u}/annotation/{i}', type='Annotation', motivation='painting', target=f'{u}/canvas/{i}', body=dict(type='Image', format='image/jpeg', width=w, height=h, **body))])])
def album(museum, bodies, **more):
    u = museum.url
    doc = {'@context': V3, 'id': f'{u}/album.json', 'type': 'Manifest', 'label': {'en': ['An album']}, **more, 'items': [canvas(u, i, b) for i,b in enumerate(bodies)]}
    (museum.folder/'album.json').write_text(json.dumps(doc))
    return doc
def files_album(museum, n, **more):
    "An album of n plain files"
    for i in range(n): small(museum.folder/f'photo{i}.jpg', x=40*i)
    return album(museum, [dict(id=f'{museum.url}/photo{i}.jpg') for i in range(n)], **more)
def paint(doc): return [c['items'][0]['items'][0]['body'] for c in doc['items']]
def result(out): return json.loads((out/'manifest.json').read_text('utf-8'))
def leftovers(folder): return [str(p.relative_to(folder)) for p in folder.rglob('.*') if p.name!='.cache']

@pytest.fixture(scope='module')
def colorizer(): return Colorizer.from_pretrained(device='cpu')

# Pictures from servers that others wrote

def free_port():
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); return s.getsockname()[1]
def wait_for(url, seconds=60):
    import requests
    for _ in range(10*seconds):
        try: return requests.get(url, timeout=5)
        except requests.ConnectionError: time.sleep(0.1)
    raise TimeoutError(url)

@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    "(folder with photo.jpg, its pixels): 540×347, and the museum's own JPEG is nearly lossless"
    folder = tmp_path_factory.mktemp('photo')
    with Image.open(PHOTO) as im: im.resize((540, 347)).convert('RGB').save(folder/'photo.jpg', quality=98)
    return folder,gray(folder/'photo.jpg')

@pytest.fixture(scope='module')
def trees(photo, tmp_path_factory):
    "Level 0 by libvips: tiles of 128 pixels, in the words of version 2 and of version 3; no whole picture in it"
    import pyvips
    site = tmp_path_factory.mktemp('trees'); museum = Museum(site)
    for v,layout in ((2, 'iiif'), (3, 'iiif3')):
        pyvips.Image.new_from_file(str(photo[0]/'photo.jpg')).dzsave(str(site/f'v{v}'), layout=layout, tile_size=128, suffix='.jpg[Q=98]', id=museum.url)
    yield museum
    museum.shutdown()

@pytest.fixture(scope='module')
def reference(photo):
    "The reference implementation by IIIF's editors: level 1, versions 1.1, 2.1 and 3.0"
    port = free_port()
    p = subprocess.Popen([sys.executable, str(Path(sys.executable).parent/'iiif_testserver.py'), '--host', '127.0.0.1', '--port', str(port), '--image-dir', str(photo[0]),
        '--api-versions', '1.1,2.1,3.0', '--manipulators', 'pil', '--auth-types', 'none', '--quiet', '--tile-width', '128', '--tile-height', '128'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=photo[0]) # where it leaves a file with its process id
    wait_for(f'http://127.0.0.1:{port}/')
    yield f'http://127.0.0.1:{port}'
    p.terminate(); p.wait(10)

@pytest.fixture(scope='module')
def flask_iiif_server(photo):
    "flask-iiif, CERN's: level 2, version 2"
    from flask import Flask
    from flask_iiif import IIIF
    from flask_restful import Api
    from werkzeug.serving import make_server
    app = Flask('museum'); ext = IIIF(app)
    ext.init_restful(Api(app)); ext.uuid_to_image_opener_handler(lambda uuid: open(photo[0]/uuid, 'rb'))
    server = make_server('127.0.0.1', 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()

IIPSRV,LIGHTTPD = Path('/usr/lib/iipimage-server/iipsrv.fcgi'),shutil.which('lighttpd', path=os.environ.get('PATH', '')+':/usr/sbin')

@pytest.fixture(scope='module')
def iipsrv(photo, tmp_path_factory):
    "IIPImage, which many libraries run: level 1, version 2"
    import pyvips
    tmp,port = tmp_path_factory.mktemp('iip'),free_port()
    pyvips.Image.new_from_file(str(photo[0]/'photo.jpg')).tiffsave(str(tmp/'photo.tif'), tile=True, pyramid=True, compression='deflate', tile_width=128, tile_height=128)
    (tmp/'conf').write_text(f'''server.modules = ("mod_fastcgi")
server.document-root = "{tmp}"\nserver.bind = "127.0.0.1"\nserver.port = {port}
fastcgi.server = ("/iiif" => (("socket" => "{tmp}/s", "check-local" => "disable", "max-procs" => 1, "bin-path" => "{IIPSRV}", "bin-environment" => (
    "URI_MAP" => "iiif=>IIIF", "FILESYSTEM_PREFIX" => "{tmp}/", "VERBOSITY" => "0", "LOGFILE" => "{tmp}/log", "JPEG_QUALITY" => "98"))))''')
    p = subprocess.Popen([LIGHTTPD, '-D', '-f', str(tmp/'conf')], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(f'http://127.0.0.1:{port}/')
    yield f'http://127.0.0.1:{port}/iiif/photo.tif'
    p.terminate(); p.wait(10)

SERVICES = {'libvips 0 v2': ('trees', lambda o: f'{o.url}/v2', 2, 0), 'libvips 0 v3': ('trees', lambda o: f'{o.url}/v3', 3, 0),
    'reference 1 v1.1': ('reference', lambda o: f'{o}/1.1_pil/photo', 1, 1), 'reference 1 v2.1': ('reference', lambda o: f'{o}/2.1_pil/photo', 2, 1),
    'reference 1 v3.0': ('reference', lambda o: f'{o}/3.0_pil/photo', 3, 1), 'flask-iiif 2 v2': ('flask_iiif_server', lambda o: f'{o}/api/multimedia/image/v2/photo.jpg', 2, 2),
    'iipsrv 1 v2': ('iipsrv', lambda o: o, 2, 1)}

@pytest.fixture(params=SERVICES)
def service(request, tmp_path):
    "(its fetcher, what its info.json says)"
    if request.param.startswith('iipsrv') and not (IIPSRV.exists() and LIGHTTPD): pytest.skip("apt-get install iipimage-server lighttpd")
    name,address,version,level = SERVICES[request.param]
    id = address(request.getfixturevalue(name))
    f = Fetcher(tmp_path/'cache', rate=200, retries=0)
    s = parse_info(json.loads(f.get(f'{id}/info.json')), f'{id}/info.json'); s.id = id
    assert (s.version, s.level, s.width, s.height) == (version, level, 540, 347)
    return f,s

def again(x, **kwargs):
    "Pixels as they come out of another JPEG"
    buf = io.BytesIO(); Image.fromarray(x.astype(np.uint8)).convert('RGB').save(buf, 'JPEG', **kwargs)
    return gray(buf.getvalue())

def test_whole_picture_from_servers_of_others(service, photo):
    f,s = service; before = f.n
    data,stitched,remarks = f.picture(s)
    got = gray(data)
    assert got.shape==photo[1].shape and remarks==[] and stitched==(s.level==0)
    want = photo[1] if s.level==0 or 'photo.tif' in s.id else again(photo[1], quality=90 if s.level==2 else 75) # the others compress anew, each as it likes
    worst = max(abs(got-want)[y:y+32, x:x+32].mean() for y in range(0, 347, 32) for x in range(0, 540, 32)) # a tile in the wrong place would show
    assert abs(got-want).mean()<1.5 and worst<4
    assert f.n-before<=(15+3 if stitched else 1) # 15 tiles, and the names that the whole might have had

def test_limited_size_from_servers_of_others(service, photo):
    f,s = service
    got = gray(f.picture(s, 270)[0])
    assert 268<=max(got.shape)<=270 and abs(got.shape[1]/got.shape[0]-540/347)<0.02
    want = np.asarray(Image.fromarray(photo[1].astype(np.uint8)).resize(got.shape[::-1], Image.BOX)).astype(float)
    assert abs(got-want).mean()<5

def test_tiles_where_the_whole_is_refused(reference, photo, tmp_path):
    "A limit that the server announces: the regions still are to be had at full resolution"
    f = Fetcher(tmp_path, rate=200)
    s = parse_info(json.loads(f.get(f'{reference}/2.1_pil/photo/info.json'))); s.max_width,s.tiles = 200,[]
    data,stitched,remarks = f.picture(s)
    want = np.vstack([np.hstack([again(photo[1][y:y+200, x:x+200]) for x in range(0, 540, 200)]) for y in range(0, 347, 200)])
    assert stitched and not remarks and gray(data).shape==want.shape and abs(gray(data)-want).mean()<1.5
    assert f.n==1+math.ceil(540/200)*math.ceil(347/200)

# Tiles for others

def read_tree(folder, factor):
    "The picture of a level-0 tree, by the letter of the Image API and not by our code"
    info = json.loads((folder/'info.json').read_text())
    W,H,t = info['width'],info['height'],info['tiles'][0]['width']
    out = np.full((-(-H//factor), -(-W//factor), 3), 255, np.uint8)
    for y,x in itertools.product(range(0, H, t*factor), range(0, W, t*factor)):
        w,h = min(t*factor, W-x),min(t*factor, H-y)
        tile = np.asarray(Image.open(folder/f'{x},{y},{w},{h}/{-(-w//factor)},{-(-h//factor)}/0/default.jpg').convert('RGB'))
        out[y//factor:y//factor+tile.shape[0], x//factor:x//factor+tile.shape[1]] = tile
    return out

@pytest.mark.parametrize('w,h', [(540, 347), (256, 256), (257, 100), (90, 60)])
def test_tiles_are_those_of_libvips(tmp_path, w, h):
    import pyvips
    with Image.open(PHOTO) as im: im.resize((w, h)).convert('RGB').save(tmp_path/'a.jpg', quality=98)
    info = write_tiles(tmp_path/'a.jpg', tmp_path/'ours', 'https://x.org/ours', tile=128, quality=98)
    pyvips.Image.new_from_file(str(tmp_path/'a.jpg')).dzsave(str(tmp_path/'theirs'), layout='iiif3', tile_size=128, suffix='.jpg[Q=98]')
    def jpegs(o): return {str(p.relative_to(o)) for p in o.rglob('*.jpg')}
    ours,theirs = jpegs(tmp_path/'ours'),jpegs(tmp_path/'theirs')
    sizes = [f"{s['width']},{s['height']}/0/default.jpg" for s in info['sizes']] # a tile that is the whole has two names; libvips uses the shorter one
    assert theirs<=ours and ours-theirs<={'full/max/0/default.jpg', *(f'{region}/{o}' for o in sizes for region in ('full', f'0,0,{w},{h}'))}
    assert 'full/max/0/default.jpg' in ours
    vips = json.loads((tmp_path/'theirs/info.json').read_text())
    assert {k: info[k] for k in ('@context', 'type', 'protocol', 'profile', 'width', 'height')}=={k: vips[k] for k in ('@context', 'type', 'protocol', 'profile', 'width', 'height')}
    assert info['tiles'][0]['scaleFactors']==vips['tiles'][0]['scaleFactors']
    for o in theirs: assert gray(tmp_path/'ours'/o).shape==gray(tmp_path/'theirs'/o).shape and abs(gray(tmp_path/'ours'/o)-gray(tmp_path/'theirs'/o)).mean()<2, o
    with Image.open(tmp_path/'a.jpg') as im:
        for f in info['tiles'][0]['scaleFactors']:
            want = np.asarray(im.reduce(f) if f>1 else im).astype(float)
            got = read_tree(tmp_path/'ours', f).astype(float)
            assert got.shape==want.shape and abs(got-want).mean()<1.5 and np.percentile(abs(got-want), 99)<12
    assert (tmp_path/'ours/full/max/0/default.jpg').read_bytes()==(tmp_path/'a.jpg').read_bytes()

def test_tiles_whole_or_not_at_all(tmp_path, monkeypatch):
    small(tmp_path/'a.jpg', 300, 200); saved = Image.Image.save; n = itertools.count()
    def full(self, *args, **kwargs):
        if next(n)==5: raise OSError(28, 'No space left on device')
        return saved(self, *args, **kwargs)
    monkeypatch.setattr(Image.Image, 'save', full)
    with pytest.raises(OSError): write_tiles(tmp_path/'a.jpg', tmp_path/'tree', 'https://x.org', tile=64)
    assert [p.name for p in tmp_path.iterdir()]==['a.jpg']

# Manifests of others

def facts(m):
    "What two programs that turn version 2 into 3 should agree on"
    def id(o): return o.get('@id') or o.get('id')
    def listed(v): return v if isinstance(v, list) else [v] if v else []
    def tree(r): return [id(r), [tree(o) if o['type']=='Range' else id(o) for o in r.get('items', [])]]
    def page(c): return dict(id=c['id'], size=[c.get('width'), c.get('height')], label=c['label'] if any(map(any, (c.get('label') or {}).values())) else None,
        services=[id(s) for p in c['items'] for a in p['items'] for b in listed(a['body']) for s in listed(b.get('service'))])
    return dict(id=m['id'], label=m['label'], credit=m.get('requiredStatement', {}).get('value'), summary=m.get('summary'), seeAlso=[id(o) for o in m.get('seeAlso', [])],
        rendering=[id(o) for o in m.get('rendering', [])], canvases=[page(c) for c in m['items']], ranges=[tree(r) for r in m.get('structures', [])])

def counting():
    n = itertools.count(1)
    return lambda kind: f'https://example.org/colour/{kind}/{next(n)}'
def valid(doc):
    "By the letter of the Presentation API, as far as a few lines go; by iiif-prezi3; and by the official schema, where IIIF_SCHEMA names the validator's iiif_3_0.json"
    def walk(o, path=''):
        if isinstance(o, list): [walk(v, f'{path}/{i}') for i,v in enumerate(o)]
        if not isinstance(o, dict): return
        for k in ('label', 'summary', 'value'):
            if k in o and o.get('type')!='TextualBody': assert isinstance(o[k], dict) and o[k] and all(isinstance(v, list) and all(isinstance(s, str) for s in v) for v in o[k].values()), f'{path}/{k}: {o[k]}'
        for k in ('id', '@id'): assert k not in o or o[k].startswith(('http://', 'https://')), f'{path}/{k}: {o[k]}'
        if o.get('type')=='Choice': assert len(o['items'])>=2 and all(i['label'] for i in o['items']), path
        if path.startswith('/items') and o.get('type') in ('Canvas', 'AnnotationPage', 'Annotation'): seen.append(o['id'])
        for k,v in o.items(): walk(v, f'{path}/{k}')
    seen = []; walk(doc)
    assert len(seen)==len(set(seen)) and (doc['@context']==V3 or doc['@context'][-1]==V3) and all(k in doc for k in ('id', 'type', 'label', 'items'))
    assert validity_remark(doc) is None
    if os.environ.get('IIIF_SCHEMA'):
        import jsonschema
        jsonschema.validate(doc, json.loads(Path(os.environ['IIIF_SCHEMA']).read_text()))
    return True

def coloured(m, source='https://example.org/original.json'):
    "A manifest with a made-up colour version of every picture"
    (found,_),langs,base = pictures(m),languages(m),'https://example.org/colour'
    for p in found: offer(p, colour_body(p, dict(width=30, height=20, output=f'colour/{p.name}.jpg', source_sha256='ab'*32), Provenance('m', 'cd'*32, 0, 4, {}), base, langs, True), base, langs)
    return finish(m, source, base, len(found)),found

@pytest.mark.parametrize('path', MANIFESTS, ids=lambda p: p.stem)
def test_version_2_as_another_program_reads_it(path):
    got,want = facts(read_manifest(path, None, counting())),json.loads((HERE/'iiif/expected.json').read_text('utf-8'))[path.name]
    want['canvases'] = [c for c in want['canvases'] if c['size']!=[None, None]] # it makes up canvases for a second sequence,
    got['ranges'] = got['ranges'][:len(want['ranges'])]                         # which becomes a range at the end in ours
    if path.stem=='ghent': want['rendering'] = [json.loads(path.read_text('utf-8'))['sequences'][0]['rendering'][0]['@id']] # and drops what a sequence says of itself
    want.pop('direction')
    assert got==want

@pytest.mark.parametrize('path', MANIFESTS, ids=lambda p: p.stem)
def test_manifests_of_institutions_become_valid_choices(path):
    m = read_manifest(path, None, counting()); painted = sum(len(p['items']) for c in m['items'] for p in c['items'])
    new,found = coloured(m)
    assert sum(len(p.places) for p in found)==painted and valid(new)
    choices = [a['body'] for c in new['items'] for p in c['items'] for a in p['items']]
    assert all([o['type'] for o in b['items']]==['Image', 'Image'] and b['type']=='Choice' for b in choices) and len(choices)==painted

def test_what_is_not_valid_is_said(tmp_path):
    (tmp_path/'m.json').write_text(json.dumps({**prezi3_manifest(), 'rights': 'public domain'}))
    assert 'at rights' in validity_remark(coloured(read_manifest(tmp_path/'m.json', None, counting()))[0])

def test_rights_and_links_of_version_2():
    get = lambda name: read_manifest(HERE/f'iiif/{name}.json', None, counting())
    assert get('ghent')['rights']=='http://rightsstatements.org/vocab/UND/1.0/' and 'see to it' in rights_remark(get('ghent'))
    tokyo = get('tokyo')
    assert tokyo['rights']=='http://creativecommons.org/licenses/by-sa/4.0/' and tokyo['viewingDirection']=='right-to-left' and tokyo['behavior']==['paged'] and not rights_remark(tokyo)
    assert tokyo['provider'][0]['logo'][0]['id']=='https://dzkimgs.l.u-tokyo.ac.jp/iiif/zuzoubu/satlogo80.png'
    getty = get('getty') # a licence that version 3 does not know must not get lost
    assert 'rights' not in getty and getty['metadata'][-1]=={'label': {'en': ['License']}, 'value': {'none': ['http://www.getty.edu/legal/copyright.html#oc']}}
    assert getty['homepage'][0]['id'].endswith('la-surprise-french-1718-1719/') and getty['partOf'][0]['id']=='http://www.getty.edu/art/collection/'
    assert get('dublin')['items'][0]['service'][0]['physicalUnits']=='in'

def v2_manifest(tmp_path, sequence={}, canvas={}, annotation={}, resource={}, **more):
    "A manifest of version 2 with one picture, read; each level may say more"
    u = 'https://museum.example'
    resource = {'@id': f'{u}/a.jpg', '@type': 'dctypes:Image', 'format': 'image/jpeg', **resource}
    annotation = {'@type': 'oa:Annotation', 'motivation': 'sc:painting', 'on': f'{u}/canvas/1', 'resource': resource, **annotation}
    canvas = {'@id': f'{u}/canvas/1', '@type': 'sc:Canvas', 'label': '1', 'width': 100, 'height': 80, 'images': [annotation], **canvas}
    (tmp_path/'m.json').write_text(json.dumps({'@context': 'http://iiif.io/api/presentation/2/context.json', '@id': f'{u}/m.json', '@type': 'sc:Manifest', 'label': 'An album', **more,
        'sequences': [{'@type': 'sc:Sequence', 'canvases': [canvas], **sequence}]}))
    return read_manifest(tmp_path/'m.json', None, counting())

def test_what_a_sequence_says_is_not_lost(tmp_path):
    "Version 3 has no sequences: the manifest says it instead, after what it says itself, and once"
    u = 'https://museum.example'
    said = dict(attribution='The photographer', license='http://creativecommons.org/licenses/by/4.0/', logo=f'{u}/s.png', description='Glass negatives', thumbnail=f'{u}/s.jpg', related=f'{u}/s.html',
        seeAlso=f'{u}/s.xml', metadata=[dict(label='Box', value='17')], service={'@context': 'http://iiif.io/api/search/1/context.json', '@id': f'{u}/search', 'profile': 'http://iiif.io/api/search/1/search'},
        rendering={'@id': f'{u}/s.pdf', 'format': 'application/pdf', 'label': 'Download'})
    alone = v2_manifest(tmp_path, sequence=said)
    assert alone==v2_manifest(tmp_path, **said)==v2_manifest(tmp_path, sequence=said, **said)
    assert alone['requiredStatement']['value']=={'none': ['The photographer']} and alone['rights']==said['license'] and alone['rendering'][0]['id']==f'{u}/s.pdf'
    both = v2_manifest(tmp_path, sequence=said, attribution='The museum', license='http://creativecommons.org/licenses/by-nc/4.0/', metadata=[dict(label='Date', value='1910')], seeAlso=f'{u}/m.xml')
    assert both['requiredStatement']['value']=={'none': ['The museum', 'The photographer']} and [o['id'] for o in both['seeAlso']]==[f'{u}/m.xml', f'{u}/s.xml']
    assert both['rights'].endswith('by-nc/4.0/') and [m['label'] for m in both['metadata']]==[{'none': ['Date']}, {'none': ['Box']}, {'en': ['License']}]
    assert valid(coloured(alone)[0]) and valid(coloured(both)[0])

def test_rights_and_credit_of_a_single_picture(tmp_path):
    "They stay with it, its colour version has them as well, and a refusal is repeated wherever it stands"
    u,nd = 'https://museum.example','http://creativecommons.org/licenses/by-nd/4.0/'
    m = v2_manifest(tmp_path, resource=dict(license=nd, attribution='(c) The photographer', logo=f'{u}/p.png', metadata=[dict(label='Negative', value='17')]), annotation=dict(attribution='Scan: the library'))
    assert rights_remark(m)==f'the rights given for {u}/a.jpg are {nd}, which allows no changed versions to be published'
    new,_ = coloured(m); anno = new['items'][0]['items'][0]['items'][0]; old,colour = anno['body']['items']
    assert valid(new) and anno['requiredStatement']['value']=={'none': ['Scan: the library']} and old['metadata'][0]['value']=={'none': ['17']}
    for o in (old, colour): assert o['rights']==nd and o['requiredStatement']['value']=={'none': ['(c) The photographer']} and o['provider'][0]['logo'][0]['id']==f'{u}/p.png'
    assert colour['metadata'][0]['label']=={'en': ['Made by']}
    page = 'https://rightsstatements.org/page/InC/1.0/?language=en'
    assert rights_remark(dict(id=u, rights=page))==f'the rights given are {page}: see to it that you may publish a changed version'
    assert 'no changed' in rights_remark(dict(id=u, rights=page, items=[dict(id=f'{u}/canvas/1', rights=nd)]))
    assert rights_remark(v2_manifest(tmp_path, license='http://creativecommons.org/publicdomain/mark/1.0/')) is None

def test_odd_things_of_version_2(tmp_path):
    u = 'https://museum.example'
    m = v2_manifest(tmp_path, license='', logo='', metadata=[dict(label='Date', value={'@value': None, '@language': 'en'}), dict(label='Place', value=None)])
    assert not {'rights', 'provider'} & {*m} and [o['value'] for o in m['metadata']]==[{'en': ['']}, {'none': ['']}] and valid(coloured(m)[0])
    m = v2_manifest(tmp_path, resource=dict(service={'id': f'{u}/iiif/a', 'type': 'ImageService3', 'profile': 'level2'}))
    assert pictures(m)[0][0].key==f'{u}/iiif/a' and valid(coloured(m)[0])
    part = {'@type': 'oa:SpecificResource', 'full': f'{u}/canvas/1', 'selector': {'@type': 'oa:FragmentSelector', 'value': 'xywh=0,0,50,80'}}
    for on,target in ((part, f'{u}/canvas/1#xywh=0,0,50,80'), ({'full': {'@id': f'{u}/canvas/1'}}, f'{u}/canvas/1')):
        assert v2_manifest(tmp_path, annotation=dict(on=on))['items'][0]['items'][0]['items'][0]['target']==target
    doors = [{'@id': f'{u}/{k}', 'profile': f'http://iiif.io/api/auth/1/{k}'} for k in ('login', 'token', 'logout')]
    m = v2_manifest(tmp_path, resource=dict(service={'@context': 'http://iiif.io/api/image/2/context.json', '@id': f'{u}/iiif/a', 'profile': 'http://iiif.io/api/image/2/level2.json', 'service': doors}))
    assert [o['@type'] for o in pictures(m)[0][0].service['service']]==['AuthCookieService1', 'AuthTokenService1', 'AuthLogoutService1'] and valid(coloured(m)[0])

def test_no_range_is_lost(tmp_path):
    "Ranges that contain each other, beside one that is right, and ranges without an id"
    def short(r): return [r['id'], *(short(o) if o['type']=='Range' else o['id'] for o in r.get('items', []))]
    def ranges(*structures): return [short(r) for r in v2_manifest(tmp_path, structures=[{'@type': 'sc:Range', 'label': 'x', **o} for o in structures])['structures']]
    a,b = {'@id': 'a', 'ranges': ['b'], 'canvases': ['c1']},{'@id': 'b', 'ranges': ['a'], 'canvases': ['c2']}
    assert ranges({'@id': 'top', 'canvases': ['c0']}, a, b)==[['top', 'c0'], ['a', ['b', ['a'], 'c2'], 'c1']]
    assert ranges({'@id': 'a', 'within': 'a', 'canvases': ['c1']})==[['a', ['a'], 'c1']]
    (first,c0),(second,c1) = ranges({'canvases': ['c0']}, {'canvases': ['c1']})
    assert (c0, c1)==('c0', 'c1') and first!=second and all(o.startswith('https://example.org/colour/range/') for o in (first, second))

def prezi3_manifest():
    "Version 3 as iiif-prezi3 writes it, with about everything that a manifest may hold"
    u = 'https://museum.example'
    m = iiif_prezi3.Manifest(id=f'{u}/m.json', label={'fr': ['Un album'], 'en': ['An album']}, summary={'fr': ['Deux vues']}, rights='http://rightsstatements.org/vocab/InC/1.0/',
        requiredStatement={'label': {'en': ['Credit']}, 'value': {'en': ['The museum']}}, metadata=[{'label': {'en': ['Date']}, 'value': {'none': ['1910']}}], behavior=['paged'],
        viewingDirection='right-to-left', navDate='1910-01-01T00:00:00+00:00', homepage=[dict(id=f'{u}/17', type='Text', label={'en': ['Page']}, format='text/html')],
        seeAlso=[dict(id=f'{u}/17.xml', type='Dataset', format='text/xml')], partOf=[dict(id=f'{u}/all', type='Collection')],
        provider=[dict(id=u, type='Agent', label={'en': ['Museum']}, homepage=[dict(id=u, type='Text', label={'en': ['Museum']})])])
    for i in range(2):
        c = m.make_canvas(id=f'{u}/canvas/{i}', label={'en': [f'p. {i}']}, width=300, height=200)
        c.add_image(f'{u}/iiif/p{i}/full/max/0/default.jpg', anno_id=f'{u}/a/{i}', anno_page_id=f'{u}/p/{i}', format='image/jpeg', width=300, height=200,
            service=[dict(id=f'{u}/iiif/p{i}', type='ImageService3', profile='level2')])
    m.make_range(id=f'{u}/r/1', label={'en': ['All']}).add_item(m.items[0])
    return json.loads(m.json())

def test_version_3_is_carried_over(tmp_path):
    "Take the choice away again, and nothing has changed"
    old = prezi3_manifest(); old['items'][0]['x-museum'] = {'shelf': [17, None]} # what no program knows
    (tmp_path/'m.json').write_text(json.dumps(old))
    new,found = coloured(read_manifest(tmp_path/'m.json', None, counting()))
    assert valid(new) and len(found)==2 and new['@context']==V3
    assert new['seeAlso'].pop()['id']=='https://example.org/original.json' and 'invented' in new['metadata'].pop()['value']['en'][0]
    assert new['id']=='https://example.org/colour/manifest.json'; new['id'] = old['id']
    for c,was in zip(new['items'], old['items']):
        anno,before = c['items'][0]['items'][0],was['items'][0]['items'][0]
        first,second = anno['body']['items']
        assert first.pop('label')=={'en': ['Original'], 'fr': ['Original']} and set(second['label'])=={'en', 'fr'}
        assert anno['id'].startswith('https://example.org/colour/annotation/')
        said = {m['label']['en'][0]: list(m['value'].values())[0][0] for m in second['metadata']}
        assert said['Model, SHA-256']=='cd'*32 and said['Original, SHA-256']=='ab'*32 and said['Seed, steps']=='0, 4' and said['Original']==before['body']['service'][0]['id']
        assert said['Digital source type'].startswith('http://cv.iptc.org/newscodes/digitalsourcetype/')
        assert second['service']==[dict(id=f"https://example.org/colour/tiles/{Path(second['id']).stem}", type='ImageService3', profile='level0')]
        anno.update(id=before['id'], body=first)
    assert new==old

def test_canvases_that_are_no_photographs(tmp_path):
    "Video, text and cut-outs are left alone, each with a remark that names its canvas; a choice gets one more; a picture shown twice is fetched once"
    u = 'https://museum.example'
    choice = {'type': 'Choice', 'items': [dict(id=f'{u}/a.jpg', type='Image', label={'en': ['Daylight']}), dict(id=f'{u}/b.jpg', type='Image', label={'en': ['Ultraviolet']})]}
    doc = {'@context': V3, 'id': f'{u}/m.json', 'type': 'Manifest', 'label': {'en': ['Mixed']}, 'items': [canvas(u, i, dict(id=f'{u}/c.jpg')) for i in range(5)]}
    bodies = [dict(id=f'{u}/film.mp4', type='Video', format='video/mp4', duration=3), dict(type='TextualBody', value='Here begins'), choice]
    for c,b in zip(doc['items'], bodies): c['items'][0]['items'][0]['body'] = b
    (tmp_path/'m.json').write_text(json.dumps(doc))
    m = read_manifest(tmp_path/'m.json', None, counting())
    assert [u+'/canvas/0' in o and 'Video' in o or u+'/canvas/1' in o and 'TextualBody' in o for o in pictures(m)[1]]==[True, True]
    new,found = coloured(m); assert valid(new)
    assert [(p.key, len(p.places)) for p in found]==[(f'{u}/a.jpg', 1), (f'{u}/c.jpg', 2)]
    assert [b['type'] for b in paint(new)]==['Video', 'TextualBody', 'Choice', 'Choice', 'Choice']
    assert [list(o['label'].values())[0][0][:8] for o in paint(new)[2]['items']]==['Daylight', 'Ultravio', 'Colour v']
    ids = [c['items'][0]['items'][0]['id'] for c in new['items']]
    assert len(set(ids))==5

def no_label(m): m['items'][0]['label'] = '1 recto'
def single(m): c = m['items'][0]; c['items'] = c['items'][0]; c['items']['items'] = c['items']['items'][0]
def old_names(m):
    c = m['items'][0]; a = c['items'][0]['items'][0]
    for o in (m, c, a['body']): o['@id'],o['@type'] = o.pop('id'),o.pop('type')
    m['@type'],c['@type'],a['body']['@type'] = 'sc:Manifest','sc:Canvas','dctypes:Image'
def one_choice(m): a = m['items'][0]['items'][0]['items'][0]; a['body'] = dict(type='Choice', items=dict(a['body'], label={'en': ['Daylight']}))
def one_body(m): a = m['items'][0]['items'][0]['items'][0]; a['body'],a['motivation'] = [a['body']],['painting']

@pytest.mark.parametrize('slip', [no_label, single, old_names, one_choice, one_body], ids=lambda o: o.__name__)
def test_slips_of_version_3(tmp_path, slip):
    "What is meant is clear, and what comes out is right"
    m = prezi3_manifest(); slip(m); (tmp_path/'m.json').write_text(json.dumps(m))
    m = read_manifest(tmp_path/'m.json', None, counting())
    found,others = pictures(m)
    assert [o.key for o in found]==[f'https://museum.example/iiif/p{i}' for i in range(2)] and not others and found[0].where.startswith('canvas https://museum.example/canvas/0 ("')
    assert valid(coloured(m)[0])

@pytest.mark.parametrize('version', [2, 3])
def test_odd_manifests_do_no_harm(tmp_path, version):
    "Anything else in place of anything: a manifest comes out, or an error that names the file"
    def paths(o, path=()):
        yield path
        for k,v in o.items() if isinstance(o, dict) else enumerate(o) if isinstance(o, list) else []: yield from paths(v, (*path, k))
    good = prezi3_manifest() if version==3 else json.loads((HERE/'iiif/ghent.json').read_text('utf-8')); n = Counter()
    for path,odd in itertools.product(list(paths(good))[1:], (None, 'https://x.org/odd', 17, [], {}, [None], ['odd', 3], {'id': 'https://x.org/odd'}, {'type': ['Image']}, [[{}]])):
        doc = json.loads(json.dumps(good)); at = doc
        for k in path[:-1]: at = at[k]
        at[path[-1]] = odd
        (tmp_path/'m.json').write_text(json.dumps(doc))
        try: m = read_manifest(tmp_path/'m.json', None, counting()); n['read'] += 1
        except IIIFError as e: assert str(e).startswith(str(tmp_path/'m.json')); n['refused'] += 1; continue
        rights_remark(m); json.dumps(validity_remark(coloured(m)[0]))
    assert n['read']>10*n['refused']>0

@pytest.mark.parametrize('elsewhere', [lambda c, page: c.update(items=[page['id']]), lambda c, page: c.update(items=[dict(id=page['id'], type='AnnotationPage')]),
    lambda c, page: page.update(items=['https://museum.example/p/0'])])
def test_pictures_that_are_listed_elsewhere_are_said(tmp_path, elsewhere):
    m = prezi3_manifest(); c = m['items'][0]; elsewhere(c, c['items'][0]); (tmp_path/'m.json').write_text(json.dumps(m))
    found,others = pictures(read_manifest(tmp_path/'m.json', None, counting()))
    assert len(found)==1 and len(others)==1 and 'canvas/0' in others[0] and 'elsewhere, in https://museum.example/p/0' in others[0]

def test_a_part_of_a_picture_is_not_taken_for_the_whole(museum, tmp_path, colorizer):
    "Two canvases show the halves of one spread, and a third the whole by the same words; the service has all three"
    u = museum.url; write_tiles(small(tmp_path/'s.jpg', 200, 100), museum.folder/'s', f'{u}/s', tile=100)
    halves = ['0,0,100,100/100,100','100,0,100,100/100,100']
    service = [dict(id=f'{u}/s', type='ImageService3', profile='level0', width=200, height=100)]
    doc = album(museum, [dict(id=f'{u}/s/{o}/0/default.jpg', service=service) for o in [*halves, '0,0,200,100/100,50']])
    assert colorize_manifest(f'{u}/album.json', tmp_path/'out', colorizer, rate=100, retries=0, progress=False).done==3
    colours = [b['items'][1] for b in paint(result(tmp_path/'out'))]
    assert [(o['width'], o['height']) for o in colours]==[(100, 100), (100, 100), (200, 100)]
    for o,half in zip(colours, halves): assert abs(gray(tmp_path/'out'/o['id'].removeprefix('http://localhost:8000/'))-gray(museum.folder/f's/{half}/0/default.jpg')).mean()<2

@pytest.mark.parametrize('text,says', [('{', 'not JSON'), ('[]', 'not a manifest'), ('{"type": "Collection", "items": [{"id": "https://x.org/1"}]}', 'https://x.org/1'),
    ('{"@context": "http://iiif.io/api/presentation/4/context.json", "type": "Manifest"}', 'versions 2 and 3'), ('{"type": "Manifest"}', 'items'), ('{"type": "Manifest", "items": []}', 'no canvases'),
    ('{"type": "Manifest", "items": [{"type": "Canvas"}]}', 'without an id'), ('{"type": "Annotation"}', 'Annotation'), ('{"@type": "sc:Manifest", "sequences": 3}', 'no canvases')])
def test_what_is_no_manifest_is_named(tmp_path, text, says):
    (tmp_path/'m.json').write_text(text)
    with pytest.raises(IIIFError, match=says) as e: read_manifest(tmp_path/'m.json', None, counting())
    assert str(tmp_path/'m.json') in str(e.value)

# Servers that misbehave

def test_faults_are_named_and_the_rest_goes_on(museum, tmp_path, colorizer, capsys):
    u,names = museum.url,['busy', 'gone', 'cut', 'brokenoff', 'hanging', 'html', 'small', 'noinfo', 'badinfo', 'dead', 'colour', 'good']
    for i,k in enumerate(names):
        write_tiles(small(tmp_path/f'{k}.jpg', x=30*i), museum.folder/k, f'{u}/{k}', tile=512)
        if k in ('busy', 'hanging', 'noinfo', 'html', 'small', 'cut'): [shutil.rmtree(p) for p in (museum.folder/k).iterdir() if p.is_dir() and p.name!='full']
    Image.effect_noise((150, 100), 90).convert('RGB').save(tmp_path/'n.jpg'); rng = np.random.default_rng(0)
    Image.fromarray(np.kron(rng.integers(0, 255, (4, 6, 3), np.uint8), np.ones((25, 25, 1), np.uint8))).save(museum.folder/'colour/full/max/0/default.jpg', quality=95)
    whole = lambda k: f'/{k}/full/max/0/default.jpg'
    def everywhere(k, fault): museum.faults.update({'/'+str(p.relative_to(museum.folder)): fault for p in (museum.folder/k).rglob('*.jpg')})
    museum.faults.update({whole('busy'): [status(503, Retry_After=1)], whole('brokenoff'): [broken_off], whole('hanging'): [hang], '/noinfo/info.json': status(404), '/badinfo/info.json': body(b'{"width": "wide"}')})
    everywhere('gone', status(404)); everywhere('cut', cut); everywhere('html', body(b'<html>Not available</html>')); everywhere('dead', status(500))
    tiny = io.BytesIO(); Image.new('L', (40, 40), 200).save(tiny, 'JPEG'); everywhere('small', body(tiny.getvalue()))
    doc = album(museum, [dict(id=u+whole(k), service=[dict(id=f'{u}/{k}', type='ImageService3', profile='level0')]) for k in names])
    out = tmp_path/'out'
    run = partial(colorize_manifest, f'{u}/album.json', out, colorizer, rate=100, retries=1, timeout=0.8)
    done = run()
    errors = {Path(k).name: row.get('error') for k,row in read_report(out).items()}
    good = {'busy', 'brokenoff', 'hanging', 'noinfo', 'good'}
    assert (done.done, done.failed, done.coloured, done.exit_code)==(len(good), 6, 1, 1)
    assert {k for k,e in errors.items() if not e}==good|{'colour'}
    for k,say in dict(gone='HTTP 404', cut='truncated', html='not a photograph', small='40×40', badinfo='info.json', dead='HTTP 500').items(): assert say in errors[k] and f'{u}/{k}' in errors[k], errors[k]
    said = capsys.readouterr().err
    for i,k in enumerate(names): assert (f'canvas {u}/canvas/{i} ("Page {i}"), {u}/{k}: ' in said)==(k not in good-{'noinfo'}), k
    assert 'failed 6' in said and 'in colour already 1' in said
    new = result(out)
    assert {k for k,b in zip(names, paint(new)) if b['type']=='Choice'}==good and valid(new)
    for k,b,was in zip(names, paint(new), paint(doc)):
        if k not in good: assert b==was # the page keeps its original alone
    # the server is put right: only what failed is asked for again
    museum.faults.clear(); museum.log.clear()
    again = run()
    assert (again.done, again.failed, again.skipped, again.coloured, again.exit_code)==(6, 0, 5, 1, 0)
    assert {p.split('/')[1] for p in museum.asked()}=={'album.json', 'gone', 'cut', 'html', 'small', 'badinfo', 'dead'}
    museum.log.clear()
    third = run()
    assert (third.done, third.skipped, museum.asked())==(0, 11, ['/album.json'])
    assert sum(b['type']=='Choice' for b in paint(result(out)))==11 and not leftovers(out)

def test_a_long_wait_is_not_sat_out(museum, tmp_path):
    small(museum.folder/'a.jpg'); museum.faults['/a.jpg'] = status(503, Retry_After=4000)
    with pytest.raises(IIIFError, match='4000 s') as e: Fetcher(tmp_path/'c').get(f'{museum.url}/a.jpg')
    assert f'{museum.url}/a.jpg' in str(e.value) and len(museum.log)==1

@pytest.mark.parametrize('fault,says', [(status(302, Location='ftp://x.org/a'), 'not valid'), (status(302, Location='/a.jpg'), 'circles'), (status(401), 'protected'), (status(410), 'HTTP 410'),
    (lambda h: h.connection.shutdown(2), 'broke off|cannot be reached')])
def test_other_answers(museum, tmp_path, fault, says):
    museum.faults['/a.jpg'] = fault
    with pytest.raises(IIIFError, match=says) as e: Fetcher(tmp_path/'c', rate=100, retries=0).get(f'{museum.url}/a.jpg')
    assert str(e.value).startswith(f'{museum.url}/a.jpg') and not (tmp_path/'c').exists()

def test_nothing_but_the_web(tmp_path):
    f = Fetcher(tmp_path)
    for url in ('file:///etc/passwd', 'photo.jpg', 'http://', 'http://[', ''):
        with pytest.raises(IIIFError, match='not an address'): f.get(url)
    with pytest.raises(IIIFError, match='127.0.0.1:1/.*reached'): Fetcher(tmp_path, retries=0).get('http://127.0.0.1:1/x')

def test_too_much_is_refused(museum, tmp_path):
    (museum.folder/'big.jpg').write_bytes(b'\xff'*3_000_000)
    with pytest.raises(IIIFError, match='more than 1 MB'): Fetcher(tmp_path/'c', max_bytes=2**20).get(f'{museum.url}/big.jpg')
    with pytest.raises(IIIFError, match='memory'): Fetcher(tmp_path/'c').picture(ImageService(museum.url, 3, 0, 200_000, 100_000, tiles=[(512, 512, [1])]))

def flat(w, h, **kwargs):
    "A gray JPEG"
    buf = io.BytesIO(); Image.new('L', (w, h), 99).save(buf, 'JPEG', **kwargs)
    return buf.getvalue()
def image_server(museum, info, most=10**6, whole=None):
    "A level-2 server of gray pictures, by the letter of version 3, that answers in JPEG with at most so many pixels a side, and to the whole as `whole` says"
    W,H = info['width'],info['height']
    def answer(h):
        region,size = h.path.split('/')[2:4]
        if region=='full' and whole: return whole(h)
        w,h_ = (W, H) if region=='full' else map(int, region.split(',')[2:])
        size = (w, h_) if size=='max' else tuple(int(o or most+1) for o in size.split(','))
        h.answer(200, flat(*size)) if max(size)<=most else h.answer(400)
    class Any(dict):
        def get(self, path): return dict.get(self, path) or (answer if path.startswith('/p/') else None)
    museum.faults = Any()
    return parse_info({'@context': 'http://iiif.io/api/image/3/context.json', 'id': f'{museum.url}/p', 'profile': 'level2', **info})
def size_of(data): return Image.open(io.BytesIO(data)).size

@pytest.mark.parametrize('whole,tries', [(status(504), 2), (status(500), 2), (hang, 2), (lambda h: h.answer(200, b'\xff'*99, Content_Length=999), 2), (body(b'\xff'*2_000_000), 1)])
def test_tiles_where_the_whole_does_not_come(museum, tmp_path, whole, tries):
    "A server that fails at the whole, or sends more than we take, hands out regions; it is not asked for the whole more often than agreed, nor by its other names"
    s = image_server(museum, dict(width=900, height=600, sizes=[dict(width=90, height=60)], tiles=[dict(width=512, scaleFactors=[1, 2])]), whole=whole)
    data,stitched,remarks = Fetcher(tmp_path/'c', rate=200, retries=1, timeout=0.8, max_bytes=2**20).picture(s)
    assert size_of(data)==(900, 600) and stitched and not remarks
    assert Counter('full' in o for o in museum.asked())=={True: tries, False: 4}

def test_an_ill_server_does_not_get_us_less(museum, tmp_path):
    "Where tiles fail as well, another day is better than a small picture; and a dead server is asked twice, not for all sizes"
    s = image_server(museum, dict(width=900, height=600, sizes=[dict(width=90, height=60)], tiles=[dict(width=512, scaleFactors=[1, 2])]))
    answer = museum.faults.get; museum.faults.get = lambda path: answer(path) if '90,60' in path else status(502)
    with pytest.raises(IIIFError, match='HTTP 502'): Fetcher(tmp_path/'c', rate=200, retries=0).picture(s)
    assert len(museum.log)==2

def test_more_than_fits_into_memory(museum, tmp_path):
    "The info.json of 260 megapixels says so: the whole is not fetched in vain, and what is taken instead is said"
    s = image_server(museum, dict(width=20_000, height=13_000, tiles=[dict(width=4096, scaleFactors=[1, 8, 16])]), most=2600)
    data,stitched,remarks = Fetcher(tmp_path/'c', rate=200, retries=1).picture(s)
    assert size_of(data)==(2500, 1625) and '20000×13000' in remarks[0] and '2500×1625' in remarks[0]
    assert not any('/full/max/' in o or o.endswith('4096,4096/0/default.jpg') for o in museum.asked())

def test_what_is_no_picture_is_asked_for_once(museum, tmp_path):
    museum.faults = {'/a.jpg': body(b'<html>'), '/b.jpg': body(flat(300, 200)[:-300])}
    f = Fetcher(tmp_path/'c', rate=200, retries=1)
    for k,n in (('a', 1), ('b', 2)):
        with pytest.raises(IIIFError): f.get(f'{museum.url}/{k}.jpg', check=read_scan)
        assert museum.asked().count(f'/{k}.jpg')==n

@pytest.mark.parametrize('more', [{}, dict(tiles=[dict(width=512, scaleFactors=[1, 2, 4, 8])])])
def test_size_beyond_the_limit_of_the_server(museum, tmp_path, more):
    s = image_server(museum, dict(width=6000, height=4000, maxWidth=800, **more), most=800)
    data,stitched,_ = Fetcher(tmp_path/'c', rate=200, retries=0).picture(s, 1000)
    assert size_of(data)==(800, 533) and not stitched and len(museum.log)==1

@pytest.mark.parametrize('left', [b'', b'\xff\xd8\xff', b'{"wid'])
def test_what_a_power_cut_left_in_the_cache_is_fetched_again(museum, tmp_path, colorizer, left):
    files_album(museum, 1); url = f'{museum.url}/photo0.jpg'
    path = Fetcher(tmp_path/'out/.cache').path(url); path.parent.mkdir(parents=True); path.write_bytes(left)
    assert colorize_manifest(f'{museum.url}/album.json', tmp_path/'out', colorizer, rate=100, retries=0, progress=False).done==1
    assert path.read_bytes()==(museum.folder/'photo0.jpg').read_bytes()

def test_a_web_page_instead_of_info(museum, tmp_path, colorizer, capsys):
    "A page that a server shows for whatever it does not have is no info.json, and is asked for once"
    u = museum.url; small(museum.folder/'p.jpg'); museum.faults = {'/p/info.json': body(b'<html>Our collections</html>')}
    album(museum, [dict(id=f'{u}/p.jpg', service=[dict(id=f'{u}/p', type='ImageService3', profile='level2')])])
    assert colorize_manifest(f'{u}/album.json', tmp_path/'out', colorizer, rate=100, retries=1).done==1
    assert museum.asked()==['/album.json', '/p/info.json', '/p.jpg'] and 'no info.json (HTTP 200, but no JSON)' in capsys.readouterr().err

def test_credit_that_an_image_service_demands(museum, tmp_path, colorizer, capsys):
    "Versions 2 and 3 of info.json: what they say of rights is given to the colour version, the next time as well, and a refusal is repeated"
    u,nd = museum.url,'http://creativecommons.org/licenses/by-nd/4.0/'
    for i,(k,more) in enumerate(dict(v2=dict(license=nd, attribution='(c) The photographer', logo=f'{u}/logo.png'), v3=dict(rights=nd), none={}).items()):
        write_tiles(small(tmp_path/f'{k}.jpg', x=40*i), museum.folder/k, f'{u}/{k}')
        info = museum.folder/k/'info.json'; info.write_text(json.dumps({**json.loads(info.read_text()), **more}))
    album(museum, [dict(id=f'{u}/{k}/full/max/0/default.jpg', service=[dict(id=f'{u}/{k}', type='ImageService3', profile='level0')]) for k in ('v2', 'v3', 'none')])
    run = partial(colorize_manifest, f'{u}/album.json', tmp_path/'out', colorizer, rate=100, retries=0)
    assert run().done==3 and capsys.readouterr().err.count(f'{nd}, which allows no changed versions')==2
    first = result(tmp_path/'out'); v2,v3,none = [b['items'][1] for b in paint(first)]
    assert v2['rights']==v3['rights']==nd and v2['requiredStatement']['value']=={'none': ['(c) The photographer']} and v2['provider'][0]['logo'][0]['id']==f'{u}/logo.png'
    assert not {'rights', 'requiredStatement', 'provider'} & {*none} and valid(first)
    assert run().skipped==3 and result(tmp_path/'out')==first

def test_no_password_is_sent(museum, tmp_path, monkeypatch):
    "requests takes one from ~/.netrc by itself, after a redirect as well"
    (tmp_path/'.netrc').write_text('machine 127.0.0.1 login curator password secret\n'); (tmp_path/'.netrc').chmod(0o600); monkeypatch.setenv('HOME', str(tmp_path))
    small(museum.folder/'a.jpg'); museum.faults = {'/b.jpg': status(302, Location='/a.jpg')}
    f = Fetcher(tmp_path/'c', rate=200)
    for url in (f'{museum.url}/a.jpg', f'{museum.url}/b.jpg', museum.url.replace('//', '//curator:secret@')+'/a.jpg'): f.get(url, keep=False)
    assert len(museum.log)==4 and not any('Authorization' in h for _,_,h in museum.log)

def test_a_manifest_of_the_internet_leads_to_the_internet(museum, tmp_path, colorizer, monkeypatch):
    "Here 127.0.0.1 plays the internet and localhost the network of whoever colours; a redirect and an address are refused alike, and another host has its own pace"
    u,inside = museum.url,museum.url.replace('127.0.0.1', 'localhost')
    for i in range(3): small(museum.folder/f'photo{i}.jpg')
    museum.faults = {'/moved.jpg': status(302, Location=f'{inside}/photo1.jpg')}
    album(museum, [dict(id=f'{u}/photo0.jpg'), dict(id=f'{u}/moved.jpg'), dict(id=f'{inside}/photo2.jpg')])
    run = partial(colorize_manifest, f'{u}/album.json', colorizer=colorizer, rate=4, retries=0, progress=False)
    assert run(out=tmp_path/'mine').done==3 and run(out=tmp_path/'mine').requests==1
    times = [t for t,p,h in museum.log if h['Host'].startswith('localhost')]
    assert len(times)==2 and times[1]-times[0]>=0.75/4
    monkeypatch.setattr('colorized.iiif.image.is_private', lambda url: 'localhost' in url)
    monkeypatch.setattr('colorized.iiif.manifest.is_private', lambda url: 'localhost' in url); museum.log.clear()
    assert run(out=tmp_path/'out').failed==2 and not any(h['Host'].startswith('localhost') for _,_,h in museum.log)
    errors = [o['error'] for o in read_report(tmp_path/'out').values() if o['error']]
    assert len(errors)==2 and all(inside in o and 'private network' in o for o in errors)

def test_politeness_as_the_server_sees_it(museum, tmp_path, colorizer):
    "Never two requests at once, never faster than asked, not at all while it says it is busy; and it can tell who we are"
    files_album(museum, 3)
    write_tiles(small(tmp_path/'t.jpg', 300, 200), museum.folder/'t', f'{museum.url}/t', tile=128); shutil.rmtree(museum.folder/'t/full')
    doc = json.loads((museum.folder/'album.json').read_text())
    doc['items'].append(canvas(museum.url, 3, dict(id=f'{museum.url}/t/full/max/0/default.jpg', service=[dict(id=f'{museum.url}/t', type='ImageService3', profile='level0')]), 300, 200))
    (museum.folder/'album.json').write_text(json.dumps(doc))
    museum.faults.update({'/photo1.jpg': [status(429, Retry_After=1)], '/photo2.jpg': slow})
    run = colorize_manifest(f'{museum.url}/album.json', tmp_path/'out', colorizer, rate=8, progress=False)
    assert run.done==4 and run.requests==len(museum.log)
    times = np.array([t for t,_,_ in museum.log]); gaps = np.diff(times)
    assert museum.most==1 and gaps.min()>=0.75/8 and (times[4:]-times[:-4]).min()>=3.75/8 # after one that a busy machine let arrive late, three quarters of a pause are left
    i = museum.asked().index('/photo1.jpg')
    assert museum.asked()[i+1]=='/photo1.jpg' and 1<=gaps[i]<3
    assert all(h['User-Agent'].startswith('colorized/') and 'http' in h['User-Agent'] for _,_,h in museum.log)
    assert len(museum.log)==1+4+1+2+6, museum.asked() # manifest; files, one of them twice; info.json, the whole twice in vain, 6 tiles
    assert max(Counter(museum.asked()).values())==2

def test_settings_and_cache(museum, tmp_path, colorizer, capsys):
    "New settings need `overwrite` and nothing of the server; so do tiles; a spoilt file is made again"
    files_album(museum, 2, rights='http://creativecommons.org/licenses/by-nd/4.0/')
    run = partial(colorize_manifest, f'{museum.url}/album.json', tmp_path/'out', colorizer, rate=100)
    assert run().done==2 and 'by-nd' in capsys.readouterr().err
    first = {p.name: p.read_bytes() for p in (tmp_path/'out/colour').iterdir()}
    museum.log.clear()
    bad = run(seed=1)
    assert bad.failed==2 and 'overwrite replaces it' in capsys.readouterr().err and {p.name: p.read_bytes() for p in (tmp_path/'out/colour').iterdir()}==first
    assert run(seed=1, overwrite=True, tiles=True).done==2 and set(museum.asked())=={'/album.json'}
    second = {p.name: p.read_bytes() for p in (tmp_path/'out/colour').iterdir()}
    assert all(first[k]!=second[k] for k in first)
    name = sorted(second)[0]
    (tmp_path/'out/colour'/name).write_bytes(second[name][:-500])
    mended = run(seed=1, tiles=True)
    assert (mended.done, mended.skipped)==(1, 1) and (tmp_path/'out/colour'/name).read_bytes()==second[name]==(tmp_path/'out/tiles'/Path(name).stem/'full/max/0/default.jpg').read_bytes()
    said = read_provenance(tmp_path/'out/colour'/name)
    metadata = {m['label']['en'][0]: list(m['value'].values())[0][0] for m in paint(result(tmp_path/'out'))[0]['items'][1]['metadata']}
    assert said['Seed']=='1' and said['ModelSHA256']==metadata['Model, SHA-256']==colorizer.sha256 and said['DigitalSourceType']==metadata['Digital source type']
    assert set(museum.asked())=={'/album.json'}

def test_what_is_published_outlives_a_failed_run(museum, tmp_path, colorizer):
    "Other settings without `overwrite`, a server that is gone: manifest and report still offer what is there, as it was made; the next run asks for nothing"
    files_album(museum, 2); out = tmp_path/'out'
    run = partial(colorize_manifest, f'{museum.url}/album.json', out, colorizer, rate=100, retries=0, tiles=True, progress=False)
    assert run().done==2
    first,rows = result(out),read_report(out)
    facts = lambda rows: {k: [o[c] for c in ('output', 'output_sha256', 'source_sha256', 'seed')] for k,o in rows.items()}
    assert run(seed=1).failed==2 and result(out)==first # the seed among its metadata
    assert facts(read_report(out))==facts(rows) and all('overwrite' in o['error'] for o in read_report(out).values())
    shutil.rmtree(out/'.cache'); museum.faults = {'/photo0.jpg': status(404), '/photo1.jpg': status(404)}; museum.log.clear()
    assert run(size=40).failed==2 and result(out)==first
    museum.log.clear()
    last = run()
    assert (last.skipped, last.failed, museum.asked())==(2, 0, ['/album.json']) and result(out)==first
    assert facts(read_report(out))==facts(rows) and not any(o['error'] for o in read_report(out).values())
    spoilt = out/rows[f'{museum.url}/photo0.jpg']['output']; spoilt.write_bytes(spoilt.read_bytes()[:-500])
    moved = run(base_url='https://archive.example', seed=1)
    assert moved.failed==2 and [b['type'] for b in paint(result(out))]==['Image', 'Choice'] and not read_report(out)[f'{museum.url}/photo0.jpg']['output']
    tree = paint(result(out))[1]['items'][1]['service'][0]['id']
    assert json.loads((out/tree.removeprefix('https://archive.example/')/'info.json').read_text())['id']==tree

def test_smaller_pictures(museum, tmp_path, colorizer, capsys):
    "`size` asks the service for less, and colours again; a file without a service stays as it is, and that is said"
    u = museum.url
    write_tiles(small(tmp_path/'t.jpg', 300, 200), museum.folder/'t', f'{u}/t', tile=64); small(museum.folder/'f.jpg', 300, 200)
    album(museum, [dict(id=f'{u}/t/full/max/0/default.jpg', service=[dict(id=f'{u}/t', type='ImageService3', profile='level0')]), dict(id=f'{u}/f.jpg')])
    run = partial(colorize_manifest, f'{u}/album.json', tmp_path/'out', colorizer, rate=100, tiles=True)
    shapes = lambda: [(o['width'], o['height']) for b in paint(result(tmp_path/'out')) for o in b['items'][1:]]
    assert run().done==2 and shapes()==[(300, 200), (300, 200)]
    capsys.readouterr(); museum.log.clear()
    assert run(size=100).done==2 and shapes()==[(75, 50), (300, 200)] and museum.asked()==['/album.json', '/t/full/75,50/0/default.jpg']
    said = capsys.readouterr().err
    assert 'f.jpg: 300×200 pixels, as nothing there makes it smaller' in said and said.count('makes it smaller')==1
    tree = next((tmp_path/'out/tiles').glob('t-*'))
    assert json.loads((tree/'info.json').read_text())['width']==75
    assert run(size=100).skipped==2

@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning') # half a bomb
def test_no_limit_but_ours(museum, tmp_path, colorizer, monkeypatch):
    "Pillow takes what is twice its limit for a bomb (179 megapixels, ours are 250): a picture from tiles, one whole, and the tiles that are written"
    u = museum.url
    for k in 'ab': write_tiles(small(tmp_path/f'{k}.jpg', 700, 100), museum.folder/k, f'{u}/{k}')
    shutil.rmtree(museum.folder/'a/full')
    album(museum, [dict(id=f'{u}/{k}/full/max/0/default.jpg', service=[dict(id=f'{u}/{k}', type='ImageService3', profile='level0')]) for k in 'ab'])
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 34_000)
    done = colorize_manifest(f'{u}/album.json', tmp_path/'out', colorizer, rate=100, retries=0, tiles=True, progress=False)
    assert done.done==2 and len(list((tmp_path/'out/tiles').iterdir()))==2

def test_a_full_disk_stops_the_run(museum, tmp_path, colorizer, capsys, monkeypatch):
    files_album(museum, 4); n = itertools.count()
    run = partial(colorize_manifest, f'{museum.url}/album.json', tmp_path/'out', colorizer, rate=100, tiles=True)
    def full(*args, **kwargs):
        if next(n)==1: raise OSError(28, os.strerror(28))
        return write_tiles(*args, **kwargs)
    monkeypatch.setattr('colorized.iiif.publish.write_tiles', full)
    done = run()
    assert (done.done, done.failed, done.exit_code)==(1, 1, 1) and done.stopped==os.strerror(28) and not (tmp_path/'out/manifest.json').exists()
    assert 'the same command goes on from here' in capsys.readouterr().err
    again = run()
    assert (again.done+again.skipped, again.failed, again.exit_code)==(4, 0, 0) and len(list((tmp_path/'out/tiles').iterdir()))==4 and valid(result(tmp_path/'out'))

def test_one_process_at_a_time(museum, tmp_path, colorizer):
    from colorized.batch.folder import Claims
    files_album(museum, 1); (tmp_path/'out').mkdir()
    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
    claims = Claims(); claims.take(tmp_path/'out/manifest.json')
    with pytest.raises(IIIFError, match='another process'): colorize_manifest(f'{museum.url}/album.json', tmp_path/'out', colorizer, progress=False)
    claims.release(); other.kill(); other.wait()
    assert colorize_manifest(f'{museum.url}/album.json', tmp_path/'out', colorizer, rate=100, progress=False).done==1

# The command

def arguments(museum, out): return ['iiif', f'{museum.url}/album.json', '--out', str(out), '--rate', '50', '--tiles', '--retries', '0', '--device', 'cpu']

def test_killed_and_gone_on_with(museum, tmp_path, capsys):
    files_album(museum, 8); out = tmp_path/'out'
    for i in range(2, 8): museum.faults[f'/photo{i}.jpg'] = slow
    program = Path(sys.executable).parent/'colorized'
    p = subprocess.Popen([str(program), *arguments(museum, out)], env=dict(os.environ, OMP_NUM_THREADS='1', NO_PROXY='127.0.0.1'), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1200):
        if len(list((out/'colour').glob('photo*.jpg')))>=3 or p.poll() is not None: break
        time.sleep(0.05)
    p.send_signal(signal.SIGKILL); p.wait()
    made = list((out/'colour').glob('photo*.jpg'))
    assert 3<=len(made)<8 and not (out/'manifest.json').exists() # it comes last
    for o in made: assert read_scan(o).shape==(100, 150) and read_provenance(o)
    for o in (out/'tiles').glob('photo*'): assert json.loads((o/'info.json').read_text())['width']==150 and read_tree(o, 1).shape==(100, 150, 3)
    (out/'tiles/.photo-x.1234.tmp').mkdir(); (out/'colour/.photo-x.jpg.1234.tmp').write_bytes(b'half') # as a kill in mid-write leaves them
    museum.faults = {'/photo7.jpg': status(404)}; museum.log.clear()
    assert main(arguments(museum, out))==1
    said,rows = capsys.readouterr().err,read_report(out)
    assert f'canvas {museum.url}/canvas/7 ("Page 7"), {museum.url}/photo7.jpg: HTTP 404' in said and 'done before' in said
    assert sum(not o.get('error') for o in rows.values())==7
    for o in made: assert '/'+o.name.split('-')[0]+'.jpg' not in museum.asked()
    new = result(out); bodies = paint(new)
    assert not leftovers(out) and [b['type'] for b in bodies]==['Choice']*7+['Image'] and len(list((out/'tiles').iterdir()))==7 and valid(new)
    for b in bodies[:7]: # as a web server would hand the folder out
        file,tree = [out/o['id'].removeprefix('http://localhost:8000/') for o in (b['items'][1], b['items'][1]['service'][0])]
        assert file.exists() and json.loads((tree/'info.json').read_text())['id']==b['items'][1]['service'][0]['id']

def test_unusable_manifest_is_one_line(museum, tmp_path, capsys):
    (museum.folder/'album.json').write_text('<html>')
    try: code = main(arguments(museum, tmp_path/'out'))
    except SystemExit as e: code = e.code
    said = capsys.readouterr().err.strip()
    assert code not in (0, None) and len(said.splitlines())==1 and f'{museum.url}/album.json: not JSON' in said and not (tmp_path/'out').exists()
