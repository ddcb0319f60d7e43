"Films that tests write, and what is in a film, as PyAV sees it"
import hashlib, io
from fractions import Fraction
import av, numpy as np
from PIL import Image
from colorized.film.interlacing import FrameFilter

def picture(i, size=(64, 48), seed=0, top=235):
    "(H,W) of a textured pattern that moves two pixels a frame; values 16 to `top`"
    w,h = size
    rng = np.random.default_rng(seed)
    wide = rng.integers(16, top, (h//16+1, (w+2000)//16), np.uint16).repeat(16, 0).repeat(16, 1)
    return wide[:h, 2*i:2*i+w]

def frame(Y, pix_fmt, pts, chroma=None):
    "A frame of luma `Y`; the chroma neutral unless given as (Cb, Cr)"
    h,w = Y.shape
    f = av.VideoFrame(w, h, pix_fmt)
    bits = f.format.components[0].bits
    dtype = np.uint8 if bits==8 else np.uint16
    for k,plane in enumerate(f.planes):
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        if k==0:
            rows[:,:w] = Y
        elif k==3:
            rows[:,:w] = np.arange(w)%200
        else:
            rows[:] = 2**(bits-1) if chroma is None else chroma[k-1]
    f.pts = pts
    return f

def write_film(path, frames, rate=16, codec='ffv1', size=(64, 48), pix_fmt='yuv420p', times=None,
               time_base=None, options=None, sound=0, setup=None, container=None, chroma=None,
               colored=range(10**6), mark=None):
    """Write luma `frames` ((H,W) each); `times` in ticks of `time_base`; `sound`: audio tracks;
    `chroma` of those in `colored`; `mark`: 'tff' or 'bff' if it is to say that it is interlaced"""
    if mark and codec=='libx264':
        options = {'x264-params': f'{mark}=1'}
    fields = FrameFilter('setfield', mark) if mark else lambda f: [f]
    with av.open(str(path), 'w', container_options=container or {}) as c:
        s = c.add_stream(codec, rate=rate, options=options or {})
        s.width,s.height,s.pix_fmt = *size,pix_fmt
        if time_base:
            s.time_base = s.codec_context.time_base = Fraction(time_base)
        if mark:
            s.codec_context.field_order = dict(tff=2, bff=3)[mark]
        tracks = [_track(c, k) for k in range(sound)]
        if setup:
            setup(c, s)
        c.start_encoding()
        for k,a in enumerate(tracks):
            c.mux(_tone(a, k))
        for i,Y in enumerate(frames):
            f = frame(Y, pix_fmt, times[i] if times else i, chroma if i in colored else None)
            f.time_base = Fraction(time_base) if time_base else 1/Fraction(rate)
            for o in fields(f):
                c.mux(s.encode(o))
        c.mux(s.encode(None))
    return path

def growing_film(path, *sizes, n=30):
    "MJPEG whose frames, `n` of each size, are not all as large as it says"
    with av.open(str(path), 'w') as c:
        s = c.add_stream('mjpeg', rate=25)
        (s.width,s.height),s.pix_fmt = sizes[0],'yuvj420p'
        c.start_encoding()
        for i in range(n*len(sizes)):
            f = io.BytesIO()
            Image.new('RGB', sizes[i//n], 'gray').save(f, 'JPEG', quality=5)
            o = av.Packet(f.getvalue())
            o.stream,o.pts,o.dts,o.duration,o.time_base = s,i,i,1,Fraction(1, 25)
            o.is_keyframe = True
            c.mux(o)
    return path

def film_of_aspect(path, aspect, size=(64, 48), n=2):
    "A MOV whose pixels are `aspect` times as wide as high, which FFmpeg would not write of any"
    def setup(c, s): s.codec_context.sample_aspect_ratio = Fraction(17)
    write_film(path, [picture(i, size) for i in range(n)], codec='libx264', size=size, setup=setup)
    box = lambda o: b'pasp'+o.numerator.to_bytes(4, 'big')+o.denominator.to_bytes(4, 'big')
    head,body = path.read_bytes().split(box(Fraction(17)))
    path.write_bytes(head+box(Fraction(aspect))+body)
    return path

def _track(c, k):
    a = c.add_stream('pcm_s16le', rate=8000)
    a.layout = 'mono'
    a.metadata['language'] = ('deu', 'eng', 'fra', 'ita', 'spa')[k%5]
    a.metadata['title'] = f'track {k}'
    return a

def _tone(a, k):
    wave = (np.sin(np.arange(8000)/8000*(200+50*k)*2*np.pi)*9000).astype(np.int16)
    for i in range(0, 8000, 1000):
        o = av.AudioFrame.from_ndarray(wave[None,i:i+1000], format='s16', layout='mono')
        o.sample_rate,o.pts = 8000,i
        yield from a.encode(o)
    yield from a.encode(None)

def luma_planes(path):
    "[(seconds, (H,W))] of all frames, by PyAV alone"
    out = []
    with av.open(str(path)) as c:
        v = c.streams.video[0]
        for f in c.decode(v):
            bits = f.format.components[0].bits
            plane = f.planes[0]
            rows = np.frombuffer(plane, np.uint8 if bits==8 else np.uint16)
            rows = rows.reshape(f.height, -1)[:,:f.width]
            out.append((f.pts*v.time_base, rows.copy()))
    return out

def packets(path, kind='audio'):
    "[(language, title, [(seconds, hash)])] of each stream of a kind"
    with av.open(str(path)) as c:
        streams = [s for s in c.streams if s.type==kind]
        found = {s.index: [] for s in streams}
        for o in c.demux(streams) if streams else ():
            if o.size:
                sha = hashlib.sha256(bytes(o)).hexdigest()
                found[o.stream.index].append((float(o.pts*o.time_base), sha))
        return [(s.language, s.metadata.get('title'), found[s.index]) for s in streams]
