"A photograph in memory: lightness against scikit-image, tint, own colors, its word on itself"
import imagecodecs, numpy as np, pytest, torch
from colorized.photo.resampling import down_chroma, resampling_matrix
from colorized.photo.xmp import NAMESPACE
from colorized.photo.scan import Scan, Tone, convert_to_srgb, srgb_profile
from photo_files import IPTC, L_of, gray16, gray8, gray_L_of, is_close, rgb16, rgb8

sepia = (gray8[...,None]*[1, 0.85, 0.65]).astype(np.uint8)

@pytest.mark.parametrize('x', [gray8, gray16, rgb8, rgb16], ids='gray8 gray16 rgb8 rgb16'.split())
def test_lightness_is_that_of_skimage(x):
    s,top = Scan(x),255 if x.dtype==np.uint8 else 65535
    want = L_of(x, top) if x.ndim==3 else gray_L_of(x, top)
    assert is_close(s, want, 2e-3)
    assert torch.allclose(s.L(slice(5, 9)), s.L()[:,:,5:9], atol=1e-4)
    assert (s.bits, s.shape)==(8*x.itemsize, x.shape[:2])

def test_a_gray_profile_is_a_table_and_an_rgb_profile_of_gray_pixels_another():
    x = (np.arange(256)/255)**1.8
    L = np.where(x>216/24389, 116*np.cbrt(x)-16, x*24389/27)
    for icc in (imagecodecs.cms_profile('gray', gamma=1.8),
                imagecodecs.cms_profile('rgb', gamma=1.8, whitepoint=(0.3127, 0.329, 1),
                                        primaries=(0.64, 0.33, 0.3, 0.6, 0.15, 0.06))):
        assert np.abs(Scan(gray8, icc=icc).gray_to_L-L).max()<0.01

def test_long_photographs_go_strip_by_strip():
    x = np.tile(rgb8, (120,2,1))
    assert x.shape[0]*x.shape[1]>2*2**20 and is_close(Scan(x), L_of(x, 255), 2e-3)
    assert np.array_equal(Scan(x.astype(np.uint16)*257).rgb8(), x)

@pytest.mark.parametrize('size, shape', [
    (32, (32,44)), (500, (80,111)), ((7,200), (7,200)), ((100,50), (100,50)), (1, (1,1))])
def test_thumbnail_sizes(size, shape):
    assert Scan(rgb8).thumbnail_L(size).shape[2:]==shape

def test_thumbnail_averages_areas():
    s = Scan(rgb16)
    small = s.thumbnail_L(32)
    assert torch.allclose(small, down_chroma(s.L(), small.shape[-2:]), atol=1e-3)
    large = Scan(np.tile(gray16, (60,4))) # two strips and more
    assert torch.allclose(large.thumbnail_L(32), down_chroma(large.L(), (346,32)), atol=1e-3)

def test_sepia_is_measured():
    t = Scan(sepia).tone
    assert t.is_toned and 60<t.hue<95 and t.chroma>8 and t.spread<2
    assert Scan(gray8).tone==Tone() and Scan(rgb8).tone.kind=='color'
    assert not Scan(gray8).tone.is_toned

def test_tone_is_measured_on_a_sample_and_turns_with_the_hue():
    blue = np.broadcast_to(np.array([100, 110, 160], np.uint8), (900,700,3))
    t = Scan(np.ascontiguousarray(blue)).tone
    assert 260<t.hue<310 and t.chroma>20 and t.spread<1e-3 and t.kind=='toned'
    a,b = np.array([[200,100,100]], np.uint8),np.array([[100,140,200]], np.uint8)
    assert Scan(np.stack([a,b]*20, 1)).tone.spread>20

@pytest.mark.parametrize('chroma, spread, kind', [
    (0, 0, 'neutral'), (2, 2, 'neutral'), (2.1, 0, 'toned'), (0, 2.1, 'toned'), (30, 6, 'toned'),
    (0, 6.1, 'color')])
def test_kinds_of_tone(chroma, spread, kind): assert Tone(0, chroma, spread).kind==kind

def test_own_colors():
    assert np.array_equal(Scan(rgb8).rgb8(), rgb8)
    assert np.array_equal(Scan(rgb8.astype(np.uint16)*257).rgb8(), rgb8)
    assert np.array_equal(Scan(gray8).rgb8(), np.stack([gray8]*3, -1))
    assert np.array_equal(Scan(gray8.astype(np.uint16)*257).rgb8(), np.stack([gray8]*3, -1))
    adobe = Scan(rgb8, icc=imagecodecs.cms_profile('adobergb')).rgb8()
    want = convert_to_srgb(rgb8, imagecodecs.cms_profile('adobergb'))
    assert np.abs(adobe/255-want.clip(0, 1)).max()<0.5/255+1e-6

def test_the_profile_has_no_date_of_today():
    assert srgb_profile()==srgb_profile() and srgb_profile()[24:36]==bytes([7,208,0,1,0,1]+[0]*6)

@pytest.mark.parametrize('xmp, is_so', [
    (None, False), (b'', False), (NAMESPACE.encode(), True), (NAMESPACE.encode('utf-16'), True),
    (f'{IPTC}trainedAlgorithmicMedia'.encode(), True), (f'{IPTC}digitalCapture'.encode(), False),
    (f'{IPTC}compositeWithTrainedAlgorithmicMedia'.encode('utf-16-be'), True)])
def test_generated_pictures_say_so(xmp, is_so):
    s = Scan(gray8, xmp=xmp, warnings=['old'])
    assert s.is_generated==is_so
    lost = 'was colored by a program already; those colors are replaced'
    assert s.remarks==['old']+[lost]*is_so

def test_color_is_remarked_upon():
    assert Scan(rgb8, warnings=['old']).remarks==[
        'old', 'is in color already; its own colors are replaced']
    assert Scan(sepia).remarks==[]

def test_repr():
    assert repr(Scan(rgb16, '/a/b.tif'))=='Scan(b.tif: TIFF, 111×80, 16-bit RGB, color)'
    assert repr(Scan(gray8, format='PNG'))=='Scan(<memory>: PNG, 111×80, 8-bit gray, neutral)'

@pytest.mark.parametrize('x', [
    np.zeros((4,4)), np.zeros((4,4,4), np.uint8), np.zeros((4,4,1), np.uint8),
    np.zeros(4, np.uint8), np.zeros((0,4), np.uint8), [[1,2]], np.zeros((4,4), np.int16)])
def test_other_pixels_are_refused(x):
    with pytest.raises(ValueError, match='uint8 or uint16'): Scan(x)

@pytest.mark.parametrize('shape, size', [((9000,7), (2500,32)), ((7,9000), (32,2500)),
                                         ((3001,40), (1000,20)), ((40,3001), (60,1000))])
def test_a_panorama_is_made_small_as_by_whole_matrices(shape, size):
    "Which would take gigabytes for a large one"
    s = Scan(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    A,B = [resampling_matrix(n, m, 'area' if m<=n else 'bicubic') for n,m in zip(shape, size)]
    want = (A@s.L()[0,0].double()@B.T).clamp(0, 100)
    assert torch.allclose(s.thumbnail_L(size)[0,0].double(), want, atol=1e-3)
