"Luma is carried bit for bit in every form, and chroma fits: against NumPy and FFmpeg's scaler"
import os
from types import SimpleNamespace
import av, numpy as np, pytest, torch
from film_files import frame, picture, write_film
from colorized.film.coloring import FilmRun
from colorized.film.container import open_film
from colorized.film.pixels import FULL, LIMITED
from colorized.film.shots import is_in_color
from colorized.film.ycbcr import luma, own_chroma
from colorized.photo.lab import rgb_to_lab

def plane_of(f, i):
    "A plane as a gray frame, without what is beside its rows"
    bits = f.format.components[0].bits
    dtype = np.uint8 if bits==8 else np.uint16
    rows = np.frombuffer(f.planes[i], dtype).reshape(f.planes[i].height, -1)[:,:f.planes[i].width]
    return frame(rows, 'gray' if bits==8 else 'gray10le', 0)

def noise_ab(seed=0, scale=40):
    return scale*torch.randn(1, 2, 12, 16, generator=torch.Generator().manual_seed(seed))

PLANAR = ['yuv420p', 'yuv422p', 'yuv444p', 'yuv420p10le', 'yuv422p10le', 'yuv444p12le',
          'yuv420p16le', 'gray', 'gray10le', 'gray16le', 'yuva420p', 'yuva444p10le', 'yuv411p',
          'yuv410p', 'yuv440p']

@pytest.mark.parametrize('pix_fmt', PLANAR)
@pytest.mark.parametrize('size', [(64, 48), (63, 47)])
def test_luma_is_kept(tmp_path, pix_fmt, size):
    bits = av.VideoFormat(pix_fmt).components[0].bits
    Y = picture(0, size, top=2**bits-1)
    film = open_film(write_film(tmp_path/'a.mkv', [Y], size=size, pix_fmt=pix_fmt))
    source = next(film.frames())
    out = film.joined(source, noise_ab())
    assert out.format.name==film.format.output and film.format.bits==bits
    assert (luma(film, out)==Y).all()
    assert np.ptp(own_chroma(film, out).astype(int))>10
    if 'yuva' in pix_fmt:
        alpha = [o.to_ndarray(format='gray' if bits==8 else 'gray10le') for o in
                 (plane_of(out, 3), plane_of(source, 3))]
        assert (alpha[0]==alpha[1]).all() and np.ptp(alpha[0])>30

def packed_film(path, pix_fmt, chroma=None):
    "A film of one frame whose samples are not in planes"
    planar = frame(picture(0), 'yuv422p' if '422' in pix_fmt else 'yuv420p', 0, chroma)
    packed = planar.reformat(format=pix_fmt, threads=1)
    packed.pts = 0
    with av.open(str(path), 'w') as c:
        s = c.add_stream('rawvideo', rate=16)
        s.width,s.height,s.pix_fmt = 64,48,pix_fmt
        c.mux(s.encode(packed))
        c.mux(s.encode(None))
    return open_film(path)

@pytest.mark.parametrize('pix_fmt', ['yuyv422', 'uyvy422', 'nv12'])
def test_packed_forms_are_unpacked(tmp_path, pix_fmt):
    film = packed_film(tmp_path/'a.nut', pix_fmt)
    source = next(film.frames())
    assert source.format.name==pix_fmt
    assert (luma(film, film.joined(source, noise_ab()))==picture(0)).all()

@pytest.mark.skipif(not os.path.exists('/proc/self/task'), reason='needs /proc')
def test_converting_leaves_no_threads(tmp_path):
    """A forked process has not got them, and waits for them for ever when it frees the converter
    of another thread (PyAV 19): so training would hang after a film"""
    film = packed_film(tmp_path/'a.nut', 'yuyv422', chroma=(90, 180))
    o, = film.frames()
    threads = lambda: len(os.listdir('/proc/self/task'))
    before = threads()
    assert (luma(film, o)==picture(0)).all() and threads()==before
    assert is_in_color(film, o) and threads()==before
    seen = FilmRun.as_seen(SimpleNamespace(film=film), o)
    assert seen.size==film.shape[::-1] and threads()==before

