"Pictures from servers that others wrote, from servers that fail at it, and tiles for others"
import io, itertools, json, math, os, shutil, socket, subprocess, sys, threading, time
from collections import Counter
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image, ImageCms
from colorized.iiif.fetch import Fetcher, IIIFError
from colorized.iiif.image import fetch_picture, write_tiles
from colorized.iiif.service import ImageService, parse_info
from colorized.photo.provenance import Provenance, read_provenance
from colorized.photo.reading import read_scan
from colorized.photo.writing import write_color
from museum import (
    PHOTO, Museum, body, flat, gray, hang, image_server, size_of, small, status)
from tile_trees import read_tree

# Servers of others

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

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
    with Image.open(PHOTO) as im:
        im.resize((540, 347)).convert('RGB').save(folder/'photo.jpg', quality=98)
    return folder,gray(folder/'photo.jpg')

@pytest.fixture(scope='module')
def trees(photo, tmp_path_factory):
    "Level 0 by libvips: tiles of 128 pixels, in the words of versions 2 and 3; no whole picture"
    import pyvips
    site = tmp_path_factory.mktemp('trees')
    museum = Museum(site)
    for v,layout in ((2, 'iiif'), (3, 'iiif3')):
        im = pyvips.Image.new_from_file(str(photo[0]/'photo.jpg'))
        im.dzsave(str(site/f'v{v}'), layout=layout, tile_size=128, suffix='.jpg[Q=98]',
                  id=museum.url)
    yield museum
    museum.shutdown()

