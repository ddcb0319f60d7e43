"The page that colors in the visitor's own tab, in a real browser, against the library"
import base64, functools, http.server, io, json, re, shutil, struct, sys, threading
import time, zlib
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from colorized import Colorizer
from colorized.model.reds import shrink_reds
from colorized.photo.lab import rgb_to_lab
from colorized.photo.provenance import OF_THE_FILE, expected_properties, read_provenance
from colorized.photo.reading import read_scan
from colorized.photo.xmp import XMP_NAMESPACES, parse_xmp, turn_regions
from exif import change, exiftool, png_of_imagemagick
from touch import touching

pytestmark = pytest.mark.slow # minutes of a browser

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import try_page

class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *args): pass

class Site:
    "The page, served on 127.0.0.1 as any static server would"
    def __init__(self, folder, handler=Quiet):
        handler = functools.partial(handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
        self.base = f'http://127.0.0.1:{self.server.server_port}/'
        self.folder = folder
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
    def stop(self):
        self.server.shutdown()
        self.server.server_close()

@pytest.fixture(scope='module')
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    (out/'index.html').write_text('<!doctype html><title>home</title>')
    try_page.build(out)
    if shutil.which('npm') is None: pytest.skip('apt-get install npm')
    assert (out/'try/model/denoiser.onnx.gz').is_file(), 'the page was left out'
    return out

@pytest.fixture(scope='module')
def site(built):
    site = Site(built)
    yield site
    site.stop()

class Visitor:
    "Somebody with a browser; requests and complaints are noted"
    def __init__(self, browser, base, size=(1280, 900), address='try.html'):
        w,h = size
        self.context = browser.new_context(viewport=dict(width=w, height=h))
        self.base,self.requests,self.complaints = base,[],[]
        self.context.on('request', lambda r: self.requests.append(r.url))
        self.context.on('console', self._note)
        self.context.on('weberror', lambda e: self.complaints.append(str(e.error)))
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.visit(address)
    def _note(self, m):
        if m.type in ('error', 'warning'):
            self.complaints.append(f'{m.type}: {m.text}')
    def visit(self, address='try.html'):
        self.page.goto(self.base+address)
        self.until('document.body?.dataset.ready')
    def until(self, js, seconds=120):
        "Wait; the page's policy forbids strings as code, and it loads itself anew once"
        deadline = time.monotonic()+seconds
        while True:
            try:
                if o := self.page.evaluate(js): return o
            except Exception as e:
                if 'context' not in str(e): raise
            assert time.monotonic()<deadline, (js, self.complaints, self.page.inner_text('body'))
            time.sleep(0.05)
    def after(self, act):
        "Do something that changes the colors, and wait for them, or for a message"
        before = self.page.evaluate('document.body.dataset.colored ?? "0"')
        act()
        self.until(f'document.body.dataset.colored>{before} || !message.hidden')
    def paint(self, color, *places):
        "A stroke from place to place, each (x,y) in shares of the sides"
        self.page.get_by_role('radio', name=color, exact=True).check(force=True)
        box,mouse = self.page.locator('#paint').bounding_box(),self.page.mouse
        at = [(box['x']+x*box['width'], box['y']+y*box['height']) for x,y in places]
        mouse.move(*at[0])
        mouse.down()
        for o in at:
            mouse.move(*o, steps=5)
        mouse.up()
    def bring(self, file): self.after(lambda: self.page.set_input_files('#file', file))
    @property
    def message(self):
        return self.page.inner_text('#message') if self.page.is_visible('#message') else ''
    def download(self, folder):
        with self.page.expect_download() as d:
            self.page.click('#save')
        path = folder/d.value.suggested_filename
        d.value.save_as(path)
        return path
    def pixels(self, id='after'):
        "(H,W,3) of a canvas"
        js = f'(o => [o.width, o.height, o.toDataURL()])(document.getElementById("{id}"))'
        w,h,data = self.page.evaluate(js)
        im = Image.open(io.BytesIO(base64.b64decode(data.split(',')[1]))).convert('RGB')
        assert im.size==(w, h)
        return np.asarray(im)

@pytest.fixture(scope='module')
def visitor(browser, site):
    v = Visitor(browser, site.base)
    yield v
    outside = [o for o in v.requests if not o.startswith((site.base, 'blob:', 'data:'))]
    v.context.close()
    assert len(v.requests)>20 and not outside
    assert not v.complaints

@pytest.fixture(scope='module')
def colorizer():
    torch.set_num_threads(1)
    c = Colorizer.from_pretrained(device='cpu')
    c.bf16 = False
    return c

def ab(pixels):
    return rgb_to_lab(torch.from_numpy(np.array(pixels)).permute(2,0,1)[None])[0,1:].numpy()

def chroma_distance(a, b): return np.hypot(*(ab(a)-ab(b)))

@pytest.fixture(scope='module')
def square(gray): return gray[:,:128] # on 256 × 256, the least that the network sees

@pytest.fixture(scope='module')
def photo(tmp_path_factory, square):
    "A PNG with an archive's metadata"
    path = tmp_path_factory.mktemp('photo')/'Campus (ü).png'
    Image.fromarray(square).save(path, dpi=(300, 300))
    change(path, '-IFD0:Artist=Unknown', '-ExifIFD:DateTimeOriginal=1910:06:01 12:00:00',
           '-XMP-dc:Title=Campus', '-XMP-tiff:Orientation#=1', '-IPTC:City=Moscow')
    return path

def test_colors_as_the_command_does(visitor, colorizer, photo, tmp_path):
    v = visitor
    v.bring(photo)
    assert '128 × 128' in v.page.inner_text('#facts') and not v.message
    for seed in 0, 2:
        if seed:
            v.after(lambda: v.page.locator('#samples label').nth(seed).click())
        want = colorizer.colorize(photo, seed=seed).array()
        got = read_scan(v.download(tmp_path)).pixels
        assert got.shape==want.shape==(128, 128, 3)
        far = chroma_distance(got, want)
        assert np.abs(ab(want)).mean()>3 and far.mean()<0.05 and np.quantile(far, 0.999)<0.5
        assert np.abs(got.astype(int)-want).max()<=2

def test_what_the_file_says(visitor, colorizer, photo, tmp_path):
    "The metadata of the original, and how the colors came about"
    visitor.bring(photo)
    path = visitor.download(tmp_path)
    assert path.name=='Campus (ü).colorized.png'
    said = read_provenance(path)
    made = colorizer.provenance(colorizer.options())
    assert expected_properties(made).items()<=said.items() # every setting, written as Python does
    assert said['source_sha256']==try_page.hashlib.sha256(photo.read_bytes()).hexdigest()
    assert 'onnxruntime-web' in said['runtime']
    scan,before = read_scan(path),read_scan(photo)
    for name in b'Unknown', b'1910:06:01':
        assert name in scan.exif
    assert b'Campus' in scan.xmp and scan.iptc==before.iptc and scan.iptc
    assert np.allclose(scan.dpi, 300, atol=0.1) and not scan.warnings

@pytest.mark.slow
def test_16_bits_stay_16_bits(visitor, colorizer, square, tmp_path):
    low = np.arange(128, dtype=np.uint16)%100*(square>0)
    deep = square.astype(np.uint16)*257-low
    Image.fromarray(deep).save(tmp_path/'deep.png')
    visitor.bring(tmp_path/'deep.png')
    assert visitor.page.input_value('#format')=='PNG16'
    got = read_scan(visitor.download(tmp_path)).pixels
    want = colorizer.colorize(tmp_path/'deep.png').array()
    assert got.dtype==np.uint16 and got.shape==want.shape
    off = np.abs(got.astype(int)-want)
    assert off.mean()<3 and np.quantile(off, 0.999)<200 # of 65535

def test_a_jpeg_comes_upright_and_goes_with_its_exif(visitor, colorizer, square, tmp_path):
    file = tmp_path/'phone.jpg'
    Image.fromarray(square[:120]).transpose(Image.Transpose.ROTATE_90).save(file, quality=95)
    change(file, '-IFD0:Orientation#=6', '-IFD0:Artist=Unknown', '-IPTC:City=Moscow')
    visitor.bring(file)
    assert '128 × 120' in visitor.page.inner_text('#facts')
    path = visitor.download(tmp_path)
    scan = read_scan(path)
    assert scan.shape==(120, 128) and path.suffix=='.jpg' and not scan.warnings
    assert b'Unknown' in scan.exif and scan.iptc and read_provenance(path)['Seed']=='0'
    result = colorizer.colorize(file)
    result.save(tmp_path/'want.jpg')
    want = read_scan(tmp_path/'want.jpg').pixels
    far,lost = [chroma_distance(want, o).mean() for o in (scan.pixels, result.array())]
    assert far<lost/3 # two encoders round differently, but less than JPEG loses

def tags(path, *names):
    said, = json.loads(exiftool('-j', '-G1', '-struct', '-n', *(f'-{o}' for o in names), path))
    return {k: v for k,v in said.items() if k!='SourceFile'}

PAGE = 'https://archive.city/rights?a=1&b=2'

@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
def test_photoshops_statements_of_rights_stay(visitor, square, tmp_path, name):
    "in XMP, where it is silent; where it says otherwise that is told"
    jpeg = tmp_path/'jpeg.jpg'
    both = {'XMP-xmpRights:WebStatement': PAGE, 'XMP-xmpRights:Marked': True}
    Image.fromarray(square).save(jpeg)
    change(jpeg, f'-Photoshop:URL={PAGE}', '-Photoshop:CopyrightFlag=True')
    (png_of_imagemagick if name=='a.png' else shutil.copy)(jpeg, tmp_path/name)
    visitor.bring(tmp_path/name)
    assert not visitor.message and tags(visitor.download(tmp_path), 'XMP-xmpRights:all')==both
    change(tmp_path/name, '-XMP-xmpRights:WebStatement=https://other.city')
    visitor.bring(tmp_path/name)
    found = tags(visitor.download(tmp_path), 'XMP-xmpRights:all')
    assert found=={**both, 'XMP-xmpRights:WebStatement': 'https://other.city'}
    assert "Photoshop's address of a page on copyright was left behind" in visitor.message

def test_what_a_turned_jpeg_says_of_places_is_turned(visitor, colorizer, square, tmp_path):
    "Faces, subject and resolution as Python has them; a comment stays, marks of a video go"
    file = tmp_path/'phone.jpg'
    Image.fromarray(square[:120]).transpose(Image.Transpose.ROTATE_90).save(
        file, quality=95, comment='Campüs'.encode())
    region = ('{AppliedToDimensions={W=120,H=128,Unit=pixel},RegionList=[{Name=Ann,Type=Face,'
              'Area={X=0.25,Y=0.4,W=0.1,H=0.2,Unit=normalized}}]}')
    change(file, '-IFD0:Orientation#=6', '-IFD0:XResolution=300', '-IFD0:YResolution=200',
           '-ExifIFD:SubjectArea=30 40 20 10', '-XMP-exif:SubjectArea=30 40 20 10',
           f'-XMP-mwg-rs:RegionInfo={region}', '-XMP-GCamera:MotionPhoto=1')
    visitor.bring(file)
    path = visitor.download(tmp_path)
    assert 'left behind: exif:SubjectArea' in visitor.message
    colorizer.colorize(file).save(tmp_path/'want.jpg')
    names = ('ExifIFD:SubjectArea', 'File:Comment', 'XMP-mwg-rs:all', 'XMP-GCamera:all',
             'XMP-exif:all')
    got,want = [tags(o, *names) for o in (path, tmp_path/'want.jpg')]
    assert got==want and len(got)==3 and got['File:Comment']=='Campüs'
    assert got['ExifIFD:SubjectArea'] not in ('30 40 20 10', '30 40 10 20')
    sides = tags(path, 'IFD0:XResolution', 'IFD0:YResolution') # of Python, Pillow reads one only
    assert [*sides.values()]==[200, 300]
    visitor.page.select_option('#format', 'PNG')
    visitor.download(tmp_path)
    visitor.until('message.textContent.includes("left behind: Comment")')

def test_a_hint_is_obeyed(visitor, photo):
    v = visitor
    v.bring(photo)
    red = ab(np.array([[[0x9c,0x2f,0x2c]]], np.uint8))[:,0,0]
    patch = lambda: ab(v.pixels())[:,105:112,55:65].mean((1,2))
    before = patch()
    v.after(lambda: v.paint('Red', (52/128, 108/128), (68/128, 108/128)))
    far = lambda o: np.linalg.norm(o-red)
    assert far(patch())<0.6*far(before)
    v.after(lambda: v.page.click('#undo'))
    assert np.linalg.norm(patch()-before)<0.01
    v.page.keyboard.press('Escape') # wherever the focus is
    assert v.page.is_disabled('#done') and v.page.is_hidden('#paint')

def png_of(width, height, data=zlib.compress(bytes(100)), *texts):
    "A PNG of that size and compressed data, with texts before it: (kind, content)"
    chunk = lambda kind,data: (struct.pack('>I', len(data))+kind+data
                               + struct.pack('>I', zlib.crc32(kind+data)))
    head = struct.pack('>2I5B', width, height, 8, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR', head)+b''.join(chunk(*o) for o in texts)
            + chunk(b'IDAT', data)+chunk(b'IEND', b''))

GRAY_128 = zlib.compress(bytes(128*129)) # The pixels of a PNG of 128 × 128

@pytest.mark.slow
def test_rubbish_is_told_and_freezes_nothing(visitor, photo, square, tmp_path):
    v = visitor
    whole = io.BytesIO()
    Image.fromarray(square).save(whole, 'jpeg')
    rubbish = {'letter.jpg': (b'Dear archive,', 'not a photograph'), 'empty.png': (b'', 'empty'),
        'half.jpg': (whole.getvalue()[:-100], 'truncated'),
        'half.png': (photo.read_bytes()[:3000], 'truncated'),
        'torn.png': (png_of(128, 128, GRAY_128[:-9]), 'truncated or damaged'),
        'head.png': (png_of(128, 128, GRAY_128, (b'gAMA', b'')), 'damaged'),
        'huge.png': (png_of(20000, 10000), '200 megapixels'),
        'scan.tif': (b'II*\0'+bytes(100), 'TIFF')}
    for name,(data,said) in rubbish.items():
        (tmp_path/name).write_bytes(data)
        v.page.set_input_files('#file', tmp_path/name)
        v.until(f'!message.hidden && message.textContent.includes("{name}")', 20)
        assert said in v.message and v.page.is_hidden('#doing')
    v.bring(photo)
    assert not v.message and v.page.is_visible('#work')

def test_what_is_damaged_inside_is_left_behind_and_noted(visitor, square, tmp_path):
    "A photograph is not refused for it"
    texts = [(b'iTXt', b'XML:com.adobe.xmp\0\1\0\0\0no zlib'),
             (b'zTXt', b'Raw profile type iptc\0\0no zlib'), (b'eXIf', b'II*\0\xff\0\0\0')]
    file = tmp_path/'texts.png'
    file.write_bytes(png_of(128, 128, GRAY_128, *texts))
    visitor.bring(file)
    facts = visitor.page.inner_text('#facts')
    for o in 'XMP', 'IPTC', 'EXIF':
        assert f'{o} is damaged and was left behind' in facts
    assert not visitor.message and read_scan(visitor.download(tmp_path)).exif is None
    file.write_bytes(png_of(128, 128, GRAY_128, (b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0<x/>')))
    visitor.bring(file)
    visitor.download(tmp_path)
    visitor.until('message.textContent.includes("the original XMP could not be read")')

OPEN = """async ([base, bytes]) => {
    const {openPhotograph} = await import(`${base}try/decode.js`)
    const {photo, ...o} = await openPhotograph(new File([Uint8Array.from(bytes)], 'file'))
    const list = o => o && [...o]
    return {...photo, pixels: list(photo.pixels), notes: o.notes, turn: o.turn, iptc: list(o.iptc),
        exif: list(o.exif)} }"""

def opened(visitor, file):
    "A file as the page reads it"
    o = visitor.page.evaluate(OPEN, [visitor.base, [*file.read_bytes()]])
    shape = (o['height'], o['width'], 3)[:2+(o['channels']>1)]
    o['pixels'] = np.array(o['pixels'], f"uint{o['bits']}").reshape(shape)
    return o

@pytest.mark.parametrize('turn', range(1, 9))
def test_a_webp_comes_upright(visitor, square, tmp_path, turn):
    file,exif = tmp_path/'a.webp',Image.Exif()
    exif[274] = turn
    Image.fromarray(square[:100]).convert('RGB').save(file, lossless=True, exif=exif)
    got,want = opened(visitor, file),read_scan(file)
    assert got['pixels'].shape==want.shape and (got['pixels']==want.pixels).all()

def test_what_lies_behind_the_pixels_of_a_png_does_no_harm(visitor, square, tmp_path):
    file,rng = tmp_path/'a.png',np.random.default_rng(0)
    noise = rng.integers(0, 256, (128, 128), np.uint8)
    flat = np.full((400, 500), 9, np.uint8)
    for x in square,noise,flat: # of one piece, of two, of one that Chromium inflates in several
        h,w = x.shape
        data = zlib.compress(b''.join(b'\0'+o.tobytes() for o in x))
        for stray in b'\0\0',noise.tobytes():
            file.write_bytes(png_of(w, h, data+stray))
            assert (opened(visitor, file)['pixels']==x).all()
        for damaged in data[:-200],data[:-4],data[:-4]+b'\0\0\0\0',data[:-4]+b'\0\0\0\0\0':
            file.write_bytes(png_of(w, h, damaged))
            with pytest.raises(Exception, match='truncated or damaged'):
                opened(visitor, file)

def test_iptc_of_a_png_as_imagemagick_writes_it(visitor, tmp_path):
    record,file = b'\x1c\2\x5a\0\6Moscow',tmp_path/'a.png'
    resources = b'8BIM\4\4\0\0'+struct.pack('>I', len(record))+record+b'\0'
    for key,data in (b'iptc', record),(b'iptc', resources),(b'8bim', resources):
        said = b'\n%s\n%8d\n%s\n' % (key, len(data), data.hex().encode())
        packed = zlib.compress(said)
        for kind,text in ((b'tEXt', said), (b'zTXt', b'\0'+packed), (b'iTXt', bytes(4)+said),
                          (b'iTXt', b'\1\0\0\0'+packed)):
            chunk = kind,b'Raw profile type '+key+b'\0'+text
            file.write_bytes(png_of(128, 128, GRAY_128, chunk))
            o = opened(visitor, file)
            assert bytes(o['iptc'])==read_scan(file).iptc==record and not o['notes']

@pytest.mark.parametrize('name', ['a.gif', 'a.webp', 'a.png', 'hidden.png'])
def test_that_an_animation_has_more_pictures_is_said(visitor, square, tmp_path, name):
    frames = [Image.fromarray(square).point(lambda v: v//k) for k in (1, 2, 3)]
    more = dict(default_image=True) if name=='hidden.png' else {}
    file = tmp_path/name
    for n in 1,3:
        frames[0].save(file, append_images=frames[1:n], save_all=n>1, **(more if n>1 else {}))
        pages = [o for o in opened(visitor, file)['notes'] if 'pages' in o]
        assert pages==read_scan(file).warnings and len(pages)==(n>1)

def test_a_side_that_no_jpeg_holds_is_refused(visitor):
    js = f"""import("{visitor.base}try/jpegwriter.js").then(({{JpegWriter}}) => {{
        new JpegWriter(65500, 8, 95)
        try {{ new JpegWriter(8, 65501, 95) }} catch (e) {{ return e.message }} }})"""
    said = visitor.page.evaluate(js)
    assert 'at most 65500 pixels a side, this photograph has 8 × 65501' in said

MERGE = """async ([base, packet, photo]) => {
    const {mergeXmp} = await import(`${base}try/xmp.js`)
    const manifest = await (await fetch('try/model/manifest.json')).json()
    const {xmp, notes} = mergeXmp(new TextEncoder().encode(packet), [], manifest, photo)
    return [new TextDecoder().decode(xmp), notes] }"""

def packet_of(body, attributes=''):
    ns = ' '.join(f'xmlns:{k}="{v}"' for k,v in XMP_NAMESPACES.items())
    return (f'<x:xmpmeta {ns} xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" '
            'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"><rdf:RDF>'
            f'<rdf:Description rdf:about="" {attributes}>{body}</rdf:Description>'
            '</rdf:RDF></x:xmpmeta>')

def area(x='0.25', sides='stDim:w="120" stDim:h="128"'):
    return (f'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions {sides}/>'
            f'<mwg-rs:Area stArea:x="{x}" stArea:y="0.4" stArea:h="0.2"><stArea:w>0.1</stArea:w>'
            '</mwg-rs:Area></mwg-rs:Regions>')

AREAS = {'plain': area(), 'upright': area(sides='stDim:w="128" stDim:h="120"'),
    'pixels': area('30'), 'words': area('left'), 'no sides': area(sides=''),
    'twice': f'<mwg-rs:Regions>{area()}</mwg-rs:Regions>',
    'others': '<MP:RegionInfo/><acdsee-rs:Regions/><exif:SubjectLocation/>'+area()}

@pytest.mark.parametrize('name', AREAS)
def test_regions_are_turned_as_python_turns_them(visitor, name):
    def said(xmp):
        elements = parse_xmp(xmp).getElementsByTagName('*')
        return [(o.nodeName, sorted(o.attributes.items()), getattr(o.firstChild, 'nodeValue', None))
                for o in elements if not o.nodeName.startswith(('rdf:', 'x:', 'tiff:'))]
    for turn in range(1, 9):
        w,h = (128, 120) if turn>4 else (120, 128)
        photo,notes = dict(turn=turn, width=w, height=h),[]
        want = turn_regions(packet_of(AREAS[name]).encode(), turn, (h, w), notes)
        got,remarks = visitor.page.evaluate(MERGE, [visitor.base, packet_of(AREAS[name]), photo])
        assert said(got.encode())==said(want) and remarks==notes

def test_what_is_true_of_the_original_file_only_is_left_out(visitor):
    names = [f'{p}:{o}' for p,names in OF_THE_FILE.items() for o in names.split()]
    packet = packet_of('<dc:title/>', ' '.join(f'{o}="2"' for o in names))
    got,_ = visitor.page.evaluate(MERGE, [visitor.base, packet, dict(turn=1, width=1, height=1)])
    assert len(names)>25 and [o for o in names if f'{o}=' in got or f'<{o}>' in got]==[
        'tiff:Orientation'] and 'dc:title' in got

@pytest.mark.parametrize('second', ['points nowhere', 'is not named'])
def test_exif_without_a_second_directory_is_kept(visitor, square, tmp_path, second):
    artist = b'Unknown photographer\0'
    block = struct.pack('<2sHIH', b'II', 42, 8, 1)+struct.pack('<2H2I', 315, 2, len(artist), 26)
    block += struct.pack('<I', 0xfff0)+artist
    if second=='is not named': # its four bytes are the text's
        block = block[:-len(artist)-4].replace(struct.pack('<2I', 21, 26),
                                               struct.pack('<2I', 4, 0x6d6d41))
    wanted = b'Unknown' if second=='points nowhere' else b'Amm'
    file = tmp_path/'block.png'
    file.write_bytes(png_of(128, 128, GRAY_128, (b'eXIf', block)))
    visitor.bring(file)
    assert 'EXIF' not in visitor.page.inner_text('#facts') and not visitor.message
    assert wanted in read_scan(visitor.download(tmp_path)).exif

def test_errors_are_in_our_words(visitor):
    js = f'''import("{visitor.base}try/errors.js").then(({{inWords}}) => [
        new Error("Can't create a session. ERROR_MESSAGE: std::bad_alloc"),
        new RangeError('Array buffer allocation failed'), 12345,
        new RangeError('Offset is outside the bounds of the DataView'),
        new Error('the file is empty')].map(inWords))'''
    said = visitor.page.evaluate(js)
    assert 'not enough memory' in said[0] and said[1]==said[0] and '12345' in said[2]
    assert said[3:]==['the file is damaged', 'the file is empty']

# Questions to the worker are noted (`asked`), refused or held back; so are photographs of ours
SPY = '''() => {
    const post = Worker.prototype.postMessage, get = window.fetch
    Object.assign(window, {asked: [], refused: '', held: '', later: [], answers: {}})
    Worker.prototype.postMessage = function(data) {
        asked.push(data)
        const refuse = () => this.onmessage({data: {id: data.id, error: 'refused'}})
        const go = () =>
            data.ask && data.ask === refused ? setTimeout(refuse) : post.call(this, data)
        if (data.ask && data.ask === held) later.push(go)
        else go()
    }
    window.fetch = (url, o) => answers[String(url).split('/').at(-1)]?.() ?? get(url, o) }'''
RELEASE = '() => { held = ""; later.splice(0).forEach(go => go()) }'

@pytest.fixture
def spied(visitor):
    "The visitor's worker and network under a spy"
    visitor.page.evaluate(SPY)
    yield visitor
    visitor.visit()

def asked(v, question):
    return [o for o in v.page.evaluate('asked') if o.get('ask')==question]

def focus(v):
    return v.page.evaluate('''document.activeElement.id || document.activeElement.value
        || document.activeElement.tagName''')

def chosen(v): return v.page.evaluate('document.querySelector("#samples :checked").value')

def check_the_first_coloring_holds(v, folder):
    assert chosen(v)=='0' and v.page.is_disabled('#undo')
    assert v.page.input_value('#strength')=='100'
    said = read_provenance(v.download(folder))
    assert said['Seed']=='0' and said['saturation']=='1.0' and said['hints']=='False'

def test_after_cancel_and_error_the_page_saves_what_it_shows(spied, photo, tmp_path):
    "Also when a second change waited behind the first"
    v = spied
    v.bring(photo)
    for stop in 'cancel','error':
        v.page.evaluate('held = "color"')
        v.page.locator('#samples label').nth(1).click()
        v.page.locator('#samples label').nth(2).click()
        v.paint('Red', (0.4, 0.8), (0.5, 0.8))
        assert v.page.is_enabled('#undo') and chosen(v)=='2'
        if stop=='cancel':
            v.page.evaluate('document.getElementById("cancel").click()')
        else:
            v.page.evaluate('refused = "color"')
        v.page.evaluate(RELEASE)
        v.until('document.getElementById("status").textContent=="Canceled."' if stop=='cancel'
                else 'message.textContent.includes("refused")')
        check_the_first_coloring_holds(v, tmp_path)

def test_controls_wait_for_the_photograph_that_comes(spied, photo, tmp_path):
    v,file = spied,tmp_path/'other.png'
    Image.open(photo).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    v.bring(photo)
    v.page.evaluate('held = "open"')
    v.page.set_input_files('#file', file)
    v.until('later.length')
    box = v.page.locator('#samples label').nth(2).bounding_box()
    v.page.mouse.click(box['x']+box['width']/2, box['y']+box['height']/2)
    v.after(lambda: v.page.evaluate(RELEASE))
    assert chosen(v)=='0' and 'other.png' in v.page.inner_text('#facts') and not v.message
    assert read_provenance(v.download(tmp_path))['Seed']=='0'

LATE = '() => { answers["riverfront-1931.jpg"] = () => new Promise(o => window.arrive = o) }'
MISSING = '''() => {
    answers["buffalo-1908.jpg"] = async () => new Response('', {status: 404}) }'''

def test_a_photograph_of_ours_that_comes_late_or_not_at_all(spied, photo):
    "The newest wish counts; a server's refusal is no damaged photograph"
    v = spied
    v.page.evaluate(LATE)
    v.page.click('#riverfront-1931')
    v.bring(photo)
    v.page.evaluate('arrive(new Response("too late"))')
    v.page.wait_for_timeout(300)
    assert photo.name in v.page.inner_text('#facts') and not v.message
    v.page.evaluate(MISSING)
    v.page.click('#buffalo-1908')
    v.until('!message.hidden')
    assert v.message=='This photograph could not be fetched (404).'
    assert v.page.is_visible('#work')

def test_no_strokes_that_nobody_meant(spied, photo):
    "Keys that are held, and two fingers"
    v,keys = spied,spied.page.keyboard
    v.bring(photo)
    v.page.evaluate('held = "color"')
    strokes = lambda: len((asked(v, 'color') or [dict(strokes=[])])[-1]['strokes'])
    def hold(key):
        for _ in range(4): # each but the first is a repetition
            keys.down(key)
        keys.up(key)
    def again():
        v.after(lambda: v.page.evaluate('() => { later.splice(0).forEach(go => go()) }'))
    v.page.get_by_role('radio', name='Red', exact=True).focus()
    keys.press('Space')
    hold('Enter')
    assert focus(v)=='paint' and v.page.evaluate('!later.length')
    hold('Space')
    again()
    assert strokes()==1
    touch = touching(v.page, '#paint')
    touch('touchStart', 0.3)
    touch('touchStart', 0.3, 0.7)
    touch('touchMove', 0.2, 0.8)
    touch('touchEnd')
    v.page.wait_for_timeout(200)
    assert v.page.evaluate('!later.length') and strokes()==1
    touch('touchStart', 0.3) # one finger paints
    touch('touchMove', 0.4)
    touch('touchEnd')
    v.until('later.length')
    again()
    assert strokes()==2

def test_the_focus_is_not_lost(spied, photo, tmp_path):
    v,keys = spied,spied.page.keyboard
    v.bring(photo)
    v.page.evaluate('held = "save"')
    v.page.focus('#save')
    keys.press('Enter')
    v.until('later.length')
    keys.press('Enter') # it is saving already
    assert focus(v)=='save' and v.page.get_attribute('#save', 'aria-disabled')=='true'
    with v.page.expect_download():
        v.page.evaluate(RELEASE)
    v.until('document.getElementById("save").getAttribute("aria-disabled")=="false"')
    assert focus(v)=='save' and len(asked(v, 'save'))==1
    red = '#9c2f2c'
    v.after(lambda: v.paint('Red', (0.4, 0.8), (0.5, 0.8)))
    v.page.focus('#undo')
    v.after(lambda: keys.press('Enter'))
    assert focus(v)==red
    v.page.focus('#paint')
    keys.press('Escape')
    assert focus(v)==red and v.page.is_hidden('#paint')
    keys.press('Space')
    v.page.focus('#done')
    keys.press('Enter')
    assert focus(v)==red and v.page.is_disabled('#done')
    v.page.locator('#samples label').nth(3).click()
    v.until('what.textContent=="Inventing colors" && !doing.hidden')
    v.page.focus('#cancel')
    keys.press('Enter')
    v.until('document.getElementById("status").textContent=="Canceled."')
    v.until('document.activeElement.value=="0"')
    assert chosen(v)=='0'

class BadLine(Quiet):
    "The network's denoiser is lost on the way, or takes its time"
    fails,free = True,threading.Event()
    def do_GET(self):
        if self.path.endswith('denoiser.onnx.gz'):
            if self.fails:
                self.close_connection = True
                return
            self.free.wait(60)
        super().do_GET()

def test_the_model_on_a_bad_line(browser, built, photo):
    "Its loss is told in our words; cancel does not wait for it, and later it goes on"
    site = Site(built, BadLine)
    v = Visitor(browser, site.base)
    v.bring(photo)
    assert 'denoiser.onnx.gz could not be fetched; is there a network?' in v.message
    BadLine.fails = False
    v.page.set_input_files('#file', photo)
    v.until('what.textContent=="Fetching the model" && !doing.hidden')
    v.page.click('#cancel')
    v.until('document.getElementById("status").textContent=="Canceled." && doing.hidden', 5)
    BadLine.free.set()
    v.page.wait_for_timeout(300)
    assert v.page.is_hidden('#doing')
    v.bring(photo)
    assert not v.message
    v.context.close()
    site.stop()

def test_a_worker_that_cannot_start_is_told(browser, built, photo, tmp_path):
    folder = tmp_path/'site'
    shutil.copytree(built, folder)
    (folder/'try/worker.js').unlink()
    site = Site(folder)
    v = Visitor(browser, site.base)
    v.until('!message.hidden', 20)
    assert 'Please load the page again' in v.message
    v.page.set_input_files('#file', photo) # later questions are not left alone either
    v.until(f'message.textContent.includes("{photo.name}")', 20)
    assert 'does not run' in v.message and v.page.is_hidden('#doing')
    v.context.close()
    site.stop()

@pytest.mark.slow
def test_cancel(visitor, photo, tmp_path):
    v,file = visitor,tmp_path/'other.png'
    Image.open(photo).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    v.page.set_input_files('#file', file)
    v.until('what.textContent=="Inventing colors" && !doing.hidden')
    v.page.click('#cancel')
    v.until('doing.hidden && document.getElementById("status").textContent=="Canceled."', 20)
    v.bring(file) # it can go on
    assert not v.message

def test_the_noise_of_python(visitor):
    for seed,n in (0, 6144), (7, 1003), (2**32+5, 64):
        js = f'import("{visitor.base}try/random.js").then(o => [...o.randn({n}, {seed})])'
        want = torch.randn(n, generator=torch.Generator().manual_seed(seed)).numpy()
        assert np.abs(np.array(visitor.page.evaluate(js))-want).max()<1e-5

def test_weak_reds_as_python_shrinks_them(visitor):
    x = torch.randn(1, 2, 40, 57, generator=torch.Generator().manual_seed(0))*60
    x = torch.nn.functional.avg_pool2d(x, 5, 1, 2)+torch.tensor([8., 2.]).view(2, 1, 1)
    js = '''([base, data, strength]) => import(`${base}try/guidance.js`).then(({shrinkReds}) =>
        [...shrinkReds({c:2, h:40, w:57, data:Float32Array.from(data)}, strength).data])'''
    for strength in 0.,.5,1.:
        got = visitor.page.evaluate(js, [visitor.base, x.flatten().tolist(), strength])
        want = shrink_reds(x, strength)
        assert np.abs(np.array(got)-want.flatten().numpy()).max()<2e-3
    assert not torch.allclose(want, x, atol=1)

@pytest.mark.slow
def test_works_without_a_network_the_second_time(browser, built, photo, tmp_path):
    site = Site(built)
    v = Visitor(browser, site.base)
    v.until('document.body.dataset.kept')
    assert v.page.evaluate('crossOriginIsolated'), 'threads need it'
    site.stop()
    v.visit()
    v.bring(photo)
    assert not v.message and read_provenance(v.download(tmp_path))['Seed']=='0'
    v.context.close()
    assert not v.complaints

def kept_by(folder):
    "What the service worker of a copy is to keep"
    text = (folder/'try-offline.js').read_text('utf-8')
    return json.loads(text.split('FILES = ')[1].split('} //')[0]+'}')

KEEP = '''new Promise(yes => {
    navigator.serviceWorker.addEventListener('message', e => yes(e.data))
    navigator.serviceWorker.controller.postMessage('keep') })'''

def test_works_without_a_network_after_an_update(browser, built, photo, tmp_path):
    "A page that is open stays what it was; the new version comes when all of it is here"
    folder = tmp_path/'site'
    shutil.copytree(built, folder)
    site = Site(folder)
    v = Visitor(browser, site.base)
    v.until('document.body.dataset.kept')
    page = folder/'try/page.js'
    page.write_text(page.read_text('utf-8')+"document.body.dataset.version = '2'\n", 'utf-8')
    try_page._keep(folder, kept_by(folder))
    v.visit()
    v.until('navigator.serviceWorker.getRegistration().then(o => !!o.waiting)')
    assert not v.page.evaluate('document.body.dataset.version')
    site.stop()
    v.visit()
    assert not v.page.evaluate('document.body.dataset.version')
    v.page.close() # the only one
    v.page = v.context.new_page()
    v.until('true')
    v.visit()
    v.bring(photo)
    assert not v.message and v.page.evaluate('document.body.dataset.version')=='2'
    assert len(v.page.evaluate('caches.keys()'))==1
    v.context.close()

FULL = "Cache.prototype.put = async () => { throw new DOMException('', 'QuotaExceededError') }"
CLOSED = "CacheStorage.prototype.open = async () => { throw new DOMException('', 'UnknownError') }"

@pytest.mark.parametrize('storage', [FULL, CLOSED, 'a file is missing'],
                         ids=['full', 'closed', 'a file is missing'])
def test_where_files_cannot_be_kept_the_page_works_and_promises_nothing(
        browser, built, photo, tmp_path, storage):
    folder = tmp_path/'site'
    worker = folder/'try-offline.js'
    shutil.copytree(built, folder)
    if storage in (FULL, CLOSED):
        worker.write_text(f"{storage}\n{worker.read_text('utf-8')}", 'utf-8')
    else:
        (folder/'try/photographs/campus-1910.jpg').unlink()
    site = Site(folder)
    v = Visitor(browser, site.base)
    assert v.page.evaluate(KEEP)=='not kept' and not v.page.inner_text('#offline')
    v.bring(photo)
    assert not v.message and v.page.is_visible('#work')
    if storage==FULL: # an update comes all the same
        worker.write_text(worker.read_text('utf-8')+'\n', 'utf-8')
        v.visit()
        v.until('navigator.serviceWorker.getRegistration().then(o => !!o.waiting)', 20)
    v.context.close()
    site.stop()

@pytest.mark.parametrize('size', [(1280, 900), (390, 844)])
def test_anybody_can_use_it(visitor, photo, size):
    "axe finds nothing, a phone cuts nothing off, and the slider obeys the keyboard"
    from axe_playwright_python.sync_playwright import Axe
    page = visitor.page
    page.set_viewport_size(dict(zip(('width', 'height'), size)))
    visitor.bring(photo)
    assert not visitor.message
    wide = 'document.documentElement.scrollWidth-document.documentElement.clientWidth'
    assert page.evaluate(wide)<=0
    found = Axe().run(page).response['violations']
    assert not [(o['id'], o['nodes'][0]['html']) for o in found]
    page.focus('#split')
    before = int(page.input_value('#split'))
    page.keyboard.press('ArrowLeft')
    assert page.input_value('#split')==str(before-1)
    assert f'{before-1} %' in page.get_attribute('#split', 'aria-valuetext')

def test_every_picture_of_the_gallery_opens(visitor):
    images = root/'nbs/images'
    pages = [(images/f'gallery/{o}.html').read_text('utf-8') for o in ('kept', 'failed')]
    addresses = re.findall(r'href="(try\.html#[\w-]+)"', ''.join(pages))
    assert len(addresses)==''.join(pages).count('class="gallery-entry"')>9
    for address in addresses:
        file = address.partition('#')[2]+'.jpg'
        with Image.open(images/file) as im:
            w,h = im.size
        visitor.page.goto('about:blank')
        visitor.page.goto(visitor.base+address)
        visitor.until(f'facts.textContent.includes("{file}: {w} × {h}")')
        visitor.page.click('#cancel')

def test_the_first_visit_is_light(built):
    text = (built/'try-offline.js').read_text()
    kept = json.loads(text.split('FILES = ')[1].split('} //')[0]+'}')
    assert sum((built/o).stat().st_size for o in kept)<25e6

@pytest.mark.slow
def test_firefox_colors_alike(site, colorizer, photo, firefox):
    firefox.go(f'{site.base}try.html')
    firefox.until('document.body?.dataset.ready')
    firefox.bring('file', photo)
    firefox.until('document.body.dataset.colored || !message.hidden')
    assert firefox.evaluate('message.textContent')['value']==''
    firefox.evaluate('document.getElementById("save").click()')
    path = firefox.downloaded()
    far = chroma_distance(read_scan(path).pixels, colorizer.colorize(photo).array())
    assert far.mean()<0.05 and np.quantile(far, 0.999)<0.5
    assert read_provenance(path)['ModelSHA256']==colorizer.sha256
    threads = firefox.evaluate('crossOriginIsolated')['value']
    assert threads, 'threads need it'