def test_rgb_that_is_gray_keeps_its_levels(tmp_path):
    Y = picture(0, top=255)
    f = av.VideoFrame.from_ndarray(np.repeat(Y[...,None], 3, 2).astype(np.uint8), format='rgb24')
    f.pts = 0
    with av.open(str(tmp_path/'a.nut'), 'w') as c:
        s = c.add_stream('rawvideo', rate=16)
        s.width,s.height,s.pix_fmt = 64,48,'rgb24'
        c.mux(s.encode(f))
        c.mux(s.encode(None))
    film = open_film(tmp_path/'a.nut')
    assert (luma(film, next(film.frames()))==Y).all() and film.range==FULL
    assert 'RGB' in film.remarks[0]

@pytest.mark.parametrize('matrix, weights', [(1, (0.2126, 0.0722)), (6, (0.299, 0.114)),
                                             (9, (0.2627, 0.0593))])
@pytest.mark.parametrize('span', [LIMITED, FULL])
def test_everything_fits(tmp_path, matrix, weights, span):
    "The formulas of H.273, in NumPy: no channel leaves [0,1] by more than chroma's rounding"
    def tags(c, s):
        s.codec_context.colorspace,s.codec_context.color_range = matrix,span
    Y = picture(0, top=255)
    film = open_film(write_film(tmp_path/'a.mkv', [Y], pix_fmt='yuv444p10le', setup=tags))
    Y4 = 4*Y # 10 bits
    source = film.new_frame(Y4, None)
    out = film.joined(source, noise_ab(scale=90))
    cb,cr = own_chroma(film, out).astype(float)
    if span==LIMITED:
        y,cb,cr = ((Y4-64)/876).clip(0, 1),(cb-512)/896,(cr-512)/896
    else:
        y,cb,cr = Y4/1023,(cb-512)/1023,(cr-512)/1023
    kr,kb = weights
    r,b = y+2*(1-kr)*cr,y+2*(1-kb)*cb
    g = (y-kr*r-kb*b)/(1-kr-kb)
    assert min(o.min() for o in (r, g, b))>-0.002 and max(o.max() for o in (r, g, b))<1.002
    assert abs(cb).max()>0.05 # and there is color

@pytest.mark.parametrize('matrix', [1, 6])
def test_ffmpeg_shows_the_chroma_that_was_asked_for(tmp_path, matrix):
    def tags(c, s):
        s.codec_context.colorspace,s.codec_context.color_range = matrix,LIMITED
    Y = np.full((48, 64), 126, np.uint8)
    film = open_film(write_film(tmp_path/'a.mkv', [Y], pix_fmt='yuv444p', setup=tags))
    ab = torch.tensor([18., 22.]).view(1, 2, 1, 1).expand(1, 2, 12, 16)
    shown = film.joined(next(film.frames()), ab).to_ndarray(format='rgb24', threads=1)
    lab = rgb_to_lab(torch.from_numpy(shown).permute(2, 0, 1)[None])[0].mean((1, 2))
    assert abs(lab[1]-18)<1.5 and abs(lab[2]-22)<1.5, lab

def test_a_turned_film_is_colored_upright(tmp_path):
    "Chroma of the top, as seen, lies where the top is stored"
    turn = lambda c, s: s.set_display_rotation(90)
    film = open_film(write_film(tmp_path/'a.mkv', [np.full((48, 64), 126)], setup=turn))
    ab = torch.zeros(1, 2, 16, 12)
    ab[:,0,:8] = 40 # the upper half, as seen, is red
    cr = own_chroma(film, film.joined(next(film.frames()), ab))[1].astype(int)
    # turned counterclockwise for viewing: the right side as stored is on top
    assert cr[:,-8:].mean()>145 and abs(cr[:,:8].mean()-128)<2