@pytest.fixture(scope='module')
def reference(photo):
    "The reference implementation by IIIF's editors: level 1, versions 1.1, 2.1 and 3.0"
    port,program = free_port(),Path(sys.executable).parent/'iiif_testserver.py'
    options = {
        'host': '127.0.0.1', 'port': port, 'image-dir': photo[0], 'api-versions': '1.1,2.1,3.0',
        'manipulators': 'pil', 'auth-types': 'none', 'tile-width': 128, 'tile-height': 128}
    args = [str(o) for k,v in options.items() for o in (f'--{k}', v)]
    p = subprocess.Popen([sys.executable, str(program), *args, '--quiet'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd=photo[0]) # where it leaves a file with its process id
    wait_for(f'http://127.0.0.1:{port}/')
    yield f'http://127.0.0.1:{port}'
    p.terminate()
    p.wait(10)

@pytest.fixture(scope='module')
def flask_iiif_server(photo):
    "flask-iiif, CERN's: level 2, version 2"
    from flask import Flask
    from flask_iiif import IIIF
    from flask_restful import Api
    from werkzeug.serving import make_server
    app = Flask('museum')
    ext = IIIF(app)
    ext.init_restful(Api(app))
    ext.uuid_to_image_opener_handler(lambda uuid: open(photo[0]/uuid, 'rb'))
    server = make_server('127.0.0.1', 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()

IIPSRV = Path('/usr/lib/iipimage-server/iipsrv.fcgi')
LIGHTTPD = shutil.which('lighttpd', path=os.environ.get('PATH', '')+':/usr/sbin')
CONFIGURATION = '''server.modules = ("mod_fastcgi")
server.document-root = "{tmp}"
server.bind = "127.0.0.1"
server.port = {port}
fastcgi.server = ("/iiif" => (("socket" => "{tmp}/s", "check-local" => "disable", "max-procs" => 1,
    "bin-path" => "{program}", "bin-environment" => (
    "URI_MAP" => "iiif=>IIIF", "FILESYSTEM_PREFIX" => "{tmp}/", "VERBOSITY" => "0",
    "LOGFILE" => "{tmp}/log", "JPEG_QUALITY" => "98"))))'''

@pytest.fixture(scope='module')
def iipsrv(photo, tmp_path_factory):
    "IIPImage, which many libraries run: level 1, version 2"
    import pyvips
    tmp,port = tmp_path_factory.mktemp('iip'),free_port()
    im = pyvips.Image.new_from_file(str(photo[0]/'photo.jpg'))
    im.tiffsave(str(tmp/'photo.tif'), tile=True, pyramid=True, compression='deflate',
                tile_width=128, tile_height=128)
    (tmp/'conf').write_text(CONFIGURATION.format(tmp=tmp, port=port, program=IIPSRV))
    p = subprocess.Popen([LIGHTTPD, '-D', '-f', str(tmp/'conf')], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    wait_for(f'http://127.0.0.1:{port}/')
    yield f'http://127.0.0.1:{port}/iiif/photo.tif'
    p.terminate()
    p.wait(10)

SERVICES = { # name: (fixture, address, version, level)
    'libvips 0 v2': ('trees', lambda o: f'{o.url}/v2', 2, 0),
    'libvips 0 v3': ('trees', lambda o: f'{o.url}/v3', 3, 0),
    'reference 1 v1.1': ('reference', lambda o: f'{o}/1.1_pil/photo', 1, 1),
    'reference 1 v2.1': ('reference', lambda o: f'{o}/2.1_pil/photo', 2, 1),
    'reference 1 v3.0': ('reference', lambda o: f'{o}/3.0_pil/photo', 3, 1),
    'flask-iiif 2 v2': (
        'flask_iiif_server', lambda o: f'{o}/api/multimedia/image/v2/photo.jpg', 2, 2),
    'iipsrv 1 v2': ('iipsrv', lambda o: o, 2, 1)}

@pytest.fixture(params=SERVICES)
def service(request, tmp_path):
    "(its fetcher, what its info.json says)"
    if request.param.startswith('iipsrv') and not (IIPSRV.exists() and LIGHTTPD):
        pytest.skip("apt-get install iipimage-server lighttpd")
    name,address,version,level = SERVICES[request.param]
    id = address(request.getfixturevalue(name))
    f = Fetcher(tmp_path/'cache', rate=200, retries=0)
    s = parse_info(json.loads(f.get(f'{id}/info.json')), f'{id}/info.json')
    s.id = id
    assert (s.version, s.level, s.width, s.height)==(version, level, 540, 347)
    return f,s

def again(x, **kwargs):
    "Pixels as they come out of another JPEG"
    buf = io.BytesIO()
    Image.fromarray(x.astype(np.uint8)).convert('RGB').save(buf, 'JPEG', **kwargs)
    return gray(buf.getvalue())

def test_whole_picture_from_servers_of_others(service, photo):
    f,s = service
    before = f.n_requests
    new = fetch_picture(f, s)
    got = gray(new.data)
    assert got.shape==photo[1].shape and new.remarks==[] and new.is_stitched==(s.level==0)
    # those above level 0 compress anew, each as it likes
    is_same = s.level==0 or 'photo.tif' in s.id
    want = photo[1] if is_same else again(photo[1], quality=90 if s.level==2 else 75)
    corners = itertools.product(range(0, 347, 32), range(0, 540, 32))
    worst = max(abs(got-want)[y:y+32, x:x+32].mean() for y,x in corners)
    assert abs(got-want).mean()<1.5 and worst<4 # a tile in the wrong place would show
    # 15 tiles, and the names that the whole might have had
    assert f.n_requests-before<=(15+3 if new.is_stitched else 1)

def test_limited_size_from_servers_of_others(service, photo):
    f,s = service
    got = gray(fetch_picture(f, s, 270).data)
    assert 268<=max(got.shape)<=270 and abs(got.shape[1]/got.shape[0]-540/347)<0.02
    im = Image.fromarray(photo[1].astype(np.uint8)).resize(got.shape[::-1], Image.BOX)
    assert abs(got-np.asarray(im).astype(float)).mean()<5

def test_tiles_where_the_whole_is_refused(reference, photo, tmp_path):
    "A limit that the server announces: the regions still are to be had at full resolution"
    f = Fetcher(tmp_path, rate=200)
    s = parse_info(json.loads(f.get(f'{reference}/2.1_pil/photo/info.json')))
    s.max_width,s.tiles = 200,[]
    new = fetch_picture(f, s)
    region = lambda x, y: again(photo[1][y:y+200, x:x+200])
    rows = [[region(x, y) for x in range(0, 540, 200)] for y in range(0, 347, 200)]
    want = np.vstack([np.hstack(row) for row in rows])
    got = gray(new.data)
    assert new.is_stitched and not new.remarks and got.shape==want.shape
    assert abs(got-want).mean()<1.5
    assert f.n_requests==1+math.ceil(540/200)*math.ceil(347/200)

# Servers that fail at it

@pytest.mark.parametrize('whole,tries', [
    (status(504), 2), (status(500), 2), (hang, 2),
    (lambda h: h.answer(200, b'\xff'*99, Content_Length=999), 2), (body(b'\xff'*2_000_000), 1)])
def test_tiles_where_the_whole_does_not_come(museum, tmp_path, whole, tries):
    """A server that fails at the whole, or sends more than we take, hands out regions; it is not
    asked for the whole more often than agreed, nor by its other names"""
    tiles = [dict(width=512, scaleFactors=[1, 2])]
    info = dict(width=900, height=600, sizes=[dict(width=90, height=60)], tiles=tiles)
    s = image_server(museum, info, whole=whole)
    f = Fetcher(tmp_path/'c', rate=200, retries=1, timeout=2, max_bytes=2**20)
    new = fetch_picture(f, s)
    assert size_of(new.data)==(900, 600) and new.is_stitched and not new.remarks
    assert Counter('full' in o for o in museum.asked())=={True: tries, False: 4}

def test_an_ill_server_does_not_get_us_less(museum, tmp_path):
    """Where tiles fail as well, another day is better than a small picture; and a dead server is
    asked twice, not for all sizes"""
    tiles = [dict(width=512, scaleFactors=[1, 2])]
    info = dict(width=900, height=600, sizes=[dict(width=90, height=60)], tiles=tiles)
    s = image_server(museum, info)
    answer = museum.faults.get
    museum.faults.get = lambda path: answer(path) if '90,60' in path else status(502)
    with pytest.raises(IIIFError, match='HTTP 502'):
        fetch_picture(Fetcher(tmp_path/'c', rate=200, retries=0), s)
    assert len(museum.log)==2

def test_more_than_fits_into_memory(museum, tmp_path):
    """The info.json of 260 megapixels says so: the whole is not fetched in vain, and what is taken
    instead is said"""
    tiles = [dict(width=4096, scaleFactors=[1, 8, 16])]
    s = image_server(museum, dict(width=20_000, height=13_000, tiles=tiles), most=2600)
    new = fetch_picture(Fetcher(tmp_path/'c', rate=200, retries=1), s)
    assert size_of(new.data)==(2500, 1625)
    assert '20000×13000' in new.remarks[0] and '2500×1625' in new.remarks[0]
    asked = museum.asked()
    assert not any('/full/max/' in o or o.endswith('4096,4096/0/default.jpg') for o in asked)

def test_too_much_for_any_way_is_said(tmp_path):
    s = ImageService('http://127.0.0.1:1', 3, 0, 200_000, 100_000, tiles=[(512, 512, [1])])
    with pytest.raises(IIIFError, match='memory'): fetch_picture(Fetcher(tmp_path/'c'), s)

@pytest.mark.parametrize('more', [{}, dict(tiles=[dict(width=512, scaleFactors=[1, 2, 4, 8])])])
def test_size_beyond_the_limit_of_the_server(museum, tmp_path, more):
    s = image_server(museum, dict(width=6000, height=4000, maxWidth=800, **more), most=800)
    new = fetch_picture(Fetcher(tmp_path/'c', rate=200, retries=0), s, 1000)
    assert size_of(new.data)==(800, 533) and not new.is_stitched and len(museum.log)==1

def test_a_server_that_gives_less_than_it_says(museum, tmp_path):
    "The whole comes with 300 pixels: the tiles are better; without tiles it is taken, and said"
    info = dict(width=900, height=600, tiles=[dict(width=512, scaleFactors=[1])])
    whole = lambda h: h.answer(200, flat(300, 200))
    new = fetch_picture(Fetcher(tmp_path/'a', rate=200), image_server(museum, info, whole=whole))
    assert size_of(new.data)==(900, 600) and new.is_stitched
    s = image_server(museum, info, whole=whole)
    s.tiles,s.level = [],0
    new = fetch_picture(Fetcher(tmp_path/'b', rate=200), s)
    assert size_of(new.data)==(300, 200) and not new.is_stitched
    assert new.remarks==['the server gives less: 300×200 of 900×600 were taken']

def test_the_name_that_worked_is_tried_first(museum, tmp_path):
    "A folder whose tiles have the names of version 2: one miss, not one a tile"
    write_tiles(small(tmp_path/'a.jpg', 300, 200), museum.folder/'a', f'{museum.url}/a', tile=100)
    shutil.rmtree(museum.folder/'a/full')
    for o in [*(museum.folder/'a').glob('*,*/*,*')]: o.rename(o.with_name(o.name.split(',')[0]+','))
    f = Fetcher(tmp_path/'c', rate=200)
    s = parse_info(json.loads(f.get(f'{museum.url}/a/info.json')))
    assert size_of(fetch_picture(f, s).data)==(300, 200)
    names = [o.split('/')[3] for o in museum.asked() if ',' in o.split('/')[2]]
    assert Counter(o.endswith(',') for o in names)=={True: 6, False: 1}

def tile_server(museum, **save):
    "Level 0 with two tiles and no whole: what its info.json says"
    for x in (0, 100):
        path = museum.folder/f'p/{x},0,100,80/100,80/0/default.jpg'
        path.parent.mkdir(parents=True)
        path.write_bytes(flat(100, 80, **save))
    return ImageService(f'{museum.url}/p', 3, 0, 200, 80, tiles=[(100, 80, [1])])

def test_gray_tiles_make_a_gray_picture_with_their_profile(museum, tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    new = fetch_picture(Fetcher(tmp_path/'c', rate=200), tile_server(museum, icc_profile=icc))
    with Image.open(io.BytesIO(new.data)) as im:
        assert (im.mode, im.size, im.info['icc_profile'])==('L', (200, 80), icc)

def test_one_tile_in_color_makes_a_picture_in_color(museum, tmp_path):
    s = tile_server(museum)
    path = museum.folder/'p/100,0,100,80/100,80/0/default.jpg'
    Image.new('RGB', (100, 80), (200, 40, 40)).save(path)
    with Image.open(io.BytesIO(fetch_picture(Fetcher(tmp_path/'c', rate=200), s).data)) as im:
        assert im.mode=='RGB' and im.getpixel((50, 40))==(99, 99, 99)
        assert im.getpixel((150, 40))[0]>180

def test_a_tile_of_another_size_is_neither_taken_nor_kept(museum, tmp_path):
    s = tile_server(museum)
    path = museum.folder/'p/100,0,100,80/100,80/0/default.jpg'
    path.write_bytes(flat(40, 40))
    f = Fetcher(tmp_path/'c', rate=200, retries=0)
    with pytest.raises(IIIFError, match='neither whole nor in tiles'): fetch_picture(f, s)
    assert f.cache_path(f'{museum.url}/p/0,0,100,80/100,80/0/default.jpg').exists()
    assert not f.cache_path(f'{museum.url}/p/100,0,100,80/100,80/0/default.jpg').exists()

def test_the_first_reason_is_the_one_that_is_named(museum, tmp_path):
    "The whole is too much, the tiles are not there: the whole is what one would ask about"
    whole = '/p/full/max/0/default.jpg'
    museum.faults = {whole: body(b'\xff'*2_000_000)}
    s = ImageService(f'{museum.url}/p', 3, 0, 200, 80, tiles=[(100, 80, [1])])
    f = Fetcher(tmp_path/'c', rate=200, retries=0, max_bytes=2**20)
    with pytest.raises(IIIFError, match='neither whole nor in tiles.*more than 1 MB'):
        fetch_picture(f, s)

# Tiles for others

def test_a_tree_takes_the_place_of_another(tmp_path):
    small(tmp_path/'a.jpg', 300, 200)
    write_tiles(tmp_path/'a.jpg', tmp_path/'tree', 'https://x.org/a', tile=64)
    write_tiles(small(tmp_path/'b.jpg', 90, 60), tmp_path/'tree', 'https://x.org/b', tile=64)
    assert json.loads((tmp_path/'tree/info.json').read_text())['id']=='https://x.org/b'
    assert read_tree(tmp_path/'tree', 1).shape==(60, 90, 3)
    assert not [o for o in tmp_path.rglob('*') if '300' in o.name or o.name.endswith('.tmp')]

def jpegs(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob('*.jpg')}

@pytest.mark.parametrize('w,h', [(540, 347), (256, 256), (257, 100), (90, 60)])
def test_tiles_are_those_of_libvips(tmp_path, w, h):
    import pyvips
    file,ours,theirs = (tmp_path/o for o in ('a.jpg', 'ours', 'theirs'))
    with Image.open(PHOTO) as im: im.resize((w, h)).convert('RGB').save(file, quality=98)
    info = write_tiles(file, ours, 'https://x.org/ours', tile=128, quality=98)
    im = pyvips.Image.new_from_file(str(file))
    im.dzsave(str(theirs), layout='iiif3', tile_size=128, suffix='.jpg[Q=98]')
    # a tile that is the whole has two names; libvips uses the shorter one
    sizes = [f"{s['width']},{s['height']}/0/default.jpg" for s in info['sizes']]
    names = {f'{region}/{o}' for o in sizes for region in ('full', f'0,0,{w},{h}')}
    assert jpegs(theirs)<=jpegs(ours) and 'full/max/0/default.jpg' in jpegs(ours)
    assert jpegs(ours)-jpegs(theirs)<={'full/max/0/default.jpg', *names}
    vips = json.loads((theirs/'info.json').read_text())
    for k in ('@context', 'type', 'protocol', 'profile', 'width', 'height'): assert info[k]==vips[k]
    assert info['tiles'][0]['scaleFactors']==vips['tiles'][0]['scaleFactors']
    for o in jpegs(theirs):
        a,b = gray(ours/o),gray(theirs/o)
        assert a.shape==b.shape and abs(a-b).mean()<2, o
    assert (ours/'full/max/0/default.jpg').read_bytes()==file.read_bytes()

@pytest.mark.parametrize('w,h', [(540, 347), (256, 256), (257, 100), (90, 60)])
def test_tiles_make_the_picture_at_every_scale(tmp_path, w, h):
    file,tree = tmp_path/'a.jpg',tmp_path/'tree'
    with Image.open(PHOTO) as im: im.resize((w, h)).convert('RGB').save(file, quality=98)
    info = write_tiles(file, tree, 'https://x.org/ours', tile=128, quality=98)
    assert json.loads((tree/'info.json').read_text())==info and info['id']=='https://x.org/ours'
    with Image.open(file) as im:
        for f in info['tiles'][0]['scaleFactors']:
            want = np.asarray(im.reduce(f) if f>1 else im).astype(float)
            got = read_tree(tree, f).astype(float)
            assert got.shape==want.shape and abs(got-want).mean()<1.5
            assert np.percentile(abs(got-want), 99)<12

def test_smaller_wholes_say_what_the_file_says(tmp_path):
    "how its colors came about, and what they mean; tiles do not"
    file,tree = tmp_path/'a.jpg',tmp_path/'tree'
    scan = read_scan(small(tmp_path/'gray.jpg', 300, 200))
    write_color(file, scan, torch.zeros(1, 2, 8, 12), Provenance('base', 'ab'*32, 3, 2, {}))
    info = write_tiles(file, tree, 'https://x.org', tile=64)
    said,notes = read_provenance(file),lambda o: [o.info.get(k) for k in ('xmp', 'icc_profile')]
    assert said['Seed']=='3' and len(info['sizes'])==2
    with Image.open(file) as im: kept = notes(im)
    for o in info['sizes']:
        whole = tree/f"full/{o['width']},{o['height']}/0/default.jpg"
        assert read_provenance(whole)==said
        with Image.open(whole) as im: assert notes(im)==kept and all(kept)
    with Image.open(next(tree.glob('0,0,64,64/*/0/default.jpg'))) as im:
        assert notes(im)==[None, None]

def test_a_profile_of_inks_does_not_go_with_rgb(tmp_path):
    im = Image.new('CMYK', (90, 60), (9, 8, 7, 6))
    im.save(tmp_path/'a.jpg', icc_profile=b'of inks', xmp=b'<x:xmpmeta/>')
    write_tiles(tmp_path/'a.jpg', tmp_path/'tree', 'https://x.org')
    with Image.open(tmp_path/'tree/full/90,60/0/default.jpg') as im:
        assert im.mode=='RGB' and im.info['xmp']==b'<x:xmpmeta/>' and 'icc_profile' not in im.info

def test_tiles_whole_or_not_at_all(tmp_path, monkeypatch):
    small(tmp_path/'a.jpg', 300, 200)
    saved,n = Image.Image.save,itertools.count()
    def full(self, *args, **kwargs):
        if next(n)==5: raise OSError(28, 'No space left on device')
        return saved(self, *args, **kwargs)
    monkeypatch.setattr(Image.Image, 'save', full)
    with pytest.raises(OSError):
        write_tiles(tmp_path/'a.jpg', tmp_path/'tree', 'https://x.org', tile=64)
    assert [p.name for p in tmp_path.iterdir()]==['a.jpg']
