"A museum for the tests: a web server with a log, that may misbehave"
import io, json, threading, time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import numpy as np
from PIL import Image
from colorized.iiif.service import parse_info

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT/'nbs/images/campus-1910.jpg'
V3 = 'http://iiif.io/api/presentation/3/context.json'

# Pictures

def gray(data):
    "Lightness of a picture: its file or the content of it"
    im = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data)
    return np.asarray(im.convert('L')).astype(float)

def small(path, w=150, h=100, x=0, quality=92):
    "A small photograph of its own, at `path`"
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(PHOTO) as im:
        part = im.crop((x, 200, x+3*w, 200+3*h)).resize((w, h))
        part.convert('L').save(path, quality=quality)
    return path

def flat(w, h, **kwargs):
    "A gray JPEG"
    buf = io.BytesIO()
    Image.new('L', (w, h), 99).save(buf, 'JPEG', **kwargs)
    return buf.getvalue()

def size_of(data):
    return Image.open(io.BytesIO(data)).size

# The server

class Clock:
    "Stands in for `time` where only waits shall pass, so that a busy machine changes nothing"
    def __init__(self): self.now = 0.
    def monotonic(self): return self.now
    def sleep(self, seconds): self.now += seconds

class Museum(ThreadingHTTPServer):
    daemon_threads = True
    def __init__(self, folder, host='127.0.0.1', port=0):
        super().__init__((host, port), partial(Desk, directory=str(folder)))
        self.folder,self.url = Path(folder),f'http://{host}:{self.server_port}'
        self.log = []           # [(time, path, headers)]
        self.faults = {}        # {path: answer, or answers for so many times}
        self.clock = time
        self.now = self.most = 0 # requests being answered
        threading.Thread(target=self.serve_forever, daemon=True).start()
    def asked(self):
        return [p for _,p,_ in self.log]
    def handle_error(self, *args): pass # a client that hung up

class Desk(SimpleHTTPRequestHandler):
    lock = threading.Lock()
    def do_GET(self):
        s = self.server
        with self.lock:
            s.log.append((s.clock.monotonic(), self.path, dict(self.headers)))
            s.now += 1
            s.most = max(s.most, s.now)
        self.busy = True
        try:
            fault = s.faults.get(self.path)
            if isinstance(fault, list): # so many times only
                fault = fault.pop(0) if fault else None
            return fault(self) if fault else super().do_GET()
        finally:
            self.done()
    def done(self):
        "Before the last byte: whoever has that may ask again before this thread goes on"
        with self.lock:
            self.server.now -= self.busy
            self.busy = False
    def send_error(self, *args, **kwargs):
        self.done()
        super().send_error(*args, **kwargs)
    def copyfile(self, source, out):
        data = source.read()
        self.done()
        out.write(data)
    def log_message(self, *args): pass
    def answer(self, status, body=b'', **headers):
        self.send_response(status)
        for k,v in {'Content_Length': len(body), **headers}.items():
            self.send_header(k.replace('_', '-'), str(v))
        self.done()
        self.end_headers()
        self.wfile.write(body)
    def file(self):
        return Path(self.translate_path(self.path)).read_bytes()

# Faults

def status(code, **headers):
    return lambda h: h.answer(code, **headers)

def body(data):
    return lambda h: h.answer(200, data)

def cut(h): # a whole answer, half a picture
    h.answer(200, h.file()[:-800])

def broken_off(h): # half an answer
    h.answer(200, h.file()[:900], Content_Length=len(h.file()))

def hang(h): # for longer than a fetcher waits here
    time.sleep(5)
    h.answer(200, h.file())

def slow(h):
    h.server.clock.sleep(0.3)
    h.answer(200, h.file())

# Albums in the museum

def canvas(u, i, body, w=150, h=100):
    body = dict(type='Image', format='image/jpeg', width=w, height=h, **body)
    painting = dict(id=f'{u}/annotation/{i}', type='Annotation', motivation='painting',
                    target=f'{u}/canvas/{i}', body=body)
    page = dict(id=f'{u}/page/{i}', type='AnnotationPage', items=[painting])
    return dict(id=f'{u}/canvas/{i}', type='Canvas', label={'en': [f'Page {i}']},
                width=w, height=h, items=[page])

def level0(u, name, **more):
    "A picture with a folder of tiles, as a body"
    service = dict(id=f'{u}/{name}', type='ImageService3', profile='level0', **more)
    return dict(id=f'{u}/{name}/full/max/0/default.jpg', service=[service])

def album(museum, bodies, **more):
    u = museum.url
    doc = {'@context': V3, 'id': f'{u}/album.json', 'type': 'Manifest',
           'label': {'en': ['An album']}, **more,
           'items': [canvas(u, i, b) for i,b in enumerate(bodies)]}
    (museum.folder/'album.json').write_text(json.dumps(doc))
    return doc

def files_album(museum, n, **more):
    "An album of n plain files"
    for i in range(n):
        small(museum.folder/f'photo{i}.jpg', x=40*i)
    return album(museum, [dict(id=f'{museum.url}/photo{i}.jpg') for i in range(n)], **more)

# A museum with an image service

def image_server(museum, info, most=10**6, whole=None):
    """A level-2 server of gray pictures, by the letter of version 3, that answers in JPEG with at
    most so many pixels a side, and to the whole as `whole` says"""
    W,H = info['width'],info['height']
    def answer(h):
        region,size = h.path.split('/')[2:4]
        if region=='full' and whole: return whole(h)
        w,height = (W, H) if region=='full' else map(int, region.split(',')[2:])
        size = (w, height) if size=='max' else tuple(int(o or most+1) for o in size.split(','))
        h.answer(200, flat(*size)) if max(size)<=most else h.answer(400)
    class Any(dict):
        def get(self, path):
            return dict.get(self, path) or (answer if path.startswith('/p/') else None)
    museum.faults = Any()
    context = 'http://iiif.io/api/image/3/context.json'
    return parse_info({'@context': context, 'id': f'{museum.url}/p', 'profile': 'level2', **info})
