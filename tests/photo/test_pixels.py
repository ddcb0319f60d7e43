"Pixels of every depth and kind, none lost on the way"
import io, struct, zlib
import imagecodecs, numpy as np, PIL, pytest, tifffile
from PIL import Image
from colorized.photo.pixels import (
    Decoded, _cmyk_to_rgb, collapse_gray, pillow_pixels, turn_upright)
from colorized.photo.reading import read_scan
from colorized.photo.scan import ScanError
from colorized.photo.writing import write_color
from exif import change, tags
from photo_files import (L_of, WRITE, ab, gray16, gray8, gray_L_of, heic, is_close, largest,
    png_chunk, rgb16, rgb8)

@pytest.mark.parametrize('kind', WRITE)
def test_reads(kind, tmp_path):
    WRITE[kind](tmp_path/kind)
    if 'zstd' in kind and int(PIL.__version__.split('.')[0])<12:
        with pytest.raises(ScanError, match='not supported'): read_scan(tmp_path/kind)
        pytest.skip("Pillow before 12 knows no Zstandard in TIFF")
    s,deep = read_scan(tmp_path/kind),'8' not in kind.split('.')[0].split('_')[0]
    is_jpeg,top = kind.endswith('jpg'),65535 if deep else 255
    assert s.bits==(16 if deep else 8) and s.shape==gray8.shape
    assert s.alpha is None and not s.warnings and s.path==str(tmp_path/kind)
    is_gray = 'rgb' not in kind and kind!='f32.tif'
    want = (gray16 if deep else gray8) if is_gray else (rgb16 if deep else rgb8)
    assert s.pixels.shape==want.shape and s.pixels.flags.c_contiguous
    assert largest(s.pixels, want)<=(6 if is_jpeg else 0)
    L = gray_L_of(want, top) if is_gray else L_of(want, top)
    assert is_close(s, L, 1.5 if is_jpeg else 2e-3)
    assert np.array_equal(read_scan((tmp_path/kind).read_bytes()).pixels, s.pixels)

@pytest.mark.parametrize('what, x, bits, eps', [
    ('heic', rgb8, 8, 1), ('heic', gray8, 8, 0), ('heic', rgb16, 10, 128), ('heic', gray16, 10, 64),
    ('avif', rgb8, 8, 0), ('avif', rgb16, 10, 64), ('avif', rgb16, 12, 16),
    ('avif', gray16, 10, 64)])
def test_reads_what_telephones_and_browsers_make(what, x, bits, eps):
    "A step of 10 bits is 64 of 65,535, of 12 bits 16; the color transform of x265 costs one more"
    if what=='heic':
        data = heic(x, ('RGB' if x.ndim==3 else 'L')+(';16' if bits>8 else ''))
    else:
        shallow = x if bits==8 else x>>16-bits
        data = imagecodecs.avif_encode(shallow, level=100, bitspersample=bits)
    s = read_scan(data)
    assert s.pixels.dtype==x.dtype and s.shape==x.shape[:2] and not s.warnings and s.alpha is None
    assert largest(s.pixels, x)<=eps
    assert np.ptp(s.pixels)>0.9*np.ptp(x) and s.pixels.max()>=x.max()-eps # white stays white

def test_palette_and_bilevel():
    im = Image.fromarray(rgb8)
    palette,bw = im.quantize(32),im.convert('1')
    kinds = [(palette, 'PNG', {}), (palette, 'TIFF', {}), (palette, 'GIF', {}), (bw, 'PNG', {}),
             (bw, 'TIFF', dict(compression='group4')), (bw, 'BMP', {})]
    for im,format,options in kinds:
        f = io.BytesIO()
        im.save(f, format, **options)
        s = read_scan(f.getvalue())
        assert np.array_equal(s.pixels, np.asarray(im.convert('L' if im is bw else 'RGB'))), format
        assert s.format==format

def test_gray_in_color_clothes(tmp_path):
    for x in gray8,gray16:
        (tmp_path/'g.png').write_bytes(imagecodecs.png_encode(np.stack([x]*3, -1)))
        assert np.array_equal(read_scan(tmp_path/'g.png').pixels, x)
    almost = np.stack([gray8]*3, -1)
    almost[7,9,2] ^= 1
    assert collapse_gray(almost) is almost

def test_transparent_colors_become_alpha():
    "PNG's and GIF's way: one level or entry is not shown"
    palette = Image.fromarray(rgb8).quantize(8)
    for im,format in (Image.fromarray(gray8), 'PNG'),(palette, 'PNG'),(palette, 'GIF'):
        f,k = io.BytesIO(),100 if im.mode=='L' else 3
        im.save(f, format, transparency=k)
        s = read_scan(f.getvalue())
        assert np.array_equal(s.alpha==0, np.asarray(im)==k) and set(np.unique(s.alpha))=={0,255}
        assert s.pixels.ndim==(2 if im.mode=='L' else 3)

def cmyk_L(im): return L_of(np.asarray(im.convert('RGB')), 255)

def test_cmyk(tmp_path):
    im = Image.fromarray(rgb8).convert('CMYK')
    im.save(tmp_path/'c.tif')
    im.save(tmp_path/'c.jpg', quality=100)
    for f in 'c.tif','c.jpg':
        s = read_scan(tmp_path/f)
        assert s.warnings==['CMYK without a profile: converted by the simple formula']
        assert is_close(s, cmyk_L(im), 2.5)
    damaged = bytes(16)+b'CMYK'+bytes(200)
    im.save(tmp_path/'bad.jpg', quality=100, icc_profile=damaged)
    s = read_scan(tmp_path/'bad.jpg')
    assert 'damaged' in s.warnings[0] and is_close(s, cmyk_L(im), 2.5)

def test_deep_cmyk(tmp_path):
    im = Image.fromarray(rgb8).convert('CMYK')
    deep = np.asarray(im).astype(np.uint16)*257
    tifffile.imwrite(tmp_path/'c.tif', deep, photometric='separated')
    s = read_scan(tmp_path/'c.tif')
    assert s.bits==16 and is_close(s, cmyk_L(im), 0.6)

def test_formula_of_cmyk_is_exact():
    ink = np.random.default_rng(0).integers(0, 256, (20,30,4), dtype=np.uint8)
    x = pillow_pixels(Image.fromarray(ink, mode='CMYK'), [])
    want = (255-ink[...,:3].astype(int))*(255-ink[...,3:].astype(int))//255
    assert np.array_equal(x.pixels, want) and x.is_srgb and x.alpha is None

@pytest.mark.parametrize('x', [rgb8, rgb16, gray8, gray16], ids='rgb8 rgb16 gray8 gray16'.split())
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_alpha_comes_and_goes(x, suffix, tmp_path):
    a = np.random.default_rng(1).integers(0, 256, gray8.shape).astype(x.dtype)
    if x.dtype==np.uint16: a *= 257
    xa = np.dstack([x, a])
    if suffix=='.png':
        (tmp_path/'a.png').write_bytes(imagecodecs.png_encode(xa))
    else:
        kind = 'rgb' if x.ndim==3 else 'minisblack'
        tifffile.imwrite(tmp_path/'a.tif', xa, photometric=kind, planarconfig='contig',
                         extrasamples=['unassalpha'])
    s = read_scan(tmp_path/f'a{suffix}')
    assert np.array_equal(s.pixels, x) and np.array_equal(s.alpha, a)
    for out in '.png','.tif','.webp':
        assert not write_color(tmp_path/f'out{out}', s, ab)
        back = read_scan(tmp_path/f'out{out}')
        assert np.array_equal(back.alpha>>(back.bits-8), a>>(s.bits-8))
    remarks = write_color(tmp_path/'out.jpg', s, ab)
    assert remarks==['JPEG has no transparency: it was left behind']

@pytest.mark.parametrize('x', [rgb16, gray16], ids=['rgb', 'gray'])
def test_associated_alpha_is_divided_out(x, tmp_path):
    a = np.full(gray8.shape, 40000, np.uint16)
    a[:5] = 0
    multiplied = (x.astype(float)*(a/65535).reshape(*a.shape, *[1]*(x.ndim-2))).round()
    tifffile.imwrite(tmp_path/'a.tif', np.dstack([multiplied, a]).astype(np.uint16),
                     photometric='rgb' if x.ndim==3 else 'minisblack', planarconfig='contig',
                     extrasamples=['assocalpha'])
    s = read_scan(tmp_path/'a.tif')
    assert np.array_equal(s.alpha, a) and largest(s.pixels[5:], x[5:])<=1 and not s.pixels[:5].any()

@pytest.mark.parametrize('extra', ['unassalpha', 'assocalpha'])
@pytest.mark.parametrize('x', [gray16, gray8], ids=['gray16', 'gray8'])
def test_where_white_is_zero_alpha_is_not(x, extra, tmp_path):
    top = np.iinfo(x.dtype).max
    a = np.full_like(x, top)
    a[:,:50] = top//2
    white_is_0 = top-x
    if extra=='assocalpha': white_is_0 = (white_is_0*(a/top)).round().astype(x.dtype)
    tifffile.imwrite(tmp_path/'a.tif', np.dstack([white_is_0, a]), photometric='miniswhite',
                     planarconfig='contig', extrasamples=[extra])
    s = read_scan(tmp_path/'a.tif')
    assert np.array_equal(s.alpha, a) and largest(s.pixels, x)<=(1 if extra=='assocalpha' else 0)

def test_opaque_alpha_is_none(tmp_path):
    opaque = np.dstack([rgb16, np.full(gray8.shape, 65535, np.uint16)])
    (tmp_path/'a.png').write_bytes(imagecodecs.png_encode(opaque))
    assert read_scan(tmp_path/'a.png').alpha is None

@pytest.mark.parametrize('kind, x', [('rgb', rgb16), ('minisblack', gray16),
                                     ('miniswhite', 65535-gray16)])
@pytest.mark.parametrize('n', [2, 4])
def test_extra_channels_are_ignored_with_a_warning(kind, x, n, tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', np.dstack([x, *[gray16]*n]), photometric=kind,
                     planarconfig='contig', extrasamples=['unspecified']*n)
    s = read_scan(tmp_path/'a.tif')
    assert np.array_equal(s.pixels, rgb16 if kind=='rgb' else gray16) and s.alpha is None
    assert s.warnings==[f'{n} extra channels without a meaning were ignored']

@pytest.mark.parametrize('x', [rgb8, rgb16], ids=['8', '16'])
@pytest.mark.parametrize('extra, n', [
    (['unspecified'], 1), (['unspecified']*2, 2), (['unassalpha', 'unspecified'], 1),
    (['unassalpha'], 0)])
def test_extra_channels_of_every_depth_are_named(x, extra, n, tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', np.dstack([x, *[x[...,0]]*len(extra)]), photometric='rgb',
                     extrasamples=extra)
    s = read_scan(tmp_path/'a.tif')
    assert np.array_equal(s.pixels, x)
    assert s.warnings==[f'{n} extra channels without a meaning were ignored']*bool(n)
    assert s.alpha is None if extra[0]=='unspecified' else np.array_equal(s.alpha, x[...,0])

STORED = { # Orientation -> as a sensor saw it
    1: rgb8, 2: rgb8[:,::-1], 3: rgb8[::-1,::-1], 4: rgb8[::-1], 5: rgb8.swapaxes(0,1),
    6: rgb8.swapaxes(0,1)[::-1], 7: rgb8[::-1,::-1].swapaxes(0,1), 8: rgb8.swapaxes(0,1)[:,::-1]}

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.webp', '16.tif', '16.png'])
@pytest.mark.parametrize('turn', range(1, 9))
def test_orientation(turn, suffix, tmp_path):
    stored,f = np.ascontiguousarray(STORED[turn]),tmp_path/f'o{suffix}'
    deep = stored.astype(np.uint16)*257
    options = {'.jpg': dict(quality=100, subsampling=0), '.webp': dict(lossless=True)}
    if suffix=='16.tif': tifffile.imwrite(f, deep, photometric='rgb')
    elif suffix=='16.png': f.write_bytes(imagecodecs.png_encode(deep))
    else: Image.fromarray(stored).save(f, **options.get(suffix, {}))
    change(f, f'-IFD0:Orientation#={turn}', '-IFD0:Make=Linhof')
    s = read_scan(f)
    assert s.shape==gray8.shape
    assert largest(s.pixels>>(s.bits-8), rgb8)<=(4 if suffix=='.jpg' else 0)
    write_color(tmp_path/'out.png', s, ab)
    assert tags(tmp_path/'out.png')['IFD0:Orientation']=='Horizontal (normal)'

def test_alpha_turns_with_the_pixels(tmp_path):
    Image.fromarray(np.dstack([rgb8, gray8])).save(tmp_path/'a.png')
    change(tmp_path/'a.png', '-IFD0:Orientation#=6')
    s = read_scan(tmp_path/'a.png')
    assert np.array_equal(s.alpha, np.rot90(gray8, -1)) and s.shape==s.alpha.shape

def test_unknown_orientations_leave_pixels_alone():
    for turn in 0,1,9,'6',(6,): assert turn_upright(rgb8, turn) is rgb8

def test_half_precision(tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', (gray8/255).astype(np.float16))
    assert np.abs(read_scan(tmp_path/'a.tif').pixels/257-gray8).max()<0.2

@pytest.mark.parametrize('top', [1, 255, 65535])
def test_white_of_floats(top, tmp_path):
    x = np.linspace(0, top, 64*64).reshape(64,64)
    tifffile.imwrite(tmp_path/'a.tif', x)
    s = read_scan(tmp_path/'a.tif')
    assert largest(s.pixels, np.linspace(0, 65535, 64*64).reshape(64,64).round())<=1
    assert s.warnings==([] if top==1 else [f'float values 0…{top:.4g} were scaled from 0…{top} '
                                           'and clipped'])

@pytest.mark.parametrize('white', [1, 255, 65535])
def test_floats_that_shoot_beyond_white_do_not_darken_all_others(white, tmp_path):
    "As sharpening leaves them"
    x = np.linspace(0, 1.02*white, 64*64).reshape(64,64)
    tifffile.imwrite(tmp_path/'a.tif', x)
    s = read_scan(tmp_path/'a.tif')
    assert largest(s.pixels, (x/white*65535).clip(0, 65535).round())<=1
    assert s.warnings==[f'float values 0…{1.02*white:.4g} were scaled from 0…{white} and clipped']

def test_negative_floats_are_black(tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', np.array([[-0.5, 0.5], [1, 0]], np.float32))
    s = read_scan(tmp_path/'a.tif')
    assert s.pixels.tolist()==[[0, 32768], [65535, 0]] and 'clipped' in s.warnings[0]

def with_profile(data, profile, method):
    "A JPEG 2000 file whose box of colors holds a profile"
    colors = data.index(b'colr')-4
    header,(n,) = data.index(b'jp2h')-4,struct.unpack('>I', data[colors:colors+4])
    new = struct.pack('>I', len(profile)+11)+b'colr'+bytes([method,0,0])+profile
    size, = struct.unpack('>I', data[header:header+4])
    head = data[:header]+struct.pack('>I', size+len(new)-n)
    return head+data[header+4:colors]+new+data[colors+n:]

@pytest.mark.parametrize('method', [2, 3])
@pytest.mark.parametrize('x, profile', [
    (gray16, ('gray', 1.8)), (rgb16, ('adobergb', None))])
def test_deep_jpeg_2000_keeps_its_pixels_beside_a_profile(x, profile, method):
    "OpenJPEG applies the profile, and of gray pixels it makes others, unless it does not see it"
    icc = bytes(imagecodecs.cms_profile(profile[0], gamma=profile[1]))
    data = imagecodecs.jpeg2k_encode(x, level=0, codecformat='jp2')
    s = read_scan(with_profile(data, icc, method))
    assert np.array_equal(s.pixels, x) and s.icc==icc and not s.warnings

@pytest.mark.parametrize('x', [gray8, gray16])
def test_an_orientation_that_only_xmp_states_turns_any_tiff(x, tmp_path):
    xmp = ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/'
           '22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff'
           '/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>').encode()
    tifffile.imwrite(tmp_path/'a.tif', x, metadata=None, resolution=(300,150), resolutionunit=2,
                     extratags=[(700, 1, len(xmp), xmp, True)])
    s = read_scan(tmp_path/'a.tif')
    assert np.array_equal(s.pixels, np.rot90(x, -1)) and s.dpi==(150,300)

@pytest.mark.parametrize('x, why', [
    (np.full((8,8), 1e20, np.float32), 'up to 1e.20, which have no agreed white'),
    (np.full((8,8), np.inf, np.float32), '64 pixel values that are not finite'),
    (np.zeros((8,8), np.int8), 'signed 8-bit pixels have no agreed meaning'),
    (np.zeros((8,8), np.int16), 'signed 16-bit pixels have no agreed meaning')])
def test_pixels_without_a_meaning(x, why, tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', x)
    with pytest.raises(ScanError, match=f'a.tif: .*{why}'): read_scan(tmp_path/'a.tif')

@pytest.mark.parametrize('options, why', [
    (dict(photometric='cielab'), '16-bit TIFF with photometric interpretation CIELAB'),
    (dict(photometric='minisblack', volumetric=True, tile=(16,16,16)), 'axes ZYX')])
def test_tiffs_that_are_no_photographs(options, why, tmp_path):
    x = rgb16 if options['photometric']=='cielab' else np.stack([gray16]*2)
    tifffile.imwrite(tmp_path/'a.tif', x, **options)
    with pytest.raises(ScanError, match=f'a.tif: .*{why}'): read_scan(tmp_path/'a.tif')

@pytest.mark.parametrize('x', [rgb8, rgb16])
@pytest.mark.parametrize('how', ['png', 'jpegxl', 'jpegxr', 'lerc'])
def test_compressions_that_state_a_size_of_their_own_are_refused(x, how, tmp_path):
    "A TIFF of 64×64 pixels and 30 kB, whose JPEG XL held 12,000×12,000, took 750 MB"
    tifffile.imwrite(tmp_path/'a.tif', x, photometric='rgb', compression=how)
    why = f'a.tif: {8*x.itemsize}-bit TIFF with compression {how.upper()} is not supported'
    with pytest.raises(ScanError, match=why): read_scan(tmp_path/'a.tif')

@pytest.mark.parametrize('how', ['lzw', 'adobe_deflate', 'deflate', 'packbits', 'lzma', 'zstd',
                                 'jpeg2000'])
def test_compressions_of_a_deep_tiff(how, tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', rgb16, photometric='rgb', compression=how)
    assert np.array_equal(read_scan(tmp_path/'a.tif').pixels, rgb16)

def test_decoded_says_what_was_done():
    assert Decoded(gray8)[1:]==(None, False, False)
    assert pillow_pixels(Image.fromarray(rgb8).convert('YCbCr'), []).pixels.shape==rgb8.shape

@pytest.mark.parametrize('dtype,top', [(np.uint8, 255), (np.uint16, 65535)])
def test_ink_beyond_srgb_is_cut_off_and_does_not_wrap(monkeypatch, dtype, top):
    "Colors of paper and ink that the screen lacks"
    beyond = np.array([[[-0.2, 0.5, 1.2]]], np.float32)
    monkeypatch.setattr('colorized.photo.pixels.convert_to_srgb', lambda *_: beyond)
    profile = bytes(16)+b'CMYK'+bytes(200)
    got = _cmyk_to_rgb(np.zeros((1, 1, 4), dtype), profile, [])
    assert got.dtype==dtype and got[0,0].tolist()==[0, (top+1)//2, top]

def test_extra_channels_of_floats_do_not_say_where_white_is(tmp_path):
    x = (gray8/255).astype(np.float32)
    tifffile.imwrite(tmp_path/'a.tif', np.dstack([x, np.full_like(x, 60000)]), metadata=None,
                     photometric='minisblack', planarconfig='contig', extrasamples=['unspecified'])
    s = read_scan(tmp_path/'a.tif')
    assert np.abs(s.pixels/257-gray8).max()<0.01
    assert s.warnings==['1 extra channels without a meaning were ignored']

def test_wide_values_count_several_times(tmp_path):
    "279 kB of eight 64-bit floats a pixel took 978 MB"
    f,x = tmp_path/'a.tif',np.zeros((500,500,8))
    for dtype,is_read in {'u2': True, 'f4': False, 'f8': False}.items():
        tifffile.imwrite(f, x.astype(dtype), compression='zlib', photometric='minisblack',
                         planarconfig='contig', metadata=None)
        if is_read: assert read_scan(f, 250_000).shape==(500,500)
        else:
            with pytest.raises(ScanError, match='limit of 8 .*counts as two'):
                read_scan(f, 250_000)

def long_profile(space, n):
    "An ICC profile of `n` steps from its colors to others, all of which change nothing"
    channels = 4 if space==b'CMYK' else 3
    matrix = lambda k: b'matf'+struct.pack('>I2H', 0, k, 3)+struct.pack(
        f'>{3*k+3}f', *np.eye(3, k).ravel(), 0, 0, 0)
    first,other,start = matrix(channels),matrix(3),16+8*n
    table = struct.pack('>2I', start, len(first))
    table += struct.pack('>2I', start+len(first), len(other))*(n-1)
    tag = b'mpet'+struct.pack('>I2HI', 0, channels, 3, n)+table+first+other
    tags = struct.pack('>I4s2I', 1, b'D2B0', 144, len(tag))
    head = struct.pack('>I4sI4s4s4s', 144+len(tag), b'lcms', 0x04300000, b'mntr', space, b'XYZ ')
    head += struct.pack('>6H', 2000, 1, 1, 0, 0, 0)+b'acsp'+bytes(28)
    return head+struct.pack('>3I', 0xf6d6, 0x10000, 0xd32d)+bytes(48)+tags+tag

@pytest.mark.parametrize('mode, space', [('RGB', b'RGB '), ('CMYK', b'CMYK')])
def test_a_profile_has_few_steps(mode, space):
    "One of 20,000, all the same, took 9 s in 497 bytes"
    out = {}
    for n in 3,17:
        f = io.BytesIO()
        im = Image.fromarray(rgb8).convert(mode)
        im.save(f, 'TIFF', icc_profile=long_profile(space, n))
        out[n] = read_scan(f.getvalue())
    assert not out[3].warnings and 'ICC profile is damaged' in out[17].warnings[0]

def test_of_a_film_in_avif_the_first_frame_is_decoded():
    "All were: 80 frames took 156 MB, and were no picture then"
    frames = np.stack([rgb16>>6, 1023-(rgb16>>6)])
    s = read_scan(bytes(imagecodecs.avif_encode(frames, level=95, speed=9, bitspersample=10)))
    assert s.pixels.dtype==np.uint8 and np.abs(s.pixels.astype(int)-rgb8).mean()<9
    assert s.warnings==['only the first of 2 pages was read',
                        'of a film in AVIF the first frame was read, in 8 bits']

def test_texts_of_a_deep_png_are_not_its_pixels():
    "libpng unpacked them all: 1.4 MB took 999 MB"
    import resource
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    png = bytes(imagecodecs.png_encode(rgb16))
    text = png_chunk(b'iTXt', b'a\0\1\0\0\0'+zlib.compress(bytes(1_000_000)+b'\xff', 9))
    before = peak()
    assert np.array_equal(read_scan(png[:33]+300*text+png[33:]).pixels, rgb16)
    assert peak()-before<150_000 # kB
    with pytest.raises(ScanError, match='PNG with more than 1000 compressed texts'):
        read_scan(png[:33]+1001*text+png[33:])

@pytest.mark.parametrize('x, kind, extra', [
    (rgb8, 'rgb', []), (np.dstack([rgb8, gray8]), 'rgb', ['assocalpha']),
    (np.dstack([gray8, 255-gray8]), 'minisblack', ['unassalpha'])])
def test_8_bit_planes_are_read_like_pixels(x, kind, extra, tmp_path):
    "Pillow refused some of them"
    write = lambda name, x, how: tifffile.imwrite(
        tmp_path/name, x, photometric=kind, planarconfig=how, extrasamples=extra, metadata=None)
    write('a.tif', np.moveaxis(x, -1, 0).copy(), 'separate')
    write('b.tif', x, 'contig')
    a,b = (read_scan(tmp_path/o) for o in ('a.tif', 'b.tif'))
    # Pillow rounds down where it divides by alpha
    assert largest(a.pixels, b.pixels)<=1 and np.array_equal(a.alpha, b.alpha)
    assert a.warnings==b.warnings

def test_planes_of_cielab_are_refused_and_not_misread(tmp_path):
    planes = np.moveaxis(rgb8, -1, 0).copy()
    tifffile.imwrite(tmp_path/'a.tif', planes, photometric='cielab', planarconfig='separate')
    with pytest.raises(ScanError, match='photometric interpretation CIELAB is not supported'):
        read_scan(tmp_path/'a.tif')
